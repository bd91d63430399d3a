import { crc32 } from 'node:zlib';
import type { SensorId } from '@d4ts/protocol';
import { ENTRY_HEADER_BYTES, type EntryHeader } from './entry-format.ts';
import { ENTRY_KIND, type StreamDefinition } from './port.ts';

const INDEX_MAGIC = Buffer.from('D4INDEX1', 'latin1');
const PREFIX_BYTES = 20;
/** A mark at least every so many bytes of the segment: that is how far a search by sequence or item has to read. */
const MARK_BYTES = 64 * 1024;

/** A place in a segment from which reading can start. */
export interface Mark {
  readonly sequence: number;
  /** Byte position of that entry in the file. */
  readonly position: number;
  /** Items in the segment's entries before it. */
  readonly recordsBefore: number;
  /** ms since 1970 */
  readonly time: number;
}

/** What a segment holds of one stream (docs/journal.md, rule 14). */
export interface StreamIndex {
  readonly definition: StreamDefinition;
  records: number;
  bytes: number;
  /** The stream's length after the last entry here, in bytes. */
  endOffset: number;
  firstTime: number;
  lastTime: number;
  closed: boolean;
  /** Where its data entries are: byte positions in the file. */
  positions: number[];
}

/** Bytes `[from, to)` of a segment that hold no valid entry. */
export interface Damage {
  readonly from: number;
  readonly to: number;
}

/** A stream that had not ended when a segment was sealed: the stream table (rule 13). */
export interface OpenStream {
  readonly definition: StreamDefinition;
  readonly offset: number;
}

/** What is known of a segment's entries, kept while it is written and saved beside it when it is sealed. */
export class SegmentIndex {
  readonly firstSequence: number;
  /** The sequence after the last entry. */
  endSequence: number;
  records = 0;
  entries = 0;
  firstTime = 0;
  lastTime = 0;
  readonly streams: Map<number, StreamIndex> = new Map();
  readonly marks: Mark[] = [];
  readonly damage: Damage[] = [];
  #lastMarkPosition = Number.NEGATIVE_INFINITY;

  constructor(firstSequence: number) {
    this.firstSequence = firstSequence;
    this.endSequence = firstSequence;
  }

  /** Notes an entry that stands at `position`; a `define` with its definition. */
  add(header: EntryHeader, position: number, definition?: StreamDefinition): void {
    if (position - this.#lastMarkPosition >= MARK_BYTES) {
      this.marks.push({ sequence: header.sequence, position, recordsBefore: this.records, time: header.time });
      this.#lastMarkPosition = position;
    }
    if (this.entries === 0) this.firstTime = header.time;
    this.entries += 1;
    this.records += header.records;
    this.lastTime = header.time;
    this.endSequence = header.sequence + 1;
    if (definition !== undefined) {
      this.streams.set(header.stream, {
        definition,
        records: 0,
        bytes: 0,
        endOffset: header.offset,
        firstTime: header.time,
        lastTime: header.time,
        closed: false,
        positions: [],
      });
      return;
    }
    const stream = this.streams.get(header.stream);
    if (stream === undefined) return;
    stream.lastTime = header.time;
    if (header.kind === ENTRY_KIND.data) {
      stream.records += header.records;
      stream.bytes += header.length;
      stream.endOffset = header.offset + header.length;
      stream.positions.push(position);
    } else if (header.kind === ENTRY_KIND.close) {
      stream.closed = true;
    }
  }

  /** The last mark at or before a sequence. */
  markOfSequence(sequence: number): Mark | undefined {
    return lastWhere(this.marks, (mark) => mark.sequence <= sequence);
  }

  /** The last mark at or before the item with this number within the segment. */
  markOfRecord(record: number): Mark | undefined {
    return lastWhere(this.marks, (mark) => mark.recordsBefore <= record);
  }

  /** The last mark whose entry came before `time` (ms), or the first. */
  markOfTime(time: number): Mark | undefined {
    return lastWhere(this.marks, (mark) => mark.time < time) ?? this.marks[0];
  }
}

function lastWhere(marks: readonly Mark[], holds: (mark: Mark) => boolean): Mark | undefined {
  let low = 0;
  let high = marks.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(marks[middle] as Mark)) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? undefined : marks[low - 1];
}

/** A stream's definition as it stands in a `define` entry and in an index. */
export interface DefinitionText {
  readonly id: string;
  readonly sensor: string;
  readonly topic: string;
  readonly type: number;
  readonly metaHeader?: string;
  readonly preamble: string;
}

/** The body of a `define` entry. */
export function definitionText(definition: StreamDefinition): DefinitionText {
  return { ...definition, preamble: definition.preamble.toString('base64') };
}

