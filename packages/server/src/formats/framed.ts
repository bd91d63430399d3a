import { FramedCutter } from './framed-cutter.ts';
import type { Archive, Format } from './port.ts';

/**
 * What a whole record is:
 * - `item` counts as a record, `other` does not;
 * - `turn` is an item that changes the preamble;
 * - `preamble` changes the preamble and is nothing by itself: it is held until something else follows;
 * - `repeat` says again what the preamble says: it is skipped;
 * - `foreign` belongs to a stream that cannot go on from this one: refused;
 * - `bad` is none: its end is not where its head says, or its body makes no sense.
 */
export type RecordKind = 'item' | 'other' | 'turn' | 'preamble' | 'repeat' | 'foreign' | 'bad';

/**
 * How the records of one stream tell their length, as far as the stream has been read. The methods do not change it,
 * but for `take`.
 */
export interface Framing {
  /** Bytes at the front of a record that tell its length. */
  readonly headBytes: number;
  /** What a reader must have seen before the next record. */
  readonly preamble: Buffer;
  /**
   * The length of the record at `at`, head included; 0 where no record of the format can begin like that, or one that
   * is over the limit. `headBytes` are there.
   */
  recordBytes(bytes: Buffer, at: number): number;
  /** What the record `[start, end)` is, which is there as a whole. */
  kindOf(bytes: Buffer, start: number, end: number): RecordKind;
  /** Notes a record that changes the preamble. @returns false where the preamble gets too large */
  take?(bytes: Buffer, start: number, end: number): boolean;
  /**
   * Whether a record begins at `at`, asked where boundaries have been lost and `recordBytes` allows it: as strict as can
   * be, since three in a row have to say so. A format without this cannot be found again, and is refused.
   * @param before where the record before it begins, or -1
   */
  isLikely?(bytes: Buffer, at: number, before: number): boolean;
}

/** A format whose records begin with their length. */
export interface FramedFormat extends Pick<Format, 'name' | 'items' | 'maxRecordBytes'> {
  readonly archive: Archive;
  /** Whether a reader must have seen something of the stream before it can read a record from its middle. */
  readonly hasPreamble: boolean;
  /** @param preamble what has been seen; empty at a stream's start */
  newFraming(preamble: Buffer): Framing;
}

const EMPTY = Buffer.alloc(0);

/** Makes a format out of how its records tell their length. */
export function framedFormat(framed: FramedFormat): Format {
  const { name, items, maxRecordBytes, archive, hasPreamble, newFraming } = framed;
  const framingAt = (preamble: Buffer | undefined): Framing | undefined => {
    if (preamble !== undefined) return newFraming(preamble);
    return hasPreamble ? undefined : newFraming(EMPTY);
  };
  const format: Format = {
    name,
    items,
    maxRecordBytes,
    unfinished: 'rest',
    archive,
    newCutter: (earlier = EMPTY) => new FramedCutter(newFraming, earlier),
    resumeCutter: (preamble, within) => new FramedCutter(newFraming, EMPTY, { preamble, within }),
    recordEnd(bytes, at, preamble) {
      const framing = framingAt(preamble);
      if (framing === undefined || bytes.length - at < framing.headBytes) return bytes.length;
      const length = framing.recordBytes(bytes, at);
      return length === 0 ? bytes.length : Math.min(bytes.length, at + length);
    },
    itemEnd(bytes, start, end, preamble) {
      const kind = framingAt(preamble)?.kindOf(bytes, start, end);
      return kind === undefined || kind === 'item' || kind === 'turn' ? end : start;
    },
  };
  return hasPreamble ? { ...format, preambleAfter: (...args) => preambleAfter(newFraming, ...args) } : format;
}

function preambleAfter(newFraming: FramedFormat['newFraming'], preamble: Buffer, records: Buffer): Buffer {
  const framing = newFraming(preamble);
  for (let at = 0; records.length - at >= framing.headBytes; ) {
    const length = framing.recordBytes(records, at);
    const end = at + length;
    if (length === 0 || end > records.length) break;
    const kind = framing.kindOf(records, at, end);
    if (kind === 'preamble' || kind === 'turn') framing.take?.(records, at, end);
    at = end;
  }
  return framing.preamble;
}
