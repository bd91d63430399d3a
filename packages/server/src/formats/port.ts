import type { RefusalCode } from '@d4ts/protocol';

/** What a cutter reports to, in stream order. */
export interface CutSink {
  /**
   * Whole records, contiguous in the stream; the end of the last piece is a boundary.
   * @param records items in them (docs/journal.md, rule 7)
   */
  records(pieces: readonly Buffer[], bytes: number, records: number): void;
  /** A record longer than the format's limit was cut here; its parts were or will be reported as records. */
  cut(): void;
  /** Bytes of the stream that are left out, and why. */
  skipped(bytes: number, why: string): void;
}

/**
 * Finds record boundaries in one stream. Pure: bytes in, reports out. Keeps the unfinished record, at most the
 * format's limit, in memory of its own.
 */
export interface Cutter {
  /** Bytes of the unfinished record. */
  readonly pendingBytes: number;
  /** What a reader must have seen before any record of the stream so far (rule 5); empty for most formats. */
  readonly preamble: Buffer;
  /**
   * Takes the next bytes. They must not change until what was reported of them is appended.
   * @returns a refusal where the bytes are not of the format
   */
  push(bytes: Buffer, sink: CutSink): RefusalCode | undefined;
  /** The stream ended: reports the unfinished record. @returns whether it was a partial one (rules 35, 36) */
  end(sink: CutSink): boolean;
}

/** One type's or meta type's format: how its stream is cut, and what its items are. */
export interface Format {
  readonly name: string;
  /** Whether consumers get records, or paths of finished files (rule 7). */
  readonly items: 'records' | 'files';
  /** The largest record, in bytes. */
  readonly maxRecordBytes: number;
  newCutter(): Cutter;
  /**
   * The end of the record that starts at `at` in the bytes of an entry, its terminator included; the bytes' length
   * where no terminator follows.
   */
  recordEnd(bytes: Buffer, at: number): number;
  /**
   * The item in the record `[start, end)`, e.g. the line without its newline.
   * @returns where it ends; `start` where the record is no item (an empty line)
   */
  itemEnd(bytes: Buffer, start: number, end: number): number;
}
