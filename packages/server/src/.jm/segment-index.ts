import { crc32 } from 'node:zlib';
import type { SensorId } from '@d4ts/protocol';
import type { EntryHeader } from './entry-format.ts';
import { ENTRY_KIND, type StreamDefinition } from './port.ts';

const INDEX_MAGIC = Buffer.from('D4INDEX1', 'latin1');
/** Magic, CRC-32 and length of the summary, CRC-32 and length of the rest. */
const PREFIX_BYTES = 24;
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

/** The sensor of what belongs to none: the server's own entries, and those whose `define` is lost. */
export const NO_SENSOR = '00000000-0000-0000-0000-000000000000' as SensorId;

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

/** The totals of a sealed segment, at the front of its index file: all that must be known of it at a start. */
export interface SegmentSummary {
  /** The segment's salt, so that the index of another segment is not taken for its own. */
  readonly salt: number;
  /** Length of the segment up to the end of its last entry. */
  readonly segmentBytes: number;
  readonly firstSequence: number;
  readonly endSequence: number;
  readonly records: number;
  readonly entries: number;
  readonly firstTime: number;
  readonly lastTime: number;
}

interface IndexText {
  readonly marks: readonly (readonly [number, number, number, number])[];
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
  readonly summary: SegmentSummary;
  readonly index: SegmentIndex;
  /** All streams of the topic that were open at the seal. */
  readonly open: readonly OpenStream[];
}

/** Enough of an index file to hold its summary, in bytes. */
export const SUMMARY_READ_BYTES = 4096;

/**
 * An index file: the summary as JSON, then the rest: the length of its JSON, JSON, and the streams'
 * positions as u32.
 * @param segment salt and length of the segment
 */
export function encodeIndex(
  index: SegmentIndex,
  segment: { salt: number; segmentBytes: number },
  open: readonly OpenStream[],
): Buffer {
  const { salt, segmentBytes } = segment;
  const { firstSequence, endSequence, records, entries, firstTime, lastTime } = index;
  const summary: SegmentSummary = {
    salt,
    segmentBytes,
    firstSequence,
    endSequence,
    records,
    entries,
    firstTime,
    lastTime,
  };
  const streams = [...index.streams];
  const text: IndexText = {
    marks: index.marks.map((mark) => [mark.sequence, mark.position, mark.recordsBefore, mark.time]),
    streams: streams.map(([number, stream]) => ({
      ...stream,
      number,
      definition: definitionText(stream.definition),
      positions: stream.positions.length,
    })),
    open: open.map((stream) => ({ definition: definitionText(stream.definition), offset: stream.offset })),
  };
  const front = Buffer.from(JSON.stringify(summary));
  const json = Buffer.from(JSON.stringify(text));
  const positions = Uint32Array.from(streams.flatMap(([, stream]) => stream.positions));
  const prefix = Buffer.alloc(PREFIX_BYTES);
  const jsonBytes = Buffer.alloc(4);
  jsonBytes.writeUInt32LE(json.length);
  const rest = Buffer.concat([jsonBytes, json, Buffer.from(positions.buffer)]);
  INDEX_MAGIC.copy(prefix);
  prefix.writeUInt32LE(crc32(front), 8);
  prefix.writeUInt32LE(front.length, 12);
  prefix.writeUInt32LE(crc32(rest), 16);
  prefix.writeUInt32LE(rest.length, 20);
  return Buffer.concat([prefix, front, rest]);
}

/**
 * Reads the summary at the front of an index file.
 * @param bytes the first `SUMMARY_READ_BYTES` of the file, or all of it
 * @returns undefined where it is damaged
 */
export function decodeSummary(bytes: Buffer): SegmentSummary | undefined {
  if (bytes.length < PREFIX_BYTES || !bytes.subarray(0, 8).equals(INDEX_MAGIC)) return undefined;
  const front = bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + bytes.readUInt32LE(12));
  if (crc32(front) !== bytes.readUInt32LE(8)) return undefined;
  return JSON.parse(front.toString('utf8')) as SegmentSummary;
}

/** Reads an index file. @returns undefined where it is damaged: it can be rebuilt from the segment (rule 3) */
export function decodeIndex(bytes: Buffer): SavedIndex | undefined {
  const summary = decodeSummary(bytes);
  if (summary === undefined) return undefined;
  const start = PREFIX_BYTES + bytes.readUInt32LE(12);
  const rest = bytes.subarray(start, start + bytes.readUInt32LE(20));
  if (rest.length < 4 || crc32(rest) !== bytes.readUInt32LE(16)) return undefined;
  const jsonEnd = 4 + rest.readUInt32LE(0);
  const text = JSON.parse(rest.toString('utf8', 4, jsonEnd)) as IndexText;
  const index = new SegmentIndex(summary.firstSequence);
  index.endSequence = summary.endSequence;
  index.records = summary.records;
  index.entries = summary.entries;
  index.firstTime = summary.firstTime;
  index.lastTime = summary.lastTime;
  for (const [sequence, position, recordsBefore, time] of text.marks) {
    index.marks.push({ sequence, position, recordsBefore, time });
  }
  let at = jsonEnd;
  for (const stream of text.streams) {
    const positions: number[] = [];
    for (let i = 0; i < stream.positions; i++, at += 4) positions.push(rest.readUInt32LE(at));
    const { number, ...totals } = stream;
    index.streams.set(number, { ...totals, definition: definitionFrom(stream.definition), positions });
  }
  const open = text.open.map((stream) => ({ definition: definitionFrom(stream.definition), offset: stream.offset }));
  return { summary, index, open };
}
