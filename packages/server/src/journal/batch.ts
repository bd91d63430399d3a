import { ENTRY_HEADER_BYTES, type EntryHeader, sealEntry } from './entry-format.ts';
import { advanceOf, ENTRY_KIND, type EntryDraft, type StreamDefinition, type StreamState } from './port.ts';
import { definitionText } from './segment-index.ts';

/** One stream's append, waiting for a commit. */
export interface PendingAppend {
  readonly stream: StreamDefinition;
  /** The stream's length before it, in bytes. */
  readonly offset: number;
  readonly drafts: readonly EntryDraft[];
  /** Of an acknowledged stream. */
  readonly after?: StreamState | undefined;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** An entry that a batch puts into a segment, for its index. */
export interface PlacedEntry {
  readonly header: EntryHeader;
  /** Byte position in the batch. */
  readonly at: number;
  readonly definition: StreamDefinition | undefined;
}

/** A batch as it is written: one contiguous run of bytes. */
export interface LaidOutBatch {
  /** The memory that was given; the batch stands in it from `lead` to `end`, and is `bytes` long. */
  readonly memory: Buffer;
  readonly end: number;
  readonly bytes: number;
  readonly entries: PlacedEntry[];
  readonly nextSequence: number;
  readonly nextStream: number;
}

/** Where a batch starts. */
export interface BatchStart {
  readonly sequence: number;
  readonly time: number;
  readonly salt: number;
  /** Where in the file its first byte goes, and where in the memory. */
  readonly position: number;
  readonly lead: number;
  /** Stream numbers in the segment so far, by stream id; new ones count up from `nextStream`. */
  readonly numbers: ReadonlyMap<string, number>;
  readonly nextStream: number;
}

const EMPTY = Buffer.alloc(0);

/** Bytes that an append takes at the most, its `define` entry apart. */
export function appendBytes(append: PendingAppend): number {
  let bytes = 0;
  for (const draft of append.drafts) bytes += draft.bytes + ENTRY_HEADER_BYTES;
  return bytes;
}

/**
 * Lays appends out as entries: each stream's `define` before its first entry in the segment (docs/journal.md, rule 5),
 * then its drafts, consecutive. Every byte is copied once, here, so that a commit is one write and each CRC runs over
 * one contiguous piece.
 */
export function layOut(
  batch: readonly PendingAppend[],
  start: BatchStart,
  room: (bytes: number) => Buffer,
): LaidOutBatch {
  const defined = new Map<string, StreamDefinition>();
  let total = 0;
  for (const append of batch) {
    total += appendBytes(append);
    // The last one knows best: a `cut`, which stands before its stream's data, does not know the preamble there.
    if (!start.numbers.has(append.stream.id)) defined.set(append.stream.id, append.stream);
  }
  const defines = new Map<string, Buffer>();
  for (const [id, stream] of defined) {
    const body = Buffer.from(JSON.stringify(definitionText(stream)));
    defines.set(id, body);
    total += body.length + ENTRY_HEADER_BYTES;
  }
  const target = room(start.lead + total);
  const entries: PlacedEntry[] = [];
  const numbers = new Map<string, number>();
  let { sequence, nextStream } = start;
  let at = start.lead;

  const place = (header: EntryHeader, definition: StreamDefinition | undefined): void => {
    sealEntry(target, at, header, { salt: start.salt, position: start.position + at - start.lead });
    entries.push({ header, at: at - start.lead, definition });
    at += ENTRY_HEADER_BYTES + header.length;
    sequence += 1;
  };

  for (const append of batch) {
    const { id } = append.stream;
    let stream = start.numbers.get(id) ?? numbers.get(id);
    let { offset } = append;
    if (stream === undefined) {
      stream = nextStream;
      nextStream += 1;
      numbers.set(id, stream);
      const body = defines.get(id) ?? EMPTY;
      body.copy(target, at + ENTRY_HEADER_BYTES);
      const { time } = start;
      const header = {
        length: body.length,
        kind: ENTRY_KIND.define,
        flags: 0,
        stream,
        records: 0,
        sequence,
        offset,
        time,
      };
      place(header, defined.get(id) ?? append.stream);
    }
    for (const draft of append.drafts) {
      let body = at + ENTRY_HEADER_BYTES;
      for (const piece of draft.pieces) body += piece.copy(target, body);
      const { kind, flags, records, bytes: length } = draft;
      const end = offset + advanceOf(draft);
      const header = { length, kind, flags, stream, records, sequence, offset, time: start.time };
      place(kind === ENTRY_KIND.gap ? { ...header, offset: end } : header, undefined);
      offset = end;
    }
  }
  return { memory: target, end: at, bytes: at - start.lead, entries, nextSequence: sequence, nextStream };
}