/** Reads what `definitionText` wrote; the bytes around it were covered by a CRC. */
export function definitionFrom(text: DefinitionText): StreamDefinition {
  return { ...text, sensor: text.sensor as SensorId, preamble: Buffer.from(text.preamble, 'base64') };
}

interface IndexText {
  readonly segmentBytes: number;
  readonly firstSequence: number;
  readonly endSequence: number;
  readonly records: number;
  readonly entries: number;
  readonly firstTime: number;
  readonly lastTime: number;
  readonly marks: readonly (readonly [number, number, number, number])[];
  readonly damage: readonly Damage[];
  readonly streams: readonly {
    readonly number: number;
    readonly definition: DefinitionText;
    readonly records: number;
    readonly bytes: number;
    readonly endOffset: number;
    readonly firstTime: number;
    readonly lastTime: number;
    readonly closed: boolean;
    readonly positions: number;
  }[];
  readonly open: readonly { readonly definition: DefinitionText; readonly offset: number }[];
}

/** What an index file holds. */
export interface SavedIndex {
  readonly index: SegmentIndex;
  /** Length of the segment file that it describes. */
  readonly segmentBytes: number;
  /** All streams of the topic that were open at the seal. */
  readonly open: readonly OpenStream[];
}

/** An index file: magic, CRC-32, lengths, JSON, then the streams' positions as u32. */
export function encodeIndex(saved: SavedIndex): Buffer {
  const { index } = saved;
  const streams = [...index.streams];
  const text: IndexText = {
    segmentBytes: saved.segmentBytes,
    firstSequence: index.firstSequence,
    endSequence: index.endSequence,
    records: index.records,
    entries: index.entries,
    firstTime: index.firstTime,
    lastTime: index.lastTime,
    marks: index.marks.map((mark) => [mark.sequence, mark.position, mark.recordsBefore, mark.time]),
    damage: index.damage,
    streams: streams.map(([number, stream]) => ({
      ...stream,
      number,
      definition: definitionText(stream.definition),
      positions: stream.positions.length,
    })),
    open: saved.open.map((stream) => ({ definition: definitionText(stream.definition), offset: stream.offset })),
  };
  const json = Buffer.from(JSON.stringify(text));
  const count = streams.reduce((sum, [, stream]) => sum + stream.positions.length, 0);
  const bytes = Buffer.allocUnsafe(PREFIX_BYTES + json.length + count * 4);
  INDEX_MAGIC.copy(bytes);
  bytes.writeUInt32LE(json.length, 12);
  bytes.writeUInt32LE(count, 16);
  json.copy(bytes, PREFIX_BYTES);
  let at = PREFIX_BYTES + json.length;
  for (const [, stream] of streams) {
    for (const position of stream.positions) at = bytes.writeUInt32LE(position, at);
  }
  bytes.writeUInt32LE(crc32(bytes.subarray(12)), 8);
  return bytes;
}

/** Reads an index file. @returns undefined where it is damaged: it can be rebuilt from the segment (rule 3) */
export function decodeIndex(bytes: Buffer): SavedIndex | undefined {
  if (bytes.length < PREFIX_BYTES || !bytes.subarray(0, 8).equals(INDEX_MAGIC)) return undefined;
  if (crc32(bytes.subarray(12)) !== bytes.readUInt32LE(8)) return undefined;
  const jsonEnd = PREFIX_BYTES + bytes.readUInt32LE(12);
  const text = JSON.parse(bytes.toString('utf8', PREFIX_BYTES, jsonEnd)) as IndexText;
  const index = new SegmentIndex(text.firstSequence);
  index.endSequence = text.endSequence;
  index.records = text.records;
  index.entries = text.entries;
  index.firstTime = text.firstTime;
  index.lastTime = text.lastTime;
  for (const [sequence, position, recordsBefore, time] of text.marks) {
    index.marks.push({ sequence, position, recordsBefore, time });
  }
  index.damage.push(...text.damage);
  let at = jsonEnd;
  for (const stream of text.streams) {
    const positions: number[] = [];
    for (let i = 0; i < stream.positions; i++, at += 4) positions.push(bytes.readUInt32LE(at));
    const { number, ...rest } = stream;
    index.streams.set(number, { ...rest, definition: definitionFrom(stream.definition), positions });
  }
  const open = text.open.map((stream) => ({ definition: definitionFrom(stream.definition), offset: stream.offset }));
  return { index, segmentBytes: text.segmentBytes, open };
}

/** Bytes of an entry in a file. */
export function entrySpan(header: EntryHeader): number {
  return ENTRY_HEADER_BYTES + header.length;
}
