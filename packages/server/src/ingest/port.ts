import type { RefusalCode, SensorId } from '@d4ts/protocol';

/** A live session (design.md, Words). Times are ms since 1970. */
export interface SessionInfo {
  readonly sensor: SensorId;
  readonly topic: string;
  readonly address: string;
  readonly port: number;
  readonly since: number;
  readonly lastFrameAt: number;
  readonly frames: number;
  readonly bytes: number;
  readonly records: number;
  /** Whether it is signed with a key that has been replaced and holds for a while only. */
  readonly usesPreviousKey?: boolean;
  /** Of a session whose stream is acknowledged; absent where it speaks v1. */
  readonly acknowledged?: AcknowledgedInfo;
}

/** How an acknowledged stream stands; offsets are in bytes. */
export interface AcknowledgedInfo {
  /** 32 hexadecimal digits. */
  readonly stream: string;
  /** What came of it, and what of that is committed and synced and was told so. */
  readonly receivedTo: number;
  readonly acknowledgedTo: number;
  /** Gaps that its client has told of in this session, and their bytes. */
  readonly gaps: number;
  readonly gapBytes: number;
}

/**
 * Who counts what comes, to the byte (docs/ledger.md). What the registry's activity says is counted from there; these
 * are the rest. Nothing here is called for each frame.
 */
export interface IngestLedger {
  /** A stream begins. */
  opened(sensor: SensorId, topic: string): void;
  /**
   * A stream has ended and waits for nothing more: of the bytes that came in its verified frames, so many are committed,
   * as data or as a gap.
   * @param why the rest is lost; `sent-again` where it is not, because the client sends it again
   */
  ended(
    sensor: SensorId,
    topic: string,
    bytes: { readonly came: number; readonly committed: number },
    why: string,
  ): void;
  /**
   * A connection has ended: bytes of it were in no verified frame.
   * @param sensor undefined where nothing was proved
   * @param reason of the refusal; undefined where the last frame never was whole
   */
  unverified(sensor: SensorId | undefined, reason: RefusalCode | undefined, bytes: number): void;
  /** A client offered bytes again that the server had already, and they were recognised. */
  duplicate(sensor: SensorId, topic: string, bytes: number): void;
}

/** What the listener proves itself with, PEM. `ca` is what sensors pin: it is told to those that enrol. */
export interface ListenerIdentity {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

/** What the rest of the server may know of, and do to, the sensors' connections. */
export interface Ingest {
  /** The address that the listener really has. */
  readonly address: { host: string; port: number };
  readonly connections: number;
  sessions(): SessionInfo[];
  /** Sensors with two sessions of one type that are both active (docs/journal.md, rule 33). */
  suspectedClones(): SensorId[];
  /** Whether reading is held back because the journal is behind, and how often that happened. */
  backPressure(): { readonly paused: number; readonly pauses: number };
  /** Closes all connections of a sensor. @returns how many */
  kick(sensor: SensorId): number;
  /** Reads no sensor for this reason, until it is called again with undefined (docs/journal.md, rule 18). */
  hold(reason: string | undefined): void;
  /**
   * Closes all connections of a sensor whose data are to be erased, and forgets what its streams began with; resolved
   * when what had come is committed.
   */
  expel(sensor: SensorId): Promise<void>;
  /** Swaps the certificate of the listener live. */
  setIdentity(identity: ListenerIdentity): void;
  /** Stops accepting, finishes what has arrived, closes. */
  close(): Promise<void>;
}
