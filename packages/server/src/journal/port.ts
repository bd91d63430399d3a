import type { SensorId } from '@d4ts/protocol';

/** A topic's name: an accepted type (`3`) or an accepted meta type (`maltrail`) (docs/journal.md, rule 1). */
export type Topic = string;

/** What an entry is (rule 5). The numbers are those on disk. */
export const ENTRY_KIND = { define: 1, data: 2, cut: 3, close: 4, gap: 5, file: 6 } as const;
export type EntryKind = (typeof ENTRY_KIND)[keyof typeof ENTRY_KIND];

/** Entry flags, a bit field. `first`/`last` are set on the fragments of a record that is larger than one entry may be. */
export const ENTRY_FLAG = {
  /** First fragment of a record. */
  first: 1,
  /** Last fragment of a record; the record counts here. */
  last: 2,
  /** Neither first nor last, but a fragment. */
  middle: 4,
  /** A partial record at the end of a stream (rule 36). */
  partial: 8,
  /** The first line may continue one that an earlier session broke off (rule 35). */
  continued: 16,
  /** The stream ended because the server had crashed (rule 28). */
  crashed: 32,
  /** An acknowledged stream whose client was killed, or has not come back for 90 days: there may have been more. */
  aborted: 64,
} as const;

/** What is known of a stream from its start; written as its `define` entry in every segment (rule 5). */
export interface StreamDefinition {
  /** 32 hexadecimal digits, random; named by the server for v1 sessions (rule 33). */
  readonly id: string;
  readonly sensor: SensorId;
  readonly topic: Topic;
  /** The wire type: 254 for declared streams. */
  readonly type: number;
  /** The meta header's JSON text, for declared streams. */
  readonly metaHeader?: string;
  /** What a reader must have seen before the stream's next byte, e.g. the pcap global header; empty at its first byte. */
  readonly preamble: Buffer;
  /** Of an acknowledged stream, which outlives sessions and restarts of the server (rules 13, 37 to 43). */
  readonly acknowledged?: {
    /** CRC-32 of the stream up to the next byte; undefined where it is not known. */
    readonly crc?: number | undefined;
    /** The stream that it names as the one before it. */
    readonly previous?: string | undefined;
  };
}

/** What going on with an acknowledged stream needs, as of its last entry (rule 13). */
export interface StreamState {
  /** CRC-32 of the stream so far; undefined where it is not known. */
  readonly crc: number | undefined;
  /** What a reader must have seen before the next byte. */
  readonly preamble: Buffer;
  /** What the stream's cutter was in the middle of, if it was. */
  readonly within?: string | undefined;
}

/** Where an acknowledged stream stands. */
export interface StreamPosition {
  readonly definition: StreamDefinition;
  /** Its length, in bytes. */
  readonly offset: number;
  readonly state: StreamState;
  /** Found after a crash: the preamble is the one before the entry with this sequence, and those from there continue it. */
  readonly preambleFrom?: number | undefined;
  /** Found after a crash: the record that is unfinished there has its first fragment at this sequence or behind it. */
  readonly fragmentFrom?: number | undefined;
  /** Of its last entry, ms since 1970. */
  readonly time: number;
}

/** Whole records of a stream, or one fragment of a large record, on their way into the journal. */
export interface EntryDraft {
  readonly kind: EntryKind;
  readonly flags: number;
  /** The bytes, in order; not touched by their owner until the append has been resolved. */
  readonly pieces: readonly Buffer[];
  /** Total length of `pieces`, in bytes. */
  readonly bytes: number;
  /** Items in it (rule 7); for a fragment 0 unless it is the last. */
  readonly records: number;
  /** Of a `gap`: how many bytes of the stream it stands for (rule 31). */
  readonly leftOut?: number;
}

/** By how much an entry advances its stream's offset, in bytes (rule 4). */
export function advanceOf({ kind, bytes, leftOut = 0 }: EntryDraft): number {
  if (kind === ENTRY_KIND.data) return bytes;
  return kind === ENTRY_KIND.gap ? leftOut : 0;
}

