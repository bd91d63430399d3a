import type { FileHandle } from 'node:fs/promises';
import type { SensorId } from '@d4ts/protocol';
import type { Logger } from 'pino';
import {
  checkEntry,
  ENTRY_HEADER_BYTES,
  type EntryHeader,
  MAX_ENTRY_BYTES,
  MAX_ENTRY_SPAN,
  nextMagic,
} from './entry-format.ts';
import type { Entry, Position, StreamDefinition } from './port.ts';
import type { Segment } from './segment.ts';
import type { SegmentIndex } from './segment-index.ts';

/** How many places to go on reading are remembered: about one for each reader of a topic. */
const MAX_RESUME_POINTS = 256;
/** Segments whose index and descriptor stay open. */
const MAX_TOUCHED_SEGMENTS = 8;
/** Enough for any entry of records. */
const MIN_READ_BYTES = MAX_ENTRY_BYTES + 2 * ENTRY_HEADER_BYTES;

/** Finds and reads entries in the segments of one topic. */
export class SegmentReader {
  readonly #topic: string;
  readonly #log: Logger;
  /** Where the entry after the last one read stands, by segment path and sequence. */
  readonly #resume = new Map<string, number>();
  readonly #reported = new Set<string>();
  /** The least recently used first. */
  readonly #touched = new Set<Segment>();

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
    position ??= index.markOfSequence(sequence)?.position ?? segment.headerBytes;
    const entries: Entry[] = [];
    let size = Math.max(maxBytes, MIN_READ_BYTES);
    while (entries.length === 0 && position < committedBytes) {
      const bytes = await readAt(segment, position, Math.min(size, committedBytes - position));
      if (bytes.length === 0) break;
      const whole = position + bytes.length >= committedBytes;
      const end = this.#entriesIn(bytes, segment, position, whole, (header, at) => {
        if (header.sequence < sequence || header.sequence >= endSequence) return true;
        entries.push(this.#entry(header, bytes.subarray(at, at + header.length), index));
        return true;
      });
      if (end === 0) size = MAX_ENTRY_SPAN;
      position += end;
    }
    const last = entries.at(-1);
    if (last !== undefined) {
      this.#resume.delete(resumeKey(segment, sequence));
      this.#remember(resumeKey(segment, last.sequence + 1), position);
    }
    return entries;
  }

  /** Items of the segment in entries before `sequence`. */
  async recordsBefore(segment: Segment, sequence: number): Promise<number> {
    const index = await this.#indexOf(segment);
    if (sequence >= segment.endSequence) return segment.records;
    const mark = index.markOfSequence(sequence);
    let records = mark?.recordsBefore ?? 0;
    await this.#walk(segment, mark?.position, (header) => {
      if (header.sequence >= sequence) return false;
      records += header.records;
      return true;
    });
    return records;
  }

  /** The position of an item by its number within the segment, which must hold that many. */
  async positionOfRecord(segment: Segment, record: number): Promise<Position> {
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
    return found ?? { sequence: segment.endSequence, record: 0 };
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

  /** Visits headers from a position on until `visit` returns false. */
  async #walk(segment: Segment, from: number | undefined, visit: (header: EntryHeader) => boolean): Promise<void> {
    const { committedBytes } = segment;
    let position = from ?? segment.headerBytes;
    let size = MIN_READ_BYTES;
    let going = true;
    while (going && position < committedBytes) {
      const bytes = await readAt(segment, position, Math.min(size, committedBytes - position));
      if (bytes.length === 0) break;
      const whole = position + bytes.length >= committedBytes;
      const end = this.#entriesIn(bytes, segment, position, whole, (header) => {
        going = visit(header);
        return going;
      });
      if (end === 0) size = MAX_ENTRY_SPAN;
      position += end;
    }
  }

  /**
   * Visits the whole entries in a piece of a segment; skips what is damaged, and says so once.
   * @param whole nothing committed follows the piece
   * @returns how far it came, in bytes; 0 where the piece is too small for its first entry
   */
  #entriesIn(
    bytes: Buffer,
    segment: Segment,
    position: number,
    whole: boolean,
    visit: (header: EntryHeader, bodyAt: number) => boolean,
  ): number {
    let at = 0;
    while (at < bytes.length) {
      const check = checkEntry(bytes, at, bytes.length, segment.header.salt);
      if (check === 'incomplete' && !whole && bytes.length - at < MAX_ENTRY_SPAN) return at;
      if (typeof check === 'string') {
        this.#reportDamage(segment, position + at);
        at = nextMagic(bytes, at + 1, bytes.length);
        continue;
      }
      const bodyAt = at + ENTRY_HEADER_BYTES;
      at = bodyAt + check.found.length;
      if (!visit(check.found, bodyAt)) return at;
    }
    return at;
  }

  async #indexOf(segment: Segment): Promise<SegmentIndex> {
    this.#touched.delete(segment);
    this.#touched.add(segment);
    if (this.#touched.size > MAX_TOUCHED_SEGMENTS) {
      const [oldest] = this.#touched;
      if (oldest !== undefined) {
        this.#touched.delete(oldest);
        oldest.forgetIndex();
        await oldest.releaseReader();
      }
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
    const sensor = '00000000-0000-0000-0000-000000000000' as SensorId;
    return { id: '0'.repeat(32), sensor, topic: this.#topic, type: 0, preamble: Buffer.alloc(0) };
  }

  #remember(key: string, position: number): void {
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

async function readAt(segment: Segment, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length);
  const filled = await segment.withReader((file) => fill(file, bytes, position));
  return bytes.subarray(0, filled);
}

async function fill(file: FileHandle, bytes: Buffer, position: number): Promise<number> {
  let filled = 0;
  while (filled < bytes.length) {
    const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}
