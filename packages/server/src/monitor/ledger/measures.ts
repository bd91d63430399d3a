/**
 * What is counted for each sensor and topic, by hour (docs/ledger.md). Bytes of sensors are payload of the stream:
 * without frames' headers and meta headers. The names are the columns in `ledger.sqlite`: never rename one; add at the
 * end, with a migration.
 */
export const MEASURES = [
  /** Verified frames of the stream, and their bytes. */
  'frames',
  'bytes',
  'sessions',
  /** Refusals, and what came and is in no verified frame for it; bytes of a last frame that never was whole. */
  'refused',
  'refusedBytes',
  'unfinishedBytes',
  /** Came again and was recognised; not in `bytes`. */
  'duplicateBytes',
  /** In the journal: items, and bytes of records. */
  'records',
  'journaledBytes',
  /** Gaps: how many, what came and could not be kept, and what never came. */
  'gaps',
  'leftOutBytes',
  'missingBytes',
  /** Verified, and never journaled. */
  'lostBytes',
  /** Verified, not committed when an acknowledged stream's connection ended, and so sent again. */
  'resentBytes',
  /** In finished files: bytes of streams, files, and their bytes on disk. */
  'archivedBytes',
  'archivedFiles',
  'archivedFileBytes',
  /** Items: offered to queues (once for each), taken by consumers, dropped. */
  'queued',
  'delivered',
  'dropped',
  /** Removed from the journal by retention, and found damaged there. */
  'removedRecords',
  'removedBytes',
  'damagedRecords',
  /** Removed from the archive by retention. */
  'removedFiles',
  'removedFileBytes',
] as const;
export type Measure = (typeof MEASURES)[number];

/** Counts of all measures. */
export type Counts = Readonly<Record<Measure, number>>;

/** What has reasons. */
export const REASON_KINDS = ['refused', 'gap', 'lost', 'dropped', 'removed'] as const;
export type ReasonKind = (typeof REASON_KINDS)[number];

/** How often for a reason, and how many bytes that were. */
export interface ReasonCount {
  readonly kind: ReasonKind;
  readonly reason: string;
  readonly count: number;
  readonly bytes: number;
}

/** The position of a measure in arrays of counts. */
export const AT: Readonly<Record<Measure, number>> = Object.fromEntries(
  MEASURES.map((measure, index) => [measure, index]),
) as Record<Measure, number>;

export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;

/** The hour (UTC) of a time, in hours since 1970. @param time ms since 1970 */
export function hourOf(time: number): number {
  return Math.floor(time / HOUR_MS);
}

/** The counts of an array. */
export function countsOf(values: ArrayLike<number>): Counts {
  return Object.fromEntries(MEASURES.map((measure, index) => [measure, values[index] ?? 0])) as Record<Measure, number>;
}
