import type { RefusalCode, SensorId } from '@d4ts/protocol';
import type { ComparableSession } from './session-table.ts';

/** What a connection and the hub need of a session, of whichever protocol. Times are monotonic, ms. */
export interface SensorSession extends ComparableSession {
  /** Verified frames or messages, the bytes in them, and those of the stream alone. */
  readonly frames: number;
  readonly bytes: number;
  readonly streamFrames: number;
  readonly streamBytes: number;
  /** Bytes of verified frames or messages, whole. */
  readonly verifiedBytes: number;
  /** Bytes of an unfinished frame or message. */
  readonly pendingBytes: number;
  readonly over: boolean;
  readonly isProved: boolean;
  /** The sensor that is proved, or that the connection claims to be. */
  readonly sensor: SensorId | undefined;
  /** Whether it was proved with a key that has been replaced and holds for a while only. */
  readonly usesPreviousKey: boolean;
  /** Takes the next bytes; ignored once the session is over. */
  receive(chunk: Buffer, now: number): void;
  /** Time has passed. @param held whether the connection is not read */
  tick(now: number, held: boolean): void;
  /** The connection is read again. */
  resumed(now: number): void;
  /** The registry has changed. */
  reconsider(): void;
  /** Ends the session for a reason that lies outside the stream. */
  close(code: RefusalCode): void;
  /** The connection has ended. */
  end(): void;
}
