import type { ArchiveHolding } from '../registry/port.ts';
import type { AgeStep, PairKey, RoomStep } from './archive-plan.ts';
import type { JournalStep } from './journal-plan.ts';
import type { PlannedRemoval } from './port.ts';

/** What the planners have decided. */
export interface Plan {
  readonly journal: readonly JournalStep[];
  readonly ages: readonly AgeStep[];
  readonly room: readonly RoomStep[];
  readonly holdings: (pair: PairKey) => ArchiveHolding | undefined;
}

/** What would go, in the order in which it would. Of files only bounds are known before they are looked at. */
export function describePlan({ journal, ages, room, holdings }: Plan): PlannedRemoval[] {
  const removals: PlannedRemoval[] = [];
  for (const step of journal) {
    if (step.kind === 'renew') {
      const note = 'the open segment is ended, so that it can go';
      removals.push({ ...NOBODY, store: 'journal', why: step.why, topic: step.topic, files: 0, bytes: 0, note });
      continue;
    }
    const { topic, why, segments, bytes } = step;
    for (const { queue, why: bound } of step.giveUp) {
      const note = `gives up what it has not handed out before entry ${step.before}`;
      removals.push({ ...NOBODY, store: 'queue', why: bound, topic, queue, files: 0, bytes: 0, note });
    }
    const note = `${segments} segments, up to entry ${step.before}`;
    removals.push({ ...NOBODY, store: 'journal', why, topic, files: 0, bytes, note });
  }
  for (const { pair, olderThan } of ages) {
    const holding = holdings(pair);
    const note = `files from before ${new Date(olderThan).toISOString()}, at most these`;
    const { files = 0, bytes = 0 } = holding ?? {};
    removals.push({ ...pair, store: 'archive', why: 'age', queue: undefined, files, bytes, note });
  }
  for (const step of room) removals.push(...describeRoom(step, holdings));
  return removals;
}

const NOBODY = { sensor: undefined, queue: undefined } as const;

function describeRoom({ why, classes, amount }: RoomStep, holdings: Plan['holdings']): PlannedRemoval[] {
  const removals: PlannedRemoval[] = [];
  let needed = amount.bytes;
  for (const { priority, pairs } of classes) {
    const held = pairs.reduce((sum, pair) => sum + (holdings(pair)?.bytes ?? 0), 0);
    const files = pairs.reduce((sum, pair) => sum + (holdings(pair)?.files ?? 0), 0);
    const topics = [...new Set(pairs.map(({ topic }) => topic))].sort().join(',');
    const [only] = pairs;
    const sensors = new Set(pairs.map(({ sensor }) => sensor));
    const sensor = sensors.size === 1 ? only?.sensor : undefined;
    const note = `priority ${priority}: the oldest of ${sensors.size} sensors`;
    const bytes = Math.min(Math.max(needed, 0), held);
    removals.push({ store: 'archive', why, topic: topics, sensor, queue: undefined, files, bytes, note });
    needed -= held;
    if (needed <= 0) break;
  }
  return removals;
}
