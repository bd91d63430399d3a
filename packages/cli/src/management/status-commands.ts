import { D4Error } from '@d4ts/protocol';
import type { Status } from '@d4ts/server';
import type { Command } from 'commander';
import { managementCommand } from './management-command.ts';
import { statusText } from './status-text.ts';

/** Adds `d4 status` and `d4 healthcheck`. */
export function registerStatusCommands(program: Command): void {
  managementCommand(program.command('status').description('the server as a whole'), async ({ api, show }) => {
    const status = await api.get<Status>('/status');
    await show(status, () => statusText(status));
  });

  managementCommand(
    program.command('healthcheck').description('exit 0 if the server is ready, else 1'),
    async ({ api, show }) => {
      const { status, body } = await api.ask('GET', '/healthz');
      if (status !== 200) throw new D4Error('D4_NOT_READY', 'the server is not ready: it is starting or stopping');
      await show(body, () => 'ready\n');
    },
  );
}
