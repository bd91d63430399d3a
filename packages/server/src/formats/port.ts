import type { RefusalCode } from '@d4ts/protocol';

/** The largest preamble, in bytes: a stream that needs more is refused. */
export const MAX_PREAMBLE_BYTES = 256 * 1024;

/** What a cutter reports to, in stream order. */
export interface CutSink {
  /**
   * Whole records, contiguous in the stream; the end of the last piece is a boundary. During the call the cutter's
   * `preamble` is what a reader must have seen before the first of these bytes.
   * @param records items in them (docs/journal.md, rule 7)
   */
  records(pieces: readonly Buffer[], bytes: number, records: number): void;
  /** A record longer than the format's limit was cut here; its parts were or will be reported as records. */
  cut(): void;
  /**
   * Bytes of the stream that are left out, and why; a longer range may come in several calls.
   * @param leftOut the bytes themselves, valid during the call
   */
  skipped(bytes: number, why: string, leftOut: Buffer): void;
}

/**
 * Finds record boundaries in one stream. Pure: bytes in, reports out. Keeps what it cannot report yet in memory of its
 * own. At any time what it reported, what it skipped and `pendingBytes` sum up to what it was given.
 */
export interface Cutter {
  /** Bytes held: the unfinished record, at most `maxRecordBytes`, and `MAX_PREAMBLE_BYTES` more in a format that has preambles. */
  readonly pendingBytes: number;
  /**
   * What a reader must have seen before the next bytes that are reported (rule 5); empty for most formats. What the
   * stream itself begins with (a pcap header) is reported as bytes of the stream and is in the preamble from then on:
   * a file that begins at the stream's start has it once.
   */
  readonly preamble: Buffer;
  /**
   * What goes on behind the bytes that were reported or left out last, such as a line that is left out; undefined where
   * a record begins there. What `Format.resumeCutter` needs beside the preamble.
   */
  readonly within?: string | undefined;
  /**
   * Takes the next bytes. They must not change until what was reported of them is appended.
   * @returns a refusal where the bytes are not of the format; it stays
   */
  push(bytes: Buffer, sink: CutSink): RefusalCode | undefined;
  /**
   * The stream ended: reports what is held.
   * @returns whether it ended within a record (rules 35, 36); then all that this call reported belongs to it, except
   *   preamble before it
   */
  end(sink: CutSink): boolean;
}

/** One type's or meta type's format: how its stream is cut, what its items are, how it is archived. */
export interface Format {
  readonly name: string;
  /** Whether consumers get records, or paths of finished files (rule 7). */
  readonly items: 'records' | 'files';
  /** Whether a record is a line, and its item that line without its newline, or no item where the line is empty. */
  readonly isLines?: boolean;
  /** The largest record, in bytes. */
  readonly maxRecordBytes: number;
  /** What an unfinished record at a stream's end is: a record, or a rest that is kept beside the file as `.rest` (rules 31, 36). */
  readonly unfinished: 'record' | 'rest';
  readonly archive: Archive;
  /**
   * @param earlier the preamble that an earlier good stream of the same sensor and topic ended with: a stream that goes
   *   on without one uses it, from the first record that can be recognised (rule 35)
   */
  newCutter(earlier?: Buffer): Cutter;
  /**
   * A cutter for the rest of a stream, from behind what another cutter has reported or left out on: together they report
   * what one would have (docs/journal.md, rule 40).
   * @param preamble of the other cutter at that time
   * @param within of the other cutter at that time
   */
  resumeCutter(preamble: Buffer, within?: string): Cutter;
  /**
   * The end of the record that starts at `at` in bytes that were reported, its terminator included; the bytes' length
   * where no terminator follows.
   * @param preamble what a reader must have seen before `at`; a format that has preambles and is not told takes all the
   *   bytes for one record, which a report of more than 64 KiB is
   */
  recordEnd(bytes: Buffer, at: number, preamble?: Buffer): number;
  /**
   * The item in the record `[start, end)`, e.g. the line without its newline; where items are files, what counts as a
   * record (a packet).
   * @returns where it ends; `start` where the record is no item (an empty line, an interface block)
   */
  itemEnd(bytes: Buffer, start: number, end: number, preamble?: Buffer): number;
  /**
   * What a reader must have seen after these whole records, given what it must have seen before them. A format without
   * this has no preambles.
   */
  preambleAfter?(preamble: Buffer, records: Buffer): Buffer;
}

/** How the archive keeps a format's streams (docs/journal.md, rules 27 to 32; docs/drop-in.md, Files on disk). */
export type Archive = RotatedArchive | RecordArchive;

/** A stream's bytes go into one file after another, each of which begins with the preamble as of its first byte. */
export interface RotatedArchive {
  readonly kind: 'rotated';
  /** Without a dot in front and without `.gz`. */
  readonly extension: string;
  readonly periodMs: number;
  /** Stream bytes in a file, before compression. */
  readonly maxBytes: number;
}

/** Each record makes files of its own. */
export interface RecordArchive {
  readonly kind: 'per-record';
  /** Where records that make no files are kept, as they came. */
  readonly rejected: RotatedArchive;
  /**
   * The files of one record. Pure; does not throw. No part of a name is as it came (rule 32).
   * @param record the record without its terminator; not empty
   */
  files(record: Buffer, context: RecordContext): readonly RecordFile[] | Rejection;
}

/** What is known of a record beside its bytes. */
export interface RecordContext {
  /** The stream's meta header, JSON. */
  readonly metaHeader: string | undefined;
  /** The stream ended within the record (rule 36). */
  readonly partial: boolean;
}

/** Why a record makes no files. A constant text without any of the record's bytes, so that it can be counted by. */
export interface Rejection {
  readonly rejected: string;
}

/** A file that a record makes. */
export interface RecordFile {
  /** `<data>/datas/<topic>/`, which all sensors share, or `<data>/<uuid>/254/<day>/<topic>/`. */
  readonly folder: 'shared' | 'sensor';
  /** Folders below that. */
  readonly path: readonly string[];
  /** The file's name is `<stem>.<extension>`, and `.gz` behind it where it is compressed. */
  readonly stem: string;
  readonly extension: string;
  /** Whether the name is made from the bytes (a file of that name is this file), or may be taken (rule 32: `-2`, `-3`, …). */
  readonly named: 'by-content' | 'by-record';
  readonly bytes: Buffer;
  readonly compress: boolean;
  /** Whether its path is an item. */
  readonly announce: boolean;
}
