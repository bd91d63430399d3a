import type { Logger } from 'pino';
import {
  checkEntry,
  ENTRY_HEADER_BYTES,
  type EntryHeader,
  MAX_ENTRY_BYTES,
  MAX_ENTRY_SPAN,
  nextMagic,
  SEGMENT_HEADER_BYTES,
} from './entry-format.ts';
import type { Entry, Position, StreamDefinition } from './port.ts';
import { readFully, type Segment } from './segment.ts';
import { NO_SENSOR, type SegmentIndex } from './segment-index.ts';

/** How many places to go on reading are remembered: about one for each reader of a topic. */
const MAX_RESUME_POINTS = 256;
/** Segments whose index and descriptor stay open. */
const MAX_TOUCHED_SEGMENTS = 8;
/** Enough for any entry of records. */
const MIN_READ_BYTES = MAX_ENTRY_BYTES + 2 * ENTRY_HEADER_BYTES;

/** Entries that stand closer together than this are read at once. */
const NEAR_BYTES = 16 * 1024;
/** A reader of scattered entries gets those of so many reads at a time. */
const MAX_SCATTERED_READS = 32;

/** Bytes of a segment, from `position` on. */
interface Piece {
  readonly bytes: Buffer;
  readonly position: number;
  /** Where reading stops: what was committed when it began. */
  readonly end: number;
  /** Nothing follows before `end`. */
  readonly last: boolean;
}

/** Finds and reads entries in the segments of one topic. */
export class SegmentReader {
  readonly #topic: string;
  readonly #log: Logger;
  /** Where the entry after the last one read stands, by segment path and sequence. */
  readonly #resume = new Map<string, number>();
  readonly #reported = new Set<string>();
  /** The least recently used first. */
  readonly #touched = new Set<Segment>();
  #maxTouched = MAX_TOUCHED_SEGMENTS;

  constructor(topic: string, log: Logger) {
    this.#topic = topic;
    this.#log = log;
  }

