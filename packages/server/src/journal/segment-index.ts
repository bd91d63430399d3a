import { crc32 } from 'node:zlib';
import type { SensorId } from '@d4ts/protocol';
import type { EntryHeader } from './entry-format.ts';
import { ENTRY_KIND, type StreamDefinition, type StreamPosition, type StreamState } from './port.ts';

const INDEX_MAGIC = Buffer.from('D4INDEX2', 'latin1');
/** Magic, then CRC-32 and length of each block: the summary, the tally, the rest. */
const PREFIX_BYTES = 32;
const BLOCK = { summary: 0, tally: 1, rest: 2 } as const;
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
  /** Its entries of data and of files, in order: byte positions in the file, sequences, and how many items each holds. */
  readonly positions: number[];
  readonly sequences: number[];
  readonly items: number[];
}

/** Items of each sensor; 0 where it has entries without any. */
export type Tally = ReadonlyMap<SensorId, number>;

/** A stream that had not ended when a segment was sealed: the stream table (rule 13). */
export interface OpenStream {
  readonly definition: StreamDefinition;
  readonly offset: number;
  /** Of acknowledged streams. */
  readonly last?: Omit<StreamPosition, 'definition' | 'offset'>;
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
        sequences: [],
        items: [],
      });
      return;
    }
    const stream = this.streams.get(header.stream);
    if (stream === undefined) return;
    stream.lastTime = header.time;
    stream.records += header.records;
    if (header.kind === ENTRY_KIND.data) {
      stream.bytes += header.length;
      stream.endOffset = header.offset + header.length;
    } else if (header.kind === ENTRY_KIND.gap) {
      stream.endOffset = header.offset;
    } else if (header.kind === ENTRY_KIND.close) {
      stream.closed = true;
    }
    // A gap with items is what was erased: it is counted where it was.
    const isErased = header.kind === ENTRY_KIND.gap && header.records > 0;
    if (header.kind === ENTRY_KIND.data || header.kind === ENTRY_KIND.file || isErased) {
      stream.positions.push(position);
      stream.sequences.push(header.sequence);
      stream.items.push(header.records);
    }
  }

  /** How many items there are of each sensor that has entries of data or of files. */
  tally(): Tally {
    const tally = new Map<SensorId, number>();
    for (const { definition, records, positions } of this.streams.values()) {
      if (positions.length > 0) tally.set(definition.sensor, (tally.get(definition.sensor) ?? 0) + records);
    }
    return tally;
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
  readonly acknowledged?: NonNullable<StreamDefinition['acknowledged']>;
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
    readonly entries: number;
  }[];
  readonly open: readonly OpenStreamText[];
}

/** An open stream as it stands in an index. */
export interface OpenStreamText {
  readonly definition: DefinitionText;
  readonly offset: number;
  readonly last?: Omit<StreamPosition, 'definition' | 'offset' | 'state'> & {
    readonly state: Omit<StreamState, 'preamble'> & { readonly preamble: string };
  };
}

/** For JSON. */
export function openStreamText({ definition, offset, last }: OpenStream): OpenStreamText {
  const text = { definition: definitionText(definition), offset };
  if (last === undefined) return text;
  const state = { ...last.state, preamble: last.state.preamble.toString('base64') };
  return { ...text, last: { ...last, state } };
}

