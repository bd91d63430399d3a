import { D4Error } from '@d4ts/protocol';
import type { TypeView } from '@d4ts/server';
import type { Command } from 'commander';
import { table } from '../table.ts';
import { ageArgument, limitIn, priorityArgument, sizeArgument } from './arguments.ts';
import { managementCommand } from './management-command.ts';
import { durationText, sizeText, terminalText, timeText } from './terminal-text.ts';

interface EditOptions {
  readonly archivePriority?: number;
  readonly archiveAge?: number | 'none';
  readonly archiveSize?: number | 'none';
  readonly journalSize?: number | 'none';
}

/** Adds `d4 type …`. */
export function registerTypeCommands(program: Command): void {
  const type = program.command('type').description('choose the types and meta types that the server accepts');

  managementCommand(type.command('list').description('all accepted types'), async ({ api, show }) => {
    const types = await api.list<TypeView>('/types');
    await show(types, () =>
      types.length === 0
        ? 'no type is accepted: accept one with "d4 type add NAME-OR-NUMBER"\n'
        : table(
            ['TYPE', 'CARRIES', 'ACCEPTED', 'PRIORITY', 'FILES KEPT', 'ARCHIVE', 'JOURNAL'],
            types.map((each) => [
              terminalText(each.name),
              each.title,
              timeText(each.createdAt),
              `${each.archivePriority}`,
              each.archiveMaxAgeMs === null ? '-' : durationText(each.archiveMaxAgeMs / 1_000),
              each.archiveMaxBytes === null ? '-' : sizeText(each.archiveMaxBytes),
              each.maxJournalBytes === null ? '-' : sizeText(each.maxJournalBytes),
            ]),
          ),
    );
  });

  managementCommand<[string]>(
    type
      .command('add')
      .description('accept a type')
      .argument('<NAME-OR-NUMBER>', 'a number from 1 to 254, or the name of a meta type'),
    async ({ api, show }, _options, name) => {
      const { value: added, made } = await api.make<TypeView>('/types', { name });
      await show(added, () => `type ${terminalText(added.name)} ${made ? 'is accepted' : 'was accepted already'}\n`);
    },
  );

  managementCommand<[string], EditOptions>(
    type
      .command('edit')
      .description('change what is kept of a type')
      .argument('<NAME-OR-NUMBER>', 'a number from 1 to 254, or the name of a meta type')
      .option('--archive-priority <N>', 'files of a lower one go first when they have to make room', priorityArgument)
      .option('--archive-age <TIME>', 'keep its files so long, such as 30d; none for what holds for all', ageArgument)
      .option('--archive-size <SIZE>', 'keep so much of it in the archive; none for what holds for all', sizeArgument)
      .option('--journal-size <SIZE>', 'keep so much of it in the journal; none for what holds for all', sizeArgument),
    async ({ api, show }, { archivePriority, archiveAge, archiveSize, journalSize }, name) => {
      const change = {
        archivePriority,
        archiveMaxAgeMs: limitIn(archiveAge),
        archiveMaxBytes: limitIn(archiveSize),
        maxJournalBytes: limitIn(journalSize),
      };
      if (Object.values(change).every((value) => value === undefined)) {
        const options = '--archive-priority, --archive-age, --archive-size or --journal-size';
        throw new D4Error('D4_USAGE', `say what to change: ${options}`);
      }
      const changed = await api.patch<TypeView>(`/types/${encodeURIComponent(name)}`, change);
      await show(changed, () => `type ${terminalText(changed.name)} is changed\n`);
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
