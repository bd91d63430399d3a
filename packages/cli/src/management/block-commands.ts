import type { BlockView } from '@d4ts/server';
import type { Command } from 'commander';
import { table } from '../table.ts';
import { futureArgument } from './arguments.ts';
import { managementCommand } from './management-command.ts';
import { terminalText, timeText } from './terminal-text.ts';

const TARGET = '<ADDRESS-NETWORK-OR-UUID>';
const TARGET_NOTE = 'an IP address, a network such as 192.0.2.0/24, or the UUID of a sensor';

/** Adds `d4 block …`. */
export function registerBlockCommands(program: Command): void {
  const block = program.command('block').description('keep addresses, networks and sensors out');

  managementCommand<[string], { reason?: string; until?: number }>(
    block
      .command('add')
      .description('block, and close what is connected')
      .argument(TARGET, TARGET_NOTE)
      .option('--reason <TEXT>', 'why, for people')
      .option('--until <WHEN>', 'until when, such as 2h, 7d or 2027-01-31; for ever if not given', (text) =>
        futureArgument(text, Date.now()),
      ),
    async ({ api, show }, { reason, until }, target) => {
      const draft = { target, reason, ...(until !== undefined && { expiresAt: until }) };
      const { value: added, made } = await api.make<BlockView>('/blocks', draft);
      const said = made ? 'is blocked' : 'was blocked already: nothing is changed';
      await show(added, () => `${terminalText(added.target)} ${said}\n`);
    },
  );

  managementCommand(block.command('list').description('all blocks'), async ({ api, show }) => {
    const blocks = await api.list<BlockView>('/blocks');
    await show(blocks, () =>
      blocks.length === 0
        ? 'nothing is blocked\n'
        : table(
            ['BLOCKED', 'IS A', 'SINCE', 'UNTIL', 'BY', 'REASON'],
            blocks.map((each) => [
              terminalText(each.target),
              each.kind,
              timeText(each.createdAt),
              timeText(each.expiresAt),
              terminalText(each.author ?? '-'),
              terminalText(each.reason),
            ]),
          ),
    );
  });

  managementCommand<[string]>(
    block.command('remove').description('remove a block').argument(TARGET, TARGET_NOTE),
    async ({ api, show }, _options, target) => {
      await api.delete(`/blocks/${encodeURIComponent(target)}`);
      await show({ target, removed: true }, () => `${terminalText(target)} is no longer blocked\n`);
    },
  );
}
