import type { StreamDefinition } from '../journal/port.ts';
import type { RecordLines } from './record-lines.ts';

/** Records on their way out, the oldest first. */
export interface RecordBatch {
  /** Each without a terminator, e.g. a line without its newline, or the path of a file. */
  readonly records: readonly Buffer[];
  /** The stream that each of them came in, where the source knows. */
  readonly streams?: readonly StreamDefinition[];
  /** The same records as lines, where the source has them so: whoever sends lines need not look at each record. */
  readonly lines?: RecordLines;
}

/** Where an exporter's records come from. Taking runs ahead of delivery; both go in order. */
export interface RecordSource {
  /** The source in words, for messages: `queue 5f2b… of type 3`. */
  readonly name: string;
  /** How much may be taken and not delivered, of all its records together. */
  readonly maxOutstanding: Outstanding;
  /**
   * The next records; waits until there are some.
   * @returns perhaps none where the signal ended the wait
   * @throws where there will never be any
   */
  take(signal: AbortSignal): Promise<RecordBatch>;
  /** The oldest `count` of those taken are delivered, or never can be. */
  delivered(count: number): void;
  /** How many wait that were not taken; undefined where that is not known now. */
  waiting(): Promise<number | undefined>;
  /** Ends it. What was taken and not delivered is there again for whoever comes next. @throws where that failed */
  close(): Promise<void>;
}

/** A number of records, and their bytes. */
export interface Outstanding {
  readonly records: number;
  readonly bytes: number;
}

/** What a target tells about itself. */
export interface TargetEvents {
  /** The oldest `count` of the records that were sent are delivered, or never can be (then they are counted there). */
  delivered(count: number): void;
  /** Something that the operator should know: one line. */
  warn(text: string): void;
}

/** What has happened at a target since it was opened. */
export interface TargetCounts {
  /** Attempts that failed: to connect, to send, a broken connection. */
  errors: number;
  /** Records that can never be delivered: too long for a datagram, a file that is gone. */
  skipped: number;
  /** Records that were sent once more, because it was not sure that they had arrived. */
  repeated: number;
}

/** Where an exporter delivers records. It connects again for ever, with a back-off. */
export interface ExportTarget {
  /** The target in words: `tcp 192.0.2.1:514`. */
  readonly where: string;
  readonly counts: TargetCounts;
  /** Why nothing can be delivered now; undefined where all is well. */
  readonly problem: string | undefined;
  /**
   * Takes records to deliver, in order. Resolved when it can take more, or when the signal ended the wait: then what it
   * has not told as delivered may or may not have been sent.
   * @throws where it never will deliver anything
   */
  send(batch: RecordBatch, signal: AbortSignal): Promise<void>;
  /** More to say with the counts, for `-v`; empty where there is nothing. */
  remark?(): string;
  /** Delivers what it has, for some seconds, and closes. */
  close(): Promise<void>;
}

/** Makes a target. @param maxOutstanding how much of what it was given may wait for its delivery */
export type OpenTarget = (events: TargetEvents, maxOutstanding: Outstanding) => Promise<ExportTarget>;

/** Whether a record is exported; those that are not count as delivered, and are counted apart. */
export type RecordFilter = (record: Buffer) => boolean;
