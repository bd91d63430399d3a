import { setTimeout } from 'node:timers/promises';
import { D4Error, type SensorId } from '@d4ts/protocol';
import type { QueueView, ReplayView, RewoundView } from '@d4ts/server';
import type { Command } from 'commander';
import type { ApiConnection } from './api-connection.ts';
import { sensorUuidArgument, timeArgument } from './arguments.ts';
import { managementCommand } from './management-command.ts';
import { replayText } from './queue-text.ts';
import { timeText } from './terminal-text.ts';

interface RangeOptions {
  readonly from?: number;
  readonly to?: number;
}

interface ReplayOptions extends RangeOptions {
  readonly sensor?: SensorId;
  readonly type?: string;
}

/** So long a replay of the archive may take to be over, ms: it is where nothing is in its range. */
const PATIENCE_MS = 1_000;
const POLL_MS = 50;

const TIME = '2026-10-01T08:30Z, 24h, 7d';
const time = (text: string) => timeArgument(text, Date.now());

/**
 * Adds `d4 queue rewind`, `replay` and `cancel-replay`.
 * @param at makes a command of a queue
 */
export function registerQueuePastCommands(at: (name: string, description: string) => Command): void {
  managementCommand<[SensorId], RangeOptions>(
    at('rewind', 'move the position back: what came since then comes again')
      .option('--from <TIME>', `begin again with the records of that time: ${TIME}`, time)
      .option('--to <TIME>', 'only what came before that time, beside what waits', time),
    async ({ api, show }, { from, to }, uuid) => {
      const begin = needed(from);
      if (to !== undefined) {
        const replay = await api.post<ReplayView>(`/queues/${uuid}/replay`, { from: begin, to });
        await show(replay, () => `${replayText(replay)}\n`);
        await sayIfEmpty(api, uuid, replay);
        return;
      }
      const rewound = await api.post<RewoundView>(`/queues/${uuid}/rewind`, { from: begin });
      await show(rewound, () => rewoundText(rewound, uuid));
    },
  );

  managementCommand<[SensorId], ReplayOptions>(
    at('replay', 'put a part of the past into a queue, beside what comes; print how that is known')
      .option('--from <TIME>', `from that time on: ${TIME}`, time)
      .option('--to <TIME>', 'before that time (default: now)', time)
      .option('--sensor <UUID>', 'the records of this sensor alone', sensorUuidArgument)
      .option('--type <TYPE>', "the records of this type (default: the queue's own)"),
    async ({ api, show }, { from, to, sensor, type }, uuid) => {
      const wish = { from: needed(from), to, sensor, type };
      const replay = await api.post<ReplayView>(`/queues/${uuid}/replay`, wish);
      await show(replay, () => `${replay.id}\n`);
      await sayIfEmpty(api, uuid, replay);
    },
  );

  managementCommand<[SensorId, string]>(
    at('cancel-replay', 'end a replay; what is left of it does not come').argument('<ID>', "the replay's id"),
    async ({ api, show }, _options, uuid, replay) => {
      await api.delete(`/queues/${uuid}/replays/${encodeURIComponent(replay)}`);
      await show({ uuid, replay, cancelled: true }, () => `replay ${replay} is cancelled\n`);
    },
  );
}

/** Says that nothing comes of a replay. Of one that reads the archive too that is known when it is over, for which it has a moment. */
async function sayIfEmpty(api: ApiConnection, uuid: SensorId, replay: ReplayView): Promise<void> {
  let seen: ReplayView | undefined = replay;
  for (const end = Date.now() + PATIENCE_MS; seen?.state === 'running' && seen.left === null && Date.now() < end; ) {
    await setTimeout(POLL_MS);
    const { replays } = await api.get<QueueView>(`/queues/${uuid}`);
    seen = replays.find(({ id }) => id === replay.id);
  }
  const isEmpty = replay.left === 0 || (seen?.state === 'done' && seen.delivered + seen.lost + seen.missingFiles === 0);
  if (isEmpty) process.stderr.write('d4: there is nothing in that range: nothing comes of this replay\n');
}

function needed(from: number | undefined): number {
  if (from === undefined) throw new D4Error('D4_USAGE', 'say where to begin: --from 24h, --from 2026-10-01T08:30Z');
  return from;
}

function rewoundText({ items, from, complete, length }: RewoundView, uuid: SensorId): string {
  const text = `${items} items come again, ${length} wait\n`;
  if (complete) return text;
  const rest = `what was before is in the archive at most: d4 queue replay ${uuid} --from … --to ${new Date(from).toISOString()}`;
  return `${text}the journal begins at ${timeText(from)}: ${rest}\n`;
}