/** An entry as it is read back. `bytes` is a view of a buffer that belongs to the reader. */
export interface Entry {
  readonly sequence: number;
  readonly kind: EntryKind;
  readonly flags: number;
  readonly stream: StreamDefinition;
  /** Position of the entry's first byte in the stream as the sensor sent it, in bytes; of a `gap` that of the byte behind it. */
  readonly offset: number;
  readonly records: number;
  /** Wall clock, ms since 1970; never goes back within a topic. */
  readonly time: number;
  readonly bytes: Buffer;
}

/** A reader's position: the entry, and how many of its items have been taken (rule 2). */
export interface Position {
  readonly sequence: number;
  readonly record: number;
}

export interface TopicStats {
  readonly topic: Topic;
  /** First sequence still held, and the first one not yet committed (the watermark plus one). */
  readonly firstSequence: number;
  readonly endSequence: number;
  readonly segments: number;
  /** Bytes on disk. */
  readonly bytes: number;
  /** Items held. */
  readonly records: number;
  /** Gaps that recovery found, in all, and the bytes that are set aside for them. */
  readonly gaps: number;
  readonly gapBytes: number;
}

/** A segment of a topic, as retention sees it. */
export interface SegmentFacts {
  readonly firstSequence: number;
  /** The sequence after its last. */
  readonly endSequence: number;
  /** On disk. */
  readonly bytes: number;
  readonly records: number;
  /** Of its last entry, ms since 1970. */
  readonly lastTime: number;
  /** False while it is written. */
  readonly sealed: boolean;
}

/** What a sensor has in a part of a topic: items, and bytes of the stream without headers. */
export interface SensorContents {
  readonly records: number;
  readonly bytes: number;
}

/** An entry, and how many items of its selection lie before it. */
export interface CountedEntry {
  readonly entry: Entry;
  readonly ordinal: number;
}

/**
 * What some sensors have sent to a topic, counted for itself: its ordinals are those of its own items. It follows the
 * commits until it is closed. Nothing of other sensors is read (docs/journal.md, rule 14).
 */
export interface TopicSelection {
  /** As `TopicLog.endOrdinal`, of the selection. */
  readonly endOrdinal: number;
  /** The entries of data and of files from a sequence on, as `TopicLog.read`. */
  read(sequence: number, maxBytes: number): Promise<CountedEntry[]>;
  /** As `TopicLog.ordinalOf`, of the selection; the position may be that of another sensor's entry. */
  ordinalOf(position: Position): Promise<number>;
  /** As `TopicLog.positionOf`, of the selection. */
  positionOf(ordinal: number): Promise<Position>;
  close(): void;
}

/** One stream's part of a commit: its drafts, the first of them at byte `offset` of the stream. */
export interface CommittedAppend {
  readonly stream: StreamDefinition;
  readonly offset: number;
  readonly drafts: readonly EntryDraft[];
}

/** What one commit has put into a topic. */
export interface Commit {
  /** The first sequence of it, and the one after its last. */
  readonly firstSequence: number;
  readonly endSequence: number;
  /** Of its entries; wall clock, ms since 1970. */
  readonly time: number;
  readonly appends: readonly CommittedAppend[];
  /** Bytes of the drafts, and how long it took to write and sync them, in ms. */
  readonly bytes: number;
  readonly durationMs: number;
}

/**
 * One topic of the journal. Appends of different streams commit together; one append may be in flight for each stream
 * (rule 15).
 */
