import type { SensorId } from '@d4ts/protocol';
import type { RemovalReason, RetentionPolicy } from './port.ts';

/** The files of a sensor and a topic, and what is to be kept of them. */
export interface PairFacts {
  readonly sensor: SensorId;
  readonly topic: string;
  readonly files: number;
  readonly bytes: number;
  /** ms since 1970, 0 where there is no file; none has only bytes from before. */
  readonly oldest: number;
  /** Nothing of the sensor may go. */
  readonly hold: boolean;
  /** The sensor's and the type's, added: what is lower goes first. */
  readonly priority: number;
  /** Of the sensor, else of the type, else of all; undefined: for ever. */
  readonly maxAgeMs: number | undefined;
  /** Of the sensor over all its types, and of the type over all sensors; undefined: no limit. */
  readonly sensorMaxBytes: number | undefined;
  readonly typeMaxBytes: number | undefined;
}

/** What the archive's retention decides from. */
export interface ArchiveFacts {
  /** ms since 1970 */
  readonly now: number;
  readonly ageRules: boolean;
  readonly pairs: readonly PairFacts[];
  readonly policy: Pick<RetentionPolicy, 'archiveBytes'>;
  /** What is to become free, because the disk is nearly full. */
  readonly wanted: Amount;
}

/** Bytes and inodes. */
export interface Amount {
  readonly bytes: number;
  readonly inodes: number;
}

/** Names the files of a sensor and a topic. */
export interface PairKey {
  readonly sensor: SensorId;
  readonly topic: string;
}

/** Files that have become too old. */
export interface AgeStep {
  readonly pair: PairKey;
  /** Those whose last bytes came before this, ms since 1970. */
  readonly olderThan: number;
}

/** Files that have to make room. */
export interface RoomStep {
  readonly why: RemovalReason;
  /** Taken one class after the other; of each the files that were finished first, until so much has gone. */
  readonly classes: readonly { readonly priority: number; readonly pairs: readonly PairKey[] }[];
  readonly amount: Amount;
  /** What is in the classes; it may be less than the amount. */
  readonly available: Amount;
}

/** What is too old. Nothing while the clock is not to be trusted, nothing of what is on hold. */
export function planAges({ now, ageRules, pairs }: ArchiveFacts): AgeStep[] {
  if (!ageRules) return [];
  const steps: AgeStep[] = [];
  for (const { sensor, topic, hold, files, oldest, maxAgeMs } of pairs) {
    if (hold || files === 0 || maxAgeMs === undefined || oldest >= now - maxAgeMs) continue;
    steps.push({ pair: { sensor, topic }, olderThan: now - maxAgeMs });
  }
  return steps;
}

/**
 * What has to make room, in order: sensors, types and the whole that have more than their limits, then what the disk
 * needs. Each step counts on those before it.
 */
export function planRoom(facts: ArchiveFacts): RoomStep[] {
  const left = new Map(facts.pairs.map((pair) => [pair, { bytes: pair.bytes, inodes: pair.files }]));
  const steps: RoomStep[] = [];
  const limit = (why: RemovalReason, pairs: readonly PairFacts[], maxBytes: number | undefined) => {
    const bytes = pairs.reduce((total, pair) => total + (left.get(pair)?.bytes ?? 0), 0) - (maxBytes ?? Infinity);
    if (bytes > 0) take(steps, why, pairs, { bytes, inodes: 0 }, left);
  };
  for (const pairs of groups(facts.pairs, ({ sensor }) => sensor)) {
    limit('sensor-bytes', pairs, pairs[0]?.sensorMaxBytes);
  }
  for (const pairs of groups(facts.pairs, ({ topic }) => topic)) limit('type-bytes', pairs, pairs[0]?.typeMaxBytes);
  limit('total-bytes', facts.pairs, facts.policy.archiveBytes);
  const { bytes, inodes } = facts.wanted;
  if (bytes > 0 || inodes > 0) take(steps, 'pressure', facts.pairs, facts.wanted, left);
  return steps;
}

type Left = Map<PairFacts, { bytes: number; inodes: number }>;

/** Adds a step, and takes what it will remove out of what is left, as far as that can be known. */
function take(steps: RoomStep[], why: RemovalReason, pairs: readonly PairFacts[], amount: Amount, left: Left): void {
  const may = pairs.filter((pair) => !pair.hold && (left.get(pair)?.inodes ?? 0) > 0);
  if (may.length === 0) return;
  const byPriority = Map.groupBy(may, ({ priority }) => priority);
  const classes = [...byPriority].toSorted(([a], [b]) => a - b);
  const available = { bytes: 0, inodes: 0 };
  for (const pair of may) {
    available.bytes += left.get(pair)?.bytes ?? 0;
    available.inodes += left.get(pair)?.inodes ?? 0;
  }
  const needed = { ...amount };
  for (const [, members] of classes) {
    for (const pair of members.toSorted((a, b) => a.oldest - b.oldest)) {
      const holding = left.get(pair);
      if (holding === undefined || (needed.bytes <= 0 && needed.inodes <= 0)) continue;
      const share = Math.min(1, Math.max(part(needed.bytes, holding.bytes), part(needed.inodes, holding.inodes)));
      const inodes = Math.ceil(holding.inodes * share);
      needed.bytes -= holding.bytes * share;
      needed.inodes -= inodes;
      holding.bytes -= holding.bytes * share;
      holding.inodes -= inodes;
    }
  }
  steps.push({
    why,
    classes: classes.map(([priority, members]) => ({
      priority,
      pairs: members.map(({ sensor, topic }) => ({ sensor, topic })),
    })),
    amount,
    available,
  });
}

function part(needed: number, held: number): number {
  if (needed <= 0) return 0;
  return held === 0 ? 1 : needed / held;
}

function groups(pairs: readonly PairFacts[], key: (pair: PairFacts) => string): Iterable<readonly PairFacts[]> {
  return Map.groupBy(pairs, key).values();
}
