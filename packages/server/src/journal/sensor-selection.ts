import type { SensorId } from '@d4ts/protocol';
import type { EntryHeader } from './entry-format.ts';
import type { CountedEntry, Position, TopicSelection } from './port.ts';
import type { Segment } from './segment.ts';
import type { SegmentIndex, Tally } from './segment-index.ts';
import type { SegmentReader } from './segment-reader.ts';

/** Sealed segments whose lists of entries stay in memory, of one selection. */
const MAX_LISTED_PARTS = 2;

/** Where a selection's entries are in a segment, in order. */
interface EntryList {
  readonly positions: number[];
  readonly sequences: number[];
  /** Items of the selection in the segment before each entry. */
  readonly before: number[];
}

/** What a segment holds of a selection: at least one entry of data or of a file. */
interface Part {
  readonly segment: Segment;
  /** Items of the selection in all parts before this one. */
  readonly ordinal: number;
  records: number;
  /** Always there while the segment is open; else made from its index when needed. */
  list: EntryList | undefined;
}

/** The topic that a selection is of. */
export interface SelectedTopic {
  readonly reader: SegmentReader;
  /** The first sequence that is not committed. */
  endSequence(): number;
  /** What `work` finds in a segment; undefined where retention has removed that meanwhile. */
  ifHeld<T>(segment: Segment, work: () => Promise<T>): Promise<T | undefined>;
  /** The selection need not be told of commits any more. */
  closed(selection: SensorSelection): void;
}

/**
 * What some sensors have sent to a topic, found through the segments' indexes: a segment without any of it is not looked
 * at, in the others only its entries are read.
 */
export class SensorSelection implements TopicSelection {
  readonly sensors: ReadonlySet<SensorId>;
  readonly #topic: SelectedTopic;
  readonly #parts: Part[] = [];
  /** Parts of sealed segments that have a list, the least recently used first. */
  readonly #listed = new Set<Part>();

  constructor(sensors: ReadonlySet<SensorId>, topic: SelectedTopic) {
    this.sensors = sensors;
    this.#topic = topic;
  }

  get endOrdinal(): number {
    const last = this.#parts.at(-1);
    return last === undefined ? 0 : last.ordinal + last.records;
  }

  close(): void {
    this.#topic.closed(this);
  }

  /** Adds a sealed segment behind those that were added before. */
  addSealed(segment: Segment, tally: Tally): void {
    const [fewer, more] = tally.size < this.sensors.size ? [tally.keys(), this.sensors] : [this.sensors, tally];
    let records: number | undefined;
    for (const sensor of fewer) if (more.has(sensor)) records = (records ?? 0) + (tally.get(sensor) ?? 0);
    if (records !== undefined) this.#parts.push({ segment, ordinal: this.endOrdinal, records, list: undefined });
  }

  /** Adds the open segment, behind all others. */
  addOpen(segment: Segment, index: SegmentIndex): void {
    const { list, records } = listEntries(index, this.sensors);
    if (list.positions.length > 0) this.#parts.push({ segment, ordinal: this.endOrdinal, records, list });
  }

  /** A commit has put an entry of one of the sensors into the open segment. */
  committed(segment: Segment, header: EntryHeader, position: number): void {
    let part = this.#parts.at(-1);
    if (part?.segment !== segment) {
      if (part?.list !== undefined) this.#keep(part);
      part = { segment, ordinal: this.endOrdinal, records: 0, list: { positions: [], sequences: [], before: [] } };
      this.#parts.push(part);
    }
    part.list?.positions.push(position);
    part.list?.sequences.push(header.sequence);
    part.list?.before.push(part.records);
    part.records += header.records;
  }

  /** Retention has removed the oldest segment. */
  removed(segment: Segment): void {
    const [first] = this.#parts;
    if (first?.segment !== segment) return;
    this.#parts.shift();
    this.#listed.delete(first);
  }