  /** Committed entries of a segment from a sequence on, about `maxBytes` of them but at least one if there is one. */
  async read(segment: Segment, sequence: number, maxBytes: number): Promise<Entry[]> {
    const { committedBytes, endSequence } = segment;
    if (sequence >= endSequence) return [];
    const index = await this.#indexOf(segment);
    let position = this.#resume.get(resumeKey(segment, sequence));
    position ??= index.markOfSequence(sequence)?.position ?? SEGMENT_HEADER_BYTES;
    const entries: Entry[] = [];
    let total = 0;
    let size = Math.max(maxBytes, MIN_READ_BYTES);
    while (entries.length === 0 && position < committedBytes) {
      const piece = await readPiece(segment, position, size, committedBytes);
      const end = this.#entriesIn(piece, segment, (header, at) => {
        if (header.sequence < sequence) return true;
        entries.push(this.#entry(header, piece.bytes.subarray(at, at + header.length), index));
        total += header.length + ENTRY_HEADER_BYTES;
        return total < maxBytes;
      });
      if (end === position) size = MAX_ENTRY_SPAN;
      position = end;
    }
    const last = entries.at(-1);
    if (last !== undefined) this.#remember(resumeKey(segment, last.sequence + 1), position);
    return entries;
  }

  /**
   * Reads the entries that start at these byte positions, from the `from`th on: about `maxBytes` of them, or what a few
   * reads give, but at least one that is whole if there is one.
   * @returns what stands at each of the positions that were looked at; undefined for a damaged one
   */
  async readAt(
    segment: Segment,
    positions: readonly number[],
    from: number,
    maxBytes: number,
  ): Promise<(Entry | undefined)[]> {
    const { committedBytes } = segment;
    const index = await this.#indexOf(segment);
    const { length } = positions;
    const entries: (Entry | undefined)[] = [];
    let total = 0;
    let whole = 0;
    for (let reads = 0; from + entries.length < length; reads++) {
      if (whole > 0 && (total >= maxBytes || reads >= MAX_SCATTERED_READS)) break;
      const at = from + entries.length;
      const near = nearPositions(positions, at, length, Math.max(NEAR_BYTES, maxBytes - total));
      const start = near[0] as number;
      const size = (near.at(-1) as number) - start + NEAR_BYTES;
      const piece = await readPiece(segment, start, size, committedBytes);
      for (const position of near) {
        const entry = await this.#entryAt(segment, piece, position, index);
        entries.push(entry);
        if (entry === undefined) continue;
        total += entry.bytes.length + ENTRY_HEADER_BYTES;
        whole += 1;
      }
    }
    return entries;
  }

  /** The entry at a byte position of a segment, read further where it does not end in the piece. */
  async #entryAt(segment: Segment, piece: Piece, position: number, index: SegmentIndex): Promise<Entry | undefined> {
    const place = { salt: segment.header.salt, position };
    let { bytes } = piece;
    let at = position - piece.position;
    let check = checkEntry(bytes, at, bytes.length, place);
    if (check === 'incomplete' && !piece.last) {
      ({ bytes } = await readPiece(segment, position, MAX_ENTRY_SPAN, piece.end));
      at = 0;
      check = checkEntry(bytes, at, bytes.length, place);
    }
    if (typeof check === 'string') {
      this.#reportDamage(segment, position);
      return undefined;
    }
    const bodyAt = at + ENTRY_HEADER_BYTES;
    // A copy, for what stands between scattered entries must not be kept in memory by them.
    return this.#entry(check.found, Buffer.from(bytes.subarray(bodyAt, bodyAt + check.found.length)), index);
  }

  /** A segment's index, which is kept at hand with its descriptor as long as the segment is among the last used. */
  indexOf(segment: Segment): Promise<SegmentIndex> {
    return this.#indexOf(segment);
  }

  /** Items of the segment before a position; of a record number beyond its entry's items, the entry's items. */
  async recordsBefore(segment: Segment, at: Position): Promise<number> {
    if (at.sequence >= segment.endSequence) return segment.records;
    const mark = (await this.#indexOf(segment)).markOfSequence(at.sequence);
    let records = mark?.recordsBefore ?? 0;
    await this.#walk(segment, mark?.position, (header) => {
      if (header.sequence === at.sequence) records += Math.min(at.record, header.records);
      if (header.sequence >= at.sequence) return false;
      records += header.records;
      return true;
    });
    return records;
  }

  /** The position of an item by its number within the segment, which must hold that many. */
  async positionOfRecord(segment: Segment, record: number): Promise<Position> {
    const { endSequence } = segment;
    const mark = (await this.#indexOf(segment)).markOfRecord(record);
    let before = mark?.recordsBefore ?? 0;
    let found: Position | undefined;
    await this.#walk(segment, mark?.position, (header) => {
      if (before + header.records > record) {
        found = { sequence: header.sequence, record: record - before };
        return false;
      }
      before += header.records;
      return true;
    });
    return found ?? { sequence: endSequence, record: 0 };
  }

  /** The first sequence with a time at or after `time` (ms). */
  async sequenceAt(segment: Segment, time: number): Promise<number | undefined> {
    const mark = (await this.#indexOf(segment)).markOfTime(time);
    let found: number | undefined;
    await this.#walk(segment, mark?.position, (header) => {
      if (header.time >= time) found = header.sequence;
      return found === undefined;
    });
    return found;
  }

  /** Lets go of a segment's index and descriptor. */
  async forget(segment: Segment): Promise<void> {
    this.#touched.delete(segment);
    await segment.forget();
  }

  /** Lets go of all; from now on each read opens and closes its file. */
  async close(): Promise<void> {
    this.#maxTouched = 0;
    for (const segment of this.#touched) await this.forget(segment);
  }

  /** Visits headers from a position on until `visit` returns false. */
  async #walk(segment: Segment, from: number | undefined, visit: (header: EntryHeader) => boolean): Promise<void> {
    const { committedBytes } = segment;
    let position = from ?? SEGMENT_HEADER_BYTES;
    let size = MIN_READ_BYTES;
    let going = true;
    while (going && position < committedBytes) {
      const piece = await readPiece(segment, position, size, committedBytes);
      const end = this.#entriesIn(piece, segment, (header) => {
        going = visit(header);
        return going;
      });
      if (end === position) size = MAX_ENTRY_SPAN;
      position = end;
    }
  }

  /**
   * Visits the whole entries in a piece of a segment until `visit` returns false; skips what is damaged, and says so
   * once.
   * @returns the position after the last one; where the piece starts if it is too small for its first entry
   */
  #entriesIn(piece: Piece, segment: Segment, visit: (header: EntryHeader, bodyAt: number) => boolean): number {
    const { bytes, position } = piece;
    const { salt } = segment.header;
    let at = 0;
    while (at < bytes.length) {
      const check = checkEntry(bytes, at, bytes.length, { salt, position: position + at });
      if (check === 'incomplete' && !piece.last && bytes.length - at < MAX_ENTRY_SPAN) return position + at;
      if (typeof check === 'string') {
        this.#reportDamage(segment, position + at);
        at = nextMagic(bytes, at + 1, bytes.length);
        continue;
      }
      const bodyAt = at + ENTRY_HEADER_BYTES;
      at = bodyAt + check.found.length;
      if (!visit(check.found, bodyAt)) return position + at;
    }
    return piece.last ? piece.end : position + at;
  }

  async #indexOf(segment: Segment): Promise<SegmentIndex> {
    this.#touched.delete(segment);
    this.#touched.add(segment);
    segment.keep();
    if (this.#touched.size > this.#maxTouched) {
      const [oldest] = this.#touched;
      if (oldest !== undefined) await this.forget(oldest);
    }
    return segment.index();
  }

  #entry(header: EntryHeader, bytes: Buffer, index: SegmentIndex): Entry {
    const stream = index.streams.get(header.stream)?.definition ?? this.#lostStream();
    const { sequence, kind, flags, offset, records, time } = header;
    return { sequence, kind, flags, stream, offset, records, time, bytes };
  }

  /** Stands for a stream whose `define` entry was damaged. */
  #lostStream(): StreamDefinition {
    return { id: '0'.repeat(32), sensor: NO_SENSOR, topic: this.#topic, type: 0, preamble: Buffer.alloc(0) };
  }

  #remember(key: string, position: number): void {
    this.#resume.delete(key);
    this.#resume.set(key, position);
    if (this.#resume.size <= MAX_RESUME_POINTS) return;
    for (const oldest of this.#resume.keys()) {
      this.#resume.delete(oldest);
      return;
    }
  }

  #reportDamage(segment: Segment, position: number): void {
    const place = `${segment.path}:${position}`;
    if (this.#reported.has(place) || this.#reported.size >= 1000) return;
    this.#reported.add(place);
    this.#log.error({ segment: segment.path, position }, 'a damaged place in the journal was skipped while reading');
  }
}

function resumeKey(segment: Segment, sequence: number): string {
  return `${segment.firstSequence}/${sequence}`;
}

/** The positions from the `at`th on that stand close together, up to `maxBytes` apart. */
function nearPositions(positions: readonly number[], at: number, end: number, maxBytes: number): readonly number[] {
  const start = positions[at] as number;
  let last = at;
  while (last + 1 < end) {
    const next = positions[last + 1] as number;
    if (next - (positions[last] as number) > NEAR_BYTES || next - start > maxBytes) break;
    last += 1;
  }
  return positions.slice(at, last + 1);
}

async function readPiece(segment: Segment, position: number, size: number, end: number): Promise<Piece> {
  const buffer = Buffer.allocUnsafeSlow(Math.min(size, end - position));
  const filled = await segment.withReader((file) => readFully(file, buffer, position));
  const last = filled < buffer.length || position + filled >= end;
  return { bytes: buffer.subarray(0, filled), position, end, last };
}
