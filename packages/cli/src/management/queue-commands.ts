import { D4Error, type SensorId } from '@d4ts/protocol';
import type { Credential, Items, ItemView, QueueView } from '@d4ts/server';
import type { Command } from 'commander';
import { countArgument, timeArgument, uuidArgument, uuidListArgument } from './arguments.ts';
import { type CommandContext, managementCommand } from './management-command.ts';
import { print, printJson } from './output.ts';
import { registerQueuePastCommands } from './queue-past-commands.ts';
import { queueTable, queueText } from './queue-text.ts';
import { terminalText } from './terminal-text.ts';

interface AddOptions {
  readonly uuid?: SensorId;
  readonly description?: string;
  readonly limit?: number;
  readonly from?: number;
  readonly group?: SensorId[];
}

interface EditOptions {
  readonly add?: SensorId[];
  readonly remove?: SensorId[];
  readonly description?: string;
  readonly limit?: number;
}

interface CredentialOptions {
  readonly push?: boolean;
  readonly revoke?: boolean;
}

interface ItemOptions {
  readonly count: number;
}

/** One request takes at most so many. */
const MAX_ITEMS = 10_000;
/** `pop` asks for so many at a time, and prints them before it asks for more. */
const POP_BATCH = 1_000;

/** Adds `d4 queue …`. */
export function registerQueueCommands(program: Command): void {
  const queue = program.command('queue').description('make, watch and empty the queues of analyzers');
  const at = (name: string, description: string) =>
    queue.command(name).description(description).argument('<UUID>', "the queue's UUID", uuidArgument);

  managementCommand<[string], AddOptions>(
    queue
      .command('add')
      .description('make a queue of the records of a type, and print its UUID')
      .argument('<TYPE>', 'the number of an accepted type, or the name of an accepted meta type')
      .option('--uuid <UUID>', 'its UUID (default: a new one)', uuidArgument)
      .option('--description <TEXT>', 'what it is for')
      .option(
        '--limit <N>',
        'items; beyond it the oldest are dropped (default: 100000000)',
        countArgument(1, Number.MAX_SAFE_INTEGER),
      )
      .option('--group <UUID,UUID…>', 'take the records of these sensors alone (default: all)', uuidListArgument)
      .option(
        '--from <TIME>',
        'begin with the records of that time: 2026-10-01T08:30Z, 24h, 7d (default: now)',
        (text) => timeArgument(text, Date.now()),
      ),
    async ({ api, show }, { uuid, description, limit, from, group }, type) => {
      const made = await api.post<QueueView>('/queues', { type, uuid, description, limit, from, group });
      await show(made, () => `${made.uuid}\n`);
    },
  );

  managementCommand<[SensorId], EditOptions>(
    at('edit', 'change a queue; a changed group holds for the records that come from now on')
      .option('--add <UUID,UUID…>', 'sensors to add to its group', uuidListArgument)
      .option('--remove <UUID,UUID…>', 'sensors to take out of its group', uuidListArgument)
      .option('--description <TEXT>', 'what it is for')
      .option('--limit <N>', 'items; beyond it the oldest are dropped', countArgument(1, Number.MAX_SAFE_INTEGER)),
    async ({ api, show }, { add, remove, description, limit }, uuid) => {
      const change = { add, remove, description, limit };
      if (Object.values(change).every((value) => value === undefined)) {
        throw new D4Error('D4_USAGE', 'say what to change: --add, --remove, --limit or --description');
      }
      const changed = await api.patch<QueueView>(`/queues/${uuid}`, change);
      await show(changed, () => `queue ${uuid} is changed\n`);
    },
  );

  managementCommand<[SensorId], CredentialOptions>(
    at('credential', 'make a secret that opens this queue alone, in place of the one before, and print it once')
      .option('--push', 'it may also put items into the queue')
      .option('--revoke', 'make none, and close the connections that use the one before'),
    async ({ api, show }, { push = false, revoke = false }, uuid) => {
      if (push && revoke) throw new D4Error('D4_USAGE', '--push and --revoke exclude each other');
      if (revoke) {
        await api.delete(`/queues/${uuid}/credential`);
        await show({ uuid, revoked: true }, () => `queue ${uuid} has no credential\n`);
        return;
      }
      const issued = await api.post<Credential>(`/queues/${uuid}/credential`, { push });
      await show(issued, () => `${issued.secret}\n`);
    },
  );

  managementCommand(queue.command('list').description('all queues and what waits in them'), async ({ api, show }) => {
    const queues = await api.list<QueueView>('/queues');
    await show(queues, () => queueTable(queues));
  });

  managementCommand<[SensorId]>(at('show', 'a queue'), async ({ api, show }, _options, uuid) => {
    const shown = await api.get<QueueView>(`/queues/${uuid}`);
    await show(shown, () => queueText(shown));
  });

  managementCommand<[SensorId], ItemOptions>(
    at('peek', 'print the oldest items without taking them, one on each line').option(
      '-n, --count <N>',
      'at most so many',
      countArgument(1, MAX_ITEMS),
      10,
    ),
    async ({ api, json }, { count }, uuid) => {
      const { items } = await api.get<Items>(`/queues/${uuid}/items?count=${count}`);
      await (json ? printJson(items) : printItems(items));
    },
  );

  managementCommand<[SensorId], ItemOptions>(
    at('pop', 'take the oldest items and print them, one on each line').option(
      '-n, --count <N>',
      'at most so many',
      countArgument(1, Number.MAX_SAFE_INTEGER),
      1,
    ),
    popItems,
  );

  registerQueuePastCommands(at);

  managementCommand<[SensorId]>(at('flush', 'drop everything that waits'), async ({ api, show }, _options, uuid) => {
    const flushed = await api.post<{ flushed: number }>(`/queues/${uuid}/flush`);
    await show(flushed, () => `${flushed.flushed} items of queue ${uuid} are dropped\n`);
  });

  managementCommand<[SensorId]>(
    at('remove', 'remove a queue and what waits in it'),
    async ({ api, show }, _options, uuid) => {
      await api.delete(`/queues/${uuid}`);
      await show({ uuid, removed: true }, () => `queue ${uuid} is removed\n`);
    },
  );
}

async function popItems({ api, json }: CommandContext, { count }: ItemOptions, uuid: SensorId): Promise<void> {
  const popped: ItemView[] = [];
  for (let left = count; left > 0; ) {
    const { items } = await api.post<Items>(`/queues/${uuid}/pop?count=${Math.min(left, POP_BATCH)}`);
    if (items.length === 0) break;
    left -= items.length;
    if (json) for (const item of items) popped.push(item);
    else await printItems(items);
  }
  if (json) await printJson(popped);
}

const NEWLINE = Buffer.from('\n');

/** The items' own bytes; on a terminal, without what it would obey. */
async function printItems(items: readonly ItemView[]): Promise<void> {
  for (const { data, encoding } of items) {
    const bytes = Buffer.from(data, encoding);
    await print(process.stdout.isTTY ? `${terminalText(bytes.toString('utf8'))}\n` : Buffer.concat([bytes, NEWLINE]));
  }
}