export interface TopicLog {
  readonly topic: Topic;
  /** The first sequence that is not committed: readers stop before it (rule 10). */
  readonly endSequence: number;
  /** The first sequence still held. */
  readonly firstSequence: number;
  /** The largest entry an append may contain, in bytes. */
  readonly maxEntryBytes: number;
  /**
   * Appends drafts of one stream, all or nothing; resolved when committed under the policy.
   * @param expectedOffset the stream's length so far, in bytes
   * @param after how an acknowledged stream stands behind them; resolved when synced, whatever the policy (rule 10)
   * @throws {D4Error} D4_JOURNAL_OFFSET where the stream has another length, or an append in flight;
   *   D4_JOURNAL_FAILED where it could not be written, or the journal is closed; D4_JOURNAL_ENTRY where an entry, the
   *   meta header or the preamble is too long
   */
  append(
    stream: StreamDefinition,
    expectedOffset: number,
    drafts: readonly EntryDraft[],
    after?: StreamState,
  ): Promise<void>;
  /** Where an acknowledged stream that has not ended stands; undefined where there is none with this id. */
  lastOf(id: string): StreamPosition | undefined;
  /** The acknowledged streams that have not ended. */
  openStreams(): StreamPosition[];
  /**
   * Puts a `cut` into a stream: whoever makes files of it ends one there (docs/journal.md, rule 28). Nothing happens
   * where the stream has ended, or is within the fragments of a record.
   */
  cut(stream: StreamDefinition): Promise<void>;
  /**
   * Reads committed entries from a sequence on (or from the next one held, where it is no longer or never was), at
   * least one if there is one, about `maxBytes` in all.
   */
  read(sequence: number, maxBytes: number): Promise<Entry[]>;
  /**
   * Items committed so far, counted from an origin that stays the same while the journal is open. The ordinals of
   * items are the queues' arithmetic: a length is a difference of two. Items that are damaged while the journal is open
   * stay counted, until it is opened again: whoever has read up to `endSequence` is at `endOrdinal`, whatever it took.
   */
  readonly endOrdinal: number;
  /**
   * How many items lie before a position; a place that is no longer held counts as the first one that is, a record
   * number beyond its entry's items as the end of that entry.
   */
  ordinalOf(position: Position): Promise<number>;
  /** The position of the item with this ordinal; the end where there is none. */
  positionOf(ordinal: number): Promise<Position>;
  /** The first position whose entry has a time at or after `time` (ms). */
  positionAt(time: number): Promise<Position>;
  /** Selects what these sensors have sent and will send. */
  select(sensors: readonly SensorId[]): Promise<TopicSelection>;
  /** Calls `listener` after each commit, with what is in it. @returns how to stop that */
  onCommit(listener: (commit: Commit) => void): () => void;
  stats(): TopicStats;
  /** Its segments, the oldest first. */
  segments(): SegmentFacts[];
  /** What each sensor has in the segment that begins with a sequence; nothing where there is none. */
  contentsOf(firstSequence: number): Promise<ReadonlyMap<SensorId, SensorContents>>;
  /** How many items of each sensor lie from a position to a sequence. */
  itemsBetween(from: Position, to: number): Promise<ReadonlyMap<SensorId, number>>;
  /** Forgets whole sealed segments before `sequence` (rule 18). */
  truncateBefore(sequence: number): Promise<void>;
  /** Ends the open segment, so that it can be forgotten: the next one begins with a note that says why. */
  renew(why: string): Promise<void>;
  /**
   * Overwrites what a sensor has sent in sealed segments that begin before `sequence`: gaps take its place, which count
   * as so many items (rule 31). Doing it again does nothing.
   * @returns what was erased now
   */
  erase(sensor: SensorId, sequence: number): Promise<SensorContents>;
}

/** The journal: append-only topics (docs/journal.md, rules 1 to 15). */
export interface Journal {
  /** Opens a topic, creating it if needed. */
  open(topic: Topic): Promise<TopicLog>;
  /** A topic that is open already. */
  get(topic: Topic): TopicLog | undefined;
  /** Calls `listener` with each topic that is opened from now on, before anything is appended to it. @returns how to stop that */
  onOpen(listener: (log: TopicLog) => void): () => void;
  /** Names of all topics that exist. */
  topics(): Topic[];
  close(): Promise<void>;
}
