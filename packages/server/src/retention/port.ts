import type { SensorId } from '@d4ts/protocol';
import type { Actor } from '../registry/port.ts';

/**
 * Why something goes (docs/retention.md): it is old; its sensor, its type, a queue or everything together has more than
 * its limit; the disk is nearly full; a sensor's data were erased on request.
 */
export const REMOVAL_REASONS = [
  'age',
  'sensor-bytes',
  'type-bytes',
  'queue-bytes',
  'total-bytes',
  'pressure',
  'erased',
] as const;
export type RemovalReason = (typeof REMOVAL_REASONS)[number];

/**
 * What has gone, of one sensor and topic: counted before it happens, so that after a crash it is not counted less.
 * - `archive`: finished files. This is a loss.
 * - `queue`: items that a queue had not handed out. They are lost to its consumers alone.
 * - `journal`, with `erased`: a loss. With any other reason no loss: the archive has had it, and the queues, or a
 *   `queue` event says what they had not.
 */
export interface RemovedEvent {
  readonly store: 'journal' | 'archive' | 'queue';
  readonly why: RemovalReason;
  readonly sensor: SensorId;
  /** The type: `3`, `maltrail`; not `files/…`. */
  readonly topic: string;
  /** Only of `queue`. */
  readonly queue?: string;
  /** Finished files; 0 but for `archive`. */
  readonly files: number;
  /** On disk, in bytes: of files as they were, compressed; of the journal the sensor's bytes without headers. */
  readonly bytes: number;
  /** Of the streams, as the sensor sent them, in bytes. Undefined where that is not known. */
  readonly streamBytes: number | undefined;
  /** Items; undefined where that is not known: nobody counted the lines of a file. */
  readonly records: number | undefined;
  /** ms since 1970 */
  readonly at: number;
}

/** Who counts what goes: the ledger. Must not throw. */
export interface Losses {
  onRemoved(event: RemovedEvent): void;
}

/** `ok`; `pressure`: retention removes what it may; `stopped`: no sensor is read until there is space. */
export type SpaceState = 'ok' | 'pressure' | 'stopped';

/** A file system that the server writes to. */
export interface DiskStatus {
  /** A folder on it. */
  readonly path: string;
  readonly holds: readonly ('journal' | 'archive')[];
  readonly state: SpaceState;
  readonly bytes: number;
  readonly freeBytes: number;
  /** Never used for data. */
  readonly reserveBytes: number;
  /** Undefined where the file system does not count them. */
  readonly inodes: number | undefined;
  readonly freeInodes: number | undefined;
  readonly reserveInodes: number;
}

/** What holds, in bytes and ms; undefined for no limit. */
export interface RetentionPolicy {
  readonly rewindAgeMs: number;
  readonly rewindBytes: number;
  readonly queueAgeMs: number;
  readonly queueBytes: number;
  readonly journalTypeBytes: number | undefined;
  readonly journalBytes: number | undefined;
  readonly archiveAgeMs: number | undefined;
  readonly archiveSensorBytes: number | undefined;
  readonly archiveTypeBytes: number | undefined;
  readonly archiveBytes: number | undefined;
}

/** What the journal holds of a topic. */
export interface HeldTopic {
  readonly topic: string;
  readonly bytes: number;
  readonly segments: number;
  readonly records: number;
  /** Time of the oldest entries, ms since 1970; undefined where there are none. */
  readonly oldest: number | undefined;
  /** What the oldest segment waits for: `archive`, `queue <uuid>`, `window` (the rewind window), `open` (it is still written). */
  readonly waitsFor: string | undefined;
}

/** What the archive holds of a type. */
export interface HeldFiles {
  readonly topic: string;
  readonly files: number;
  readonly bytes: number;
  /** Of it, of sensors on hold. */
  readonly heldBytes: number;
  /** Time of the oldest bytes, about; ms since 1970. */
  readonly oldest: number | undefined;
  readonly priority: number;
  readonly removedFiles: number;
  readonly removedBytes: number;
  /** At the present rate; undefined until it is known. */
  readonly bytesPerDay: number | undefined;
}

/** Something that was removed last. */
export interface LastRemoval {
  readonly at: number;
  readonly store: RemovedEvent['store'];
  readonly why: RemovalReason;
  readonly topic: string;
  readonly bytes: number;
}

/** When the disk will be full. */
export type Forecast =
  /** Not measured for long enough yet. */
  | { readonly outcome: 'unknown' }
  /** The limits keep what is stored below that, or nothing grows. */
  | { readonly outcome: 'never' }
  | { readonly outcome: 'full'; readonly days: number; readonly disk: string };

/** The erasure of a sensor's data. Times are ms since 1970. */
export interface Erasure {
  readonly sensor: SensorId;
  readonly by: string;
  readonly requestedAt: number;
  /** What it waits for, in words, while it is not done. */
  readonly waitsFor: string | undefined;
  readonly doneAt: number | undefined;
  readonly files: number;
  readonly fileBytes: number;
  readonly journalBytes: number;
  readonly journalRecords: number;
}

/** Everything that is known of retention. */
export interface RetentionStatus {
  readonly state: SpaceState;
  /** In words, where the state is not `ok`. */
  readonly reason: string | undefined;
  /** Since when the state is what it is. */
  readonly since: number;
  readonly disks: readonly DiskStatus[];
  /** Why the age rules do not work, where they do not. */
  readonly ageRulesPaused: string | undefined;
  readonly policy: RetentionPolicy;
  readonly journal: readonly HeldTopic[];
  readonly archive: readonly HeldFiles[];
  readonly lastRemoval: LastRemoval | undefined;
  readonly lastRunAt: number | undefined;
  /** Why the last run failed, where it did: it is done again. */
  readonly error: string | undefined;
  readonly forecast: Forecast;
  readonly erasures: readonly Erasure[];
}

/** What would go now, and why. */
export interface PlannedRemoval {
  readonly store: 'journal' | 'archive' | 'queue';
  readonly why: RemovalReason;
  readonly topic: string;
  readonly sensor: SensorId | undefined;
  readonly queue: string | undefined;
  readonly files: number;
  readonly bytes: number;
  /** In words. */
  readonly note: string;
}

/** The role that removes what has to go (docs/journal.md, rules 16 to 18). */
export interface Retention {
  status(): RetentionStatus;
  /** Looks through all now; resolved when what has to go has gone. What fails is in `status().error`. */
  run(): Promise<void>;
  /** What the next run would do; nothing is changed. */
  plan(): Promise<readonly PlannedRemoval[]>;
  /**
   * Erases what the server has of a sensor: closes its connections, and removes its files and its bytes in the journal.
   * It goes on in the background, also after a restart; `status().erasures` shows it.
   * @throws {D4Error} D4_CONFLICT where the sensor is on hold
   */
  erase(sensor: SensorId, actor: Actor): Promise<Erasure>;
  /** The clock is right after its jump: age rules work again. @returns whether they were paused */
  acceptClock(actor: Actor): Promise<boolean>;
  /** Ends what is under way, stops. */
  close(): Promise<void>;
}

/** What retention may do to those who write: the ingest of sensors, and the archive. */
export interface Holdable {
  /** Stops them, or with undefined lets them go on. */
  hold(reason: string | undefined): void;
}
