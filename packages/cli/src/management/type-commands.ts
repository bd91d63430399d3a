import type { TypeView } from '@d4ts/server';
import type { Command } from 'commander';
import { table } from '../table.ts';
import { managementCommand } from './management-command.ts';
import { terminalText, timeText } from './terminal-text.ts';

/** Adds `d4 type …`. */
export function registerTypeCommands(program: Command): void {
  const type = program.command('type').description('choose the types and meta types that the server accepts');

  managementCommand(type.command('list').description('all accepted types'), async ({ api, show }) => {
    const types = await api.list<TypeView>('/types');
    await show(types, () =>
      types.length === 0
        ? 'no type is accepted: accept one with "d4 type add NAME-OR-NUMBER"\n'
        : table(
            ['TYPE', 'CARRIES', 'ACCEPTED'],
            types.map(({ name, title, createdAt }) => [terminalText(name), title, timeText(createdAt)]),
          ),
    );
  });

  managementCommand<[string]>(
    type
      .command('add')
      .description('accept a type')
      .argument('<NAME-OR-NUMBER>', 'a number from 1 to 254, or the name of a meta type'),
    async ({ api, show }, _options, name) => {
      const added = await api.post<TypeView>('/types', { name });
      await show(added, () => `type ${terminalText(added.name)} is accepted\n`);
    },
  );

  managementCommand<[string]>(
    type
      .command('remove')
      .description('accept a type no longer; its queues and records stay')
      .argument('<NAME-OR-NUMBER>', 'a number from 1 to 254, or the name of a meta type'),
    async ({ api, show }, _options, name) => {
      await api.delete(`/types/${encodeURIComponent(name)}`);
      await show({ name, removed: true }, () => `type ${terminalText(name)} is no longer accepted\n`);
    },
  );
}
