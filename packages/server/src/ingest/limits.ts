import { DEFAULT_MAX_PAYLOAD_BYTES } from '@d4ts/protocol';

/** What sensors, and those who pretend to be some, may cost. Times are ms. */
export interface IngestLimits {
  /** The largest payload of a frame, in bytes, where the sensor has no limit of its own. */
  readonly maxPayloadBytes: number;
  readonly handshakeTimeoutMs: number;
  /** From the first byte of an incomplete header. */
  readonly headerTimeoutMs: number;
  /** Without a byte of a payload that is due. */
  readonly payloadTimeoutMs: number;
  /** How long a connection that the server has closed may take to go: until then what it sends is thrown away. */
  readonly closeTimeoutMs: number;
  /** At the end: for finishing what has arrived. */
  readonly drainTimeoutMs: number;
  readonly keepAliveMs: number;
  /** How often the client of an acknowledged stream hears of the server at the least. */
  readonly heartbeatMs: number;
  /** Connections, handshakes included, that have not sent a verified frame: in all, and of one address (IPv6: one /64). */
  readonly unprovedConnections: number;
  readonly unprovedPerAddress: number;
  /** Bytes of unfinished frames that all unproved connections together may make the server hold. */
  readonly unprovedBytes: number;
  /** Connections of one address (IPv6: one /64) that may fail without having proved anything, and how many more each second. */
  readonly failuresPerAddress: number;
  readonly failuresPerSecond: number;
  /** Sessions side by side of one sensor and topic (docs/journal.md, rule 33). */
  readonly sessionsSideBySide: number;
  /** Bytes that wait for the journal: beyond them no socket of the sensor, or of any, is read until half is left. */
  readonly sensorPendingBytes: number;
  readonly pendingBytes: number;
  /** Bytes that large unfinished records of all sessions may get: who finds no room is not read until there is some. */
  readonly unfinishedRecordBytes: number;
  /** Sensors that register themselves in shared-secret mode: within an hour, and in all. */
  readonly enrolledPerHour: number;
  readonly enrolled: number;
}

export const DEFAULT_LIMITS: IngestLimits = {
  maxPayloadBytes: DEFAULT_MAX_PAYLOAD_BYTES,
  handshakeTimeoutMs: 15_000,
  headerTimeoutMs: 30_000,
  payloadTimeoutMs: 30_000,
  closeTimeoutMs: 2_000,
  drainTimeoutMs: 5_000,
  keepAliveMs: 60_000,
  heartbeatMs: 15_000,
  unprovedConnections: 10_000,
  unprovedPerAddress: 1_000,
  unprovedBytes: 64 * 1024 * 1024,
  failuresPerAddress: 500,
  failuresPerSecond: 10,
  sessionsSideBySide: 4,
  sensorPendingBytes: 1024 * 1024,
  pendingBytes: 96 * 1024 * 1024,
  unfinishedRecordBytes: 256 * 1024 * 1024,
  enrolledPerHour: 200,
  enrolled: 5_000,
};
