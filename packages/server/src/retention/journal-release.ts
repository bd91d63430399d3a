import type { SensorId } from '@d4ts/protocol';
import type { Logger } from 'pino';
import type { Journal } from '../journal/port.ts';
import type { Queues } from '../queues/port.ts';
import type { Registry } from '../registry/port.ts';
import { noteRelease } from '../registry/release-note.ts';
import type { JournalStep, Release } from './journal-plan.ts';
import type { Losses, RemovalReason } from './port.ts';

const FILES = 'files/';

/** What is needed to release segments. */
export interface ReleaseParts {
  readonly journal: Journal;
  readonly registry: Pick<Registry, 'loadProgress' | 'saveProgress'>;
  readonly queues: Pick<Queues, 'giveUpBefore'>;
  readonly losses: Losses;
  readonly log: Logger;
  /** ms since 1970 */
  readonly now: () => number;
}

/**
 * Does what was planned, each step for itself: moves the queues' cursors and saves them, with what they lost counted;
 * notes what is to go, so that it is counted even if the server is killed in between; then lets the segments go, which are unlinked when the last reader has closed them (docs/journal.md, rule 18).
 */
export async function carryOut(steps: readonly JournalStep[], parts: ReleaseParts): Promise<void> {
  for (const step of steps) {
    if (step.kind === 'release') await release(step, parts);
    else await parts.journal.get(step.topic)?.renew(step.why);
  }
}

async function release(step: Release, { journal, registry, queues, losses, log, now }: ReleaseParts): Promise<void> {
  const topic = journal.get(step.topic);
  if (topic === undefined) return;
  const at = now();
  const name = step.topic.startsWith(FILES) ? step.topic.slice(FILES.length) : step.topic;
  for (const { queue, why } of step.giveUp) {
    const given = await queues.giveUpBefore(queue, step.before);
    let items = 0;
    for (const [sensor, records] of given) {
      items += records;
      tell('queue', why, sensor, { records, bytes: 0 }, queue);
    }
    if (items > 0) log.warn({ queue, topic: name, items, why }, 'a queue was too far behind: items are dropped');
  }
  const contents = new Map<SensorId, { records: number; bytes: number }>();
  for (const { firstSequence, endSequence } of topic.segments()) {
    if (endSequence > step.before) break;
    for (const [sensor, { records, bytes }] of await topic.contentsOf(firstSequence)) {
      const known = contents.get(sensor) ?? { records: 0, bytes: 0 };
      contents.set(sensor, { records: known.records + records, bytes: known.bytes + bytes });
    }
  }
  const records = [...contents.values()].reduce((sum, held) => sum + held.records, 0);
  await noteRelease(registry, step.topic, { before: step.before, records, why: step.why });
  await topic.truncateBefore(step.before);
  if (step.topic === name) for (const [sensor, held] of contents) tell('journal', step.why, sensor, held);
  log.info(
    { topic: step.topic, segments: step.segments, bytes: step.bytes, why: step.why },
    'the journal let go of segments',
  );

  function tell(
    store: 'journal' | 'queue',
    why: RemovalReason,
    sensor: SensorId,
    { records, bytes }: { records: number; bytes: number },
    queue?: string,
  ): void {
    const streamBytes = store === 'journal' ? bytes : undefined;
    const of = queue === undefined ? {} : { queue };
    losses.onRemoved({ store, why, sensor, topic: name, ...of, files: 0, bytes, streamBytes, records, at });
  }
}
