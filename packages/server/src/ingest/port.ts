import type { SensorId } from '@d4ts/protocol';

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
  /** Swaps the certificate of the listener live. */
  setIdentity(identity: { key: string; cert: string }): void;
  /** Stops accepting, finishes what has arrived, closes. */
  close(): Promise<void>;
}
