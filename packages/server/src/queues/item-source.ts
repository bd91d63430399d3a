import type { CountedEntry, Position, TopicLog, TopicSelection } from '../journal/port.ts';
import type { QueueFilter } from '../registry/port.ts';

/** What a queue takes its items from: entries of a topic, those of its sensors, counted for themselves. */
export interface ItemSource {
  /** The first sequence that is not committed. */
  readonly endSequence: number;
  /** The first sequence still held. */
  readonly firstSequence: number;
  /** Items so far, counted from an origin that holds as long as the source does. */
  readonly endOrdinal: number;
  /** How many items lie before a position. */
  ordinalOf(position: Position): Promise<number>;
  /** The position of the item with this ordinal; the end where there is none. */
  positionOf(ordinal: number): Promise<Position>;
  /**
   * Entries from a sequence on, about `maxBytes`, at least one if there is one.
   * @param from where to go on, and how many items lie before that
   */
  read(from: { sequence: number; ordinal: number }, maxBytes: number): Promise<CountedEntry[]>;
  close(): void;
}

/**
 * Opens the source that a queue's filters describe (docs/journal.md, rule 19).
 * @param cursor the place from which on it will be read: filters that end before it are not looked at
 */
export async function openSource(
  log: TopicLog,
  filters: readonly QueueFilter[],
  cursor: Position,
): Promise<ItemSource> {
  const current = currentFilters(filters, cursor.sequence);
  const opened: ItemSource[] = [];
  try {
    for (const { sensors } of current) opened.push(await openSensors(log, sensors));
    const [only] = opened;
    const always = current.length === 1 && (current[0]?.from ?? 0) <= cursor.sequence;
    return always && only !== undefined ? only : await VersionedSource.open(log, current, opened);
  } catch (error) {
    for (const source of opened) source.close();
    throw error;
  }
}

/** The filters that still matter to a cursor: those that do not end before it. */
export function currentFilters(filters: readonly QueueFilter[], sequence: number): readonly QueueFilter[] {
  const current = filters.findLastIndex((filter) => filter.from <= sequence);
  return filters.slice(Math.max(0, current));
}

async function openSensors(log: TopicLog, sensors: QueueFilter['sensors']): Promise<ItemSource> {
  return sensors === 'all' ? new WholeTopic(log) : new Group(log, await log.select(sensors));
}

/** All sensors. */
class WholeTopic implements ItemSource {
  readonly #log: TopicLog;

  constructor(log: TopicLog) {
    this.#log = log;
  }

  get endSequence(): number {
    return this.#log.endSequence;
  }

  get firstSequence(): number {
    return this.#log.firstSequence;
  }

  get endOrdinal(): number {
    return this.#log.endOrdinal;
  }

  ordinalOf(position: Position): Promise<number> {
    return this.#log.ordinalOf(position);
  }

  positionOf(ordinal: number): Promise<Position> {
    return this.#log.positionOf(ordinal);
  }

  async read(from: { sequence: number; ordinal: number }, maxBytes: number): Promise<CountedEntry[]> {
    let { sequence, ordinal } = from;
    const counted: CountedEntry[] = [];
    for (const entry of await this.#log.read(sequence, maxBytes)) {
      // Something is missing in between: damage, or a place that is no longer held.
      if (entry.sequence !== sequence) ordinal = await this.#log.ordinalOf({ sequence: entry.sequence, record: 0 });
      counted.push({ entry, ordinal });
      sequence = entry.sequence + 1;
      ordinal += entry.records;
    }
    return counted;
  }

  close(): void {}
}

/** A group of sensors. */
class Group implements ItemSource {
  readonly #log: TopicLog;
  readonly #selection: TopicSelection;

  constructor(log: TopicLog, selection: TopicSelection) {
    this.#log = log;
    this.#selection = selection;
  }

  get endSequence(): number {
    return this.#log.endSequence;
  }

  get firstSequence(): number {
    return this.#log.firstSequence;
  }

