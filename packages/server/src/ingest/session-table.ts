import type { SensorId } from '@d4ts/protocol';

/** What the table compares sessions by. */
export interface ComparableSession {
  /** The newest time in a verified header, seconds since 1970. */
  readonly newestTimestamp: number;
  /** When the last verified frame came; monotonic, ms. */
  readonly lastFrameAt: number;
}

/** A session in the table. */
export interface TableEntry<S> {
  readonly sensor: SensorId;
  readonly topic: string;
  readonly session: S;
  /** When its stream was opened; on the clock of `lastFrameAt`. */
  readonly openedAt: number;
}

/** Both of two sessions have had a frame within this time, and since the later of them began: then both are active. */
const ACTIVE_MS = 60_000;

/** The live sessions, side by side within a limit for each sensor and topic (docs/journal.md, rule 33). */
export class SessionTable<S extends ComparableSession> {
  readonly #limit: number;
  readonly #groups = new Map<string, TableEntry<S>[]>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * Adds a session.
   * @returns the one that has to close because of it, already taken out: the one whose newest time is oldest, of
   * equals the one idle longest; it may be the one that was added
   */
  add(entry: TableEntry<S>): S | undefined {
    const key = groupKey(entry);
    const group = this.#groups.get(key) ?? [];
    this.#groups.set(key, group);
    group.push(entry);
    if (group.length <= this.#limit) return undefined;
    const last = group.reduce((least, other) => (isFresher(least.session, other.session) ? other : least));
    group.splice(group.indexOf(last), 1);
    return last.session;
  }

  /** Takes a session out, if it is there. */
  remove(entry: TableEntry<S>): void {
    const key = groupKey(entry);
    const group = this.#groups.get(key);
    const at = group?.indexOf(entry) ?? -1;
    if (group === undefined || at === -1) return;
    group.splice(at, 1);
    if (group.length === 0) this.#groups.delete(key);
  }

  /** Sensors with two sessions of one topic that are both active. */
  suspectedClones(now: number): SensorId[] {
    const suspects = new Set<SensorId>();
    for (const group of this.#groups.values()) {
      const pair = group.some((one, i) => group.slice(i + 1).some((other) => areBothActive(one, other, now)));
      if (pair && group[0] !== undefined) suspects.add(group[0].sensor);
    }
    return [...suspects];
  }
}

function groupKey(entry: { sensor: SensorId; topic: string }): string {
  return `${entry.sensor} ${entry.topic}`;
}

function isFresher(one: ComparableSession, other: ComparableSession): boolean {
  if (one.newestTimestamp !== other.newestTimestamp) return one.newestTimestamp > other.newestTimestamp;
  return one.lastFrameAt > other.lastFrameAt;
}

function areBothActive(one: TableEntry<ComparableSession>, other: TableEntry<ComparableSession>, now: number): boolean {
  const since = Math.max(one.openedAt, other.openedAt, now - ACTIVE_MS);
  return one.session.lastFrameAt >= since && other.session.lastFrameAt >= since;
}