/** Reads what `openStreamText` made; the bytes around it were covered by a CRC. */
export function openStreamFrom({ definition, offset, last }: OpenStreamText): OpenStream {
  const stream = { definition: definitionFrom(definition), offset };
  if (last === undefined) return stream;
  const { crc, within, preamble } = last.state;
  return { ...stream, last: { ...last, state: { crc, within, preamble: Buffer.from(preamble, 'base64') } } };
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
 * An index file, in three blocks: the summary as JSON; the tally as JSON; the rest: the length of its JSON, JSON, and
 * for each stream its entries' positions, sequences (counted from the segment's first) and items, as u32.
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
    streams: streams.map(([number, { positions, sequences: _, items: __, ...totals }]) => ({
      ...totals,
      number,
      definition: definitionText(totals.definition),
      entries: positions.length,
    })),
    open: open.map(openStreamText),
  };
  const json = Buffer.from(JSON.stringify(text));
  const jsonBytes = Buffer.alloc(4);
  jsonBytes.writeUInt32LE(json.length);
  const columns = streams.flatMap(([, { positions, sequences, items }]) => [
    Uint32Array.from(positions),
    Uint32Array.from(sequences, (sequence) => sequence - firstSequence),
    Uint32Array.from(items),
  ]);
  const blocks = [
    Buffer.from(JSON.stringify(summary)),
    Buffer.from(JSON.stringify([...index.tally()])),
    Buffer.concat([jsonBytes, json, ...columns.map((column) => Buffer.from(column.buffer))]),
  ];
  const prefix = Buffer.alloc(PREFIX_BYTES);
  INDEX_MAGIC.copy(prefix);
  for (const [i, block] of blocks.entries()) {
    prefix.writeUInt32LE(crc32(block), 8 + 8 * i);
    prefix.writeUInt32LE(block.length, 12 + 8 * i);
  }
  return Buffer.concat([prefix, ...blocks]);
}

/**
 * Reads the summary at the front of an index file.
 * @param bytes the first `SUMMARY_READ_BYTES` of the file, or all of it
 * @returns undefined where it is damaged
 */
export function decodeSummary(bytes: Buffer): SegmentSummary | undefined {
  const block = blockOf(bytes, BLOCK.summary);
  return block === undefined ? undefined : (JSON.parse(block.toString('utf8')) as SegmentSummary);
}

/** Where an index file's tally ends: so many of its first bytes hold the summary and the tally. */
export function tallyEnd(front: Buffer): number {
  return front.length < PREFIX_BYTES ? 0 : PREFIX_BYTES + front.readUInt32LE(12) + front.readUInt32LE(20);
}

/** Reads the tally from the front of an index file, up to `tallyEnd`. @returns undefined where it is damaged */
export function decodeTally(bytes: Buffer): Tally | undefined {
  const block = blockOf(bytes, BLOCK.tally);
  return block === undefined ? undefined : new Map(JSON.parse(block.toString('utf8')) as [SensorId, number][]);
}

/** Reads an index file. @returns undefined where it is damaged: it can be rebuilt from the segment (rule 3) */
export function decodeIndex(bytes: Buffer): SavedIndex | undefined {
  const summary = decodeSummary(bytes);
  const rest = blockOf(bytes, BLOCK.rest);
  if (summary === undefined || rest === undefined || rest.length < 4) return undefined;
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
  const column = (length: number, added: number): number[] => {
    const values = new Array<number>(length);
    for (let i = 0; i < length; i++, at += 4) values[i] = rest.readUInt32LE(at) + added;
    return values;
  };
  for (const { number, entries, definition, ...totals } of text.streams) {
    const positions = column(entries, 0);
    const sequences = column(entries, summary.firstSequence);
    const items = column(entries, 0);
    index.streams.set(number, { ...totals, definition: definitionFrom(definition), positions, sequences, items });
  }
  const open = text.open.map(openStreamFrom);
  return { summary, index, open };
}

/** One block of an index file, if it is there and whole. */
function blockOf(bytes: Buffer, number: number): Buffer | undefined {
  if (bytes.length < PREFIX_BYTES || !bytes.subarray(0, 8).equals(INDEX_MAGIC)) return undefined;
  let at = PREFIX_BYTES;
  for (let before = 0; before < number; before++) at += bytes.readUInt32LE(12 + 8 * before);
  const block = bytes.subarray(at, at + bytes.readUInt32LE(12 + 8 * number));
  return crc32(block) === bytes.readUInt32LE(8 + 8 * number) ? block : undefined;
}
