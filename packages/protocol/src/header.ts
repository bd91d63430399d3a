import { type SensorId, sensorIdAt } from './sensor-id.ts';

/** Bytes of a frame's header (docs/d4-protocol.md). */
export const HEADER_BYTES = 62;
/** The version that every known client sends. Servers ignore it. */
export const PROTOCOL_VERSION = 1;
/** The largest payload the reference server accepts, in bytes; the format itself has no limit below 2^32. */
export const DEFAULT_MAX_PAYLOAD_BYTES = 1_000_000;

const OFFSET_VERSION = 0;
const OFFSET_TYPE = 1;
const OFFSET_UUID = 2;
const OFFSET_TIMESTAMP = 18;
export const OFFSET_HMAC = 26;
const OFFSET_SIZE = 58;
export const HMAC_BYTES = 32;

/**
 * A view of one frame header where it lies: nothing is copied or allocated until asked for.
 * It is valid only during the decoder's call that handed it out.
 */
export class FrameHeader {
  /** The buffer in which the header lies, and where it starts there. */
  bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  get version(): number {
    return this.bytes[this.at + OFFSET_VERSION] as number;
  }

  get type(): number {
    return this.bytes[this.at + OFFSET_TYPE] as number;
  }

  /** The sensor's UUID as text. */
  get sensor(): SensorId {
    return sensorIdAt(this.bytes, this.at + OFFSET_UUID);
  }

  /** Seconds since 1970; exact up to 2^53. */
  get timestamp(): number {
    const at = this.at + OFFSET_TIMESTAMP;
    return this.bytes.readUInt32LE(at) + this.bytes.readUInt32LE(at + 4) * 0x1_0000_0000;
  }

  /** Payload length in bytes. */
  get size(): number {
    return this.bytes.readUInt32LE(this.at + OFFSET_SIZE);
  }

  /** Whether the header carries these 16 UUID bytes. */
  isFrom(uuid: Buffer): boolean {
    const at = this.at + OFFSET_UUID;
    return uuid.compare(this.bytes, at, at + 16) === 0;
  }
}

/** Writes a header with a zero HMAC field at `at`. `timestamp` is in whole seconds since 1970. */
export function writeHeader(
  target: Buffer,
  at: number,
  fields: { version: number; type: number; uuid: Buffer; timestamp: number; size: number },
): void {
  target[at + OFFSET_VERSION] = fields.version;
  target[at + OFFSET_TYPE] = fields.type;
  fields.uuid.copy(target, at + OFFSET_UUID, 0, 16);
  target.writeUInt32LE(fields.timestamp >>> 0, at + OFFSET_TIMESTAMP);
  target.writeUInt32LE(Math.floor(fields.timestamp / 0x1_0000_0000) >>> 0, at + OFFSET_TIMESTAMP + 4);
  target.fill(0, at + OFFSET_HMAC, at + OFFSET_HMAC + HMAC_BYTES);
  target.writeUInt32LE(fields.size >>> 0, at + OFFSET_SIZE);
}