  get endOrdinal(): number {
    return this.#selection.endOrdinal;
  }

  ordinalOf(position: Position): Promise<number> {
    return this.#selection.ordinalOf(position);
  }

  positionOf(ordinal: number): Promise<Position> {
    return this.#selection.positionOf(ordinal);
  }

  read({ sequence }: { sequence: number }, maxBytes: number): Promise<CountedEntry[]> {
    return this.#selection.read(sequence, maxBytes);
  }

  close(): void {
    this.#selection.close();
  }
}

/** From a sequence to the next version's: which source holds, and how its ordinals become those of the whole. */
interface Version {
  readonly from: number;
  /** Infinite for the last one. */
  readonly to: number;
  readonly source: ItemSource;
  /** The ordinal of `from`, in the source and in the whole. */
  readonly start: number;
  readonly base: number;
  /** Of `to`, in the whole; undefined for the last one. */
  readonly end: number | undefined;
}

/** Filters that follow each other: each holds from its sequence to the next one's (rule 19). */
class VersionedSource implements ItemSource {
  readonly #log: TopicLog;
  readonly #versions: readonly Version[];
  readonly #last: Version;

  private constructor(log: TopicLog, versions: readonly Version[], last: Version) {
    this.#log = log;
    this.#versions = versions;
    this.#last = last;
  }

  /** @param sources one for each filter */
  static async open(
    log: TopicLog,
    filters: readonly QueueFilter[],
    sources: readonly ItemSource[],
  ): Promise<VersionedSource> {
    const versions: Version[] = [];
    let last: Version | undefined;
    let base = 0;
    for (const [i, { from }] of filters.entries()) {
      const source = sources[i] as ItemSource;
      const start = await source.ordinalOf({ sequence: from, record: 0 });
      const to = filters[i + 1]?.from ?? Number.POSITIVE_INFINITY;
      const isLast = to === Number.POSITIVE_INFINITY;
      const end = isLast ? undefined : base + (await source.ordinalOf({ sequence: to, record: 0 })) - start;
      last = { from, to, source, start, base, end };
      versions.push(last);
      base = end ?? base;
    }
    return new VersionedSource(log, versions, last as Version);
  }

  get endSequence(): number {
    return this.#log.endSequence;
  }

  get firstSequence(): number {
    return this.#log.firstSequence;
  }

  get endOrdinal(): number {
    const { base, start, source } = this.#last;
    return base + Math.max(0, source.endOrdinal - start);
  }

  async ordinalOf(position: Position): Promise<number> {
    const { base, start, source } = this.#versionOf(position.sequence);
    return base + Math.max(0, (await source.ordinalOf(position)) - start);
  }

  async positionOf(ordinal: number): Promise<Position> {
    const version = this.#versions.find(({ end }) => end === undefined || end > ordinal) ?? this.#last;
    return version.source.positionOf(version.start + Math.max(0, ordinal - version.base));
  }

  async read(from: { sequence: number; ordinal: number }, maxBytes: number): Promise<CountedEntry[]> {
    // Before the first filter nothing was let in.
    let sequence = Math.max(from.sequence, this.#versions[0]?.from ?? 0);
    for (let { ordinal } = from; ; ) {
      const { base, start, source, to, end } = this.#versionOf(sequence);
      const found = await source.read({ sequence, ordinal: ordinal - base + start }, maxBytes);
      const counted: CountedEntry[] = [];
      for (const { entry, ordinal: own } of found) {
        if (entry.sequence < to) counted.push({ entry, ordinal: own - start + base });
      }
      if (counted.length > 0 || end === undefined) return counted;
      sequence = to;
      ordinal = end;
    }
  }

  close(): void {
    for (const { source } of this.#versions) source.close();
  }

  #versionOf(sequence: number): Version {
    return this.#versions.findLast(({ from }) => from <= sequence) ?? (this.#versions[0] as Version);
  }
}