  async read(sequence: number, maxBytes: number): Promise<CountedEntry[]> {
    for (let wanted = sequence; ; ) {
      const part = this.#partOf(wanted);
      if (part === undefined) return [];
      const { segment } = part;
      // What is committed while reading goes on has not been looked at.
      const { endSequence } = segment;
      const found = await this.#topic.ifHeld(segment, async () => {
        const { positions, sequences, before } = await this.#listOf(part);
        const from = firstAtLeast(sequences, wanted);
        const entries = await this.#topic.reader.readAt(segment, positions, from, maxBytes);
        return entries.flatMap((entry, i) =>
          entry === undefined ? [] : [{ entry, ordinal: part.ordinal + (before[from + i] as number) }],
        );
      });
      if (found !== undefined && found.length > 0) return found;
      wanted = endSequence;
    }
  }

  async ordinalOf({ sequence, record }: Position): Promise<number> {
    for (;;) {
      const part = this.#partOf(sequence);
      if (part === undefined) return this.endOrdinal;
      if (sequence <= part.segment.firstSequence) return part.ordinal;
      const list = await this.#topic.ifHeld(part.segment, () => this.#listOf(part));
      if (list === undefined) continue;
      const at = firstAtLeast(list.sequences, sequence);
      const before = list.before[at] ?? part.records;
      if (list.sequences[at] !== sequence) return part.ordinal + before;
      const items = (list.before[at + 1] ?? part.records) - before;
      return part.ordinal + before + Math.min(record, items);
    }
  }

  async positionOf(ordinal: number): Promise<Position> {
    for (;;) {
      const part = this.#parts[firstWhere(this.#parts.length, (i) => endOf(this.#parts[i] as Part) > ordinal)];
      if (part === undefined) return { sequence: this.#topic.endSequence(), record: 0 };
      const list = await this.#topic.ifHeld(part.segment, () => this.#listOf(part));
      if (list === undefined) continue;
      const item = Math.max(0, ordinal - part.ordinal);
      const at = firstWhere(list.before.length, (i) => (list.before[i] as number) > item) - 1;
      return { sequence: list.sequences[at] as number, record: item - (list.before[at] as number) };
    }
  }

  /** The first part that may hold this sequence or a later one. */
  #partOf(sequence: number): Part | undefined {
    return this.#parts[firstWhere(this.#parts.length, (i) => (this.#parts[i] as Part).segment.endSequence > sequence)];
  }

  async #listOf(part: Part): Promise<EntryList> {
    part.list ??= listEntries(await this.#topic.reader.indexOf(part.segment), this.sensors).list;
    if (part.segment.sealed) this.#keep(part);
    return part.list;
  }

  #keep(part: Part): void {
    this.#listed.delete(part);
    this.#listed.add(part);
    if (this.#listed.size <= MAX_LISTED_PARTS) return;
    for (const oldest of this.#listed) {
      this.#listed.delete(oldest);
      oldest.list = undefined;
      return;
    }
  }
}

function endOf(part: Part): number {
  return part.ordinal + part.records;
}

/** The entries of some sensors in a segment, in order. */
function listEntries(index: SegmentIndex, sensors: ReadonlySet<SensorId>): { list: EntryList; records: number } {
  const found: { sequence: number; position: number; items: number }[] = [];
  let streams = 0;
  for (const { definition, positions, sequences, items } of index.streams.values()) {
    if (!sensors.has(definition.sensor)) continue;
    streams += 1;
    for (const [i, sequence] of sequences.entries()) {
      found.push({ sequence, position: positions[i] as number, items: items[i] as number });
    }
  }
  if (streams > 1) found.sort((a, b) => a.sequence - b.sequence);
  const list: EntryList = { positions: [], sequences: [], before: [] };
  let records = 0;
  for (const { sequence, position, items } of found) {
    list.positions.push(position);
    list.sequences.push(sequence);
    list.before.push(records);
    records += items;
  }
  return { list, records };
}

function firstAtLeast(sorted: readonly number[], value: number): number {
  return firstWhere(sorted.length, (i) => (sorted[i] as number) >= value);
}

/** The first index for which `holds`, which from there on holds for all; `length` where there is none. */
function firstWhere(length: number, holds: (index: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
