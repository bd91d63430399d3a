import { D4Error } from './errors.ts';
import { HEADER_BYTES, writeHeader } from './header.ts';
import { FrameHmac, HmacScratch } from './hmac.ts';
import { type SensorId, sensorIdBytes } from './sensor-id.ts';

/** The largest payload that a header can announce, in bytes. */
const MAX_SIZE = 0xffff_ffff;

/** Makes the frames of one sensor. */
export class FrameEncoder {
  readonly #uuid: Buffer;
  readonly #hmac: FrameHmac;
  readonly #version: number;
  readonly #scratch: HmacScratch;

  /**
   * @param options.key of any length; known clients use at most 1,023 bytes, and some only the first 100
   * @param options.version 0 to 255; `PROTOCOL_VERSION` unless a configuration says otherwise
   * @param options.scratch shared by encoders and decoders of one thread, which saves each 128 KiB
   * @throws {D4Error} D4_BAD_FRAME
   */
  constructor(options: { sensor: SensorId; key: Buffer; version: number; scratch?: HmacScratch }) {
    checkByte('version', options.version);
    this.#uuid = sensorIdBytes(options.sensor);
    this.#hmac = new FrameHmac(options.key);
    this.#version = options.version;
    this.#scratch = options.scratch ?? new HmacScratch();
  }

  /**
   * One whole frame (header and payload) in a new buffer.
   * @param type 0 to 255 (`WIRE_TYPE`)
   * @param payload may be empty; the reference server accepts at most `DEFAULT_MAX_PAYLOAD_BYTES`
   * @param timestamp whole seconds since 1970
   * @throws {D4Error} D4_BAD_FRAME
   */
  encode(type: number, payload: Buffer, timestamp: number): Buffer {
    checkByte('type', type);
    if (payload.length > MAX_SIZE) {
      throw new D4Error('D4_BAD_FRAME', `a payload of ${payload.length} bytes fits no frame: the limit is ${MAX_SIZE}`);
    }
    if (!Number.isSafeInteger(timestamp) || timestamp < 0) {
      throw new D4Error('D4_BAD_FRAME', `${timestamp} is no frame's timestamp: expected whole seconds since 1970`);
    }
    const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
    writeHeader(frame, 0, { version: this.#version, type, uuid: this.#uuid, timestamp, size: payload.length });
    payload.copy(frame, HEADER_BYTES);
    this.#hmac.sign(frame, 0, payload, this.#scratch);
    return frame;
  }
}

function checkByte(field: string, value: number): void {
  if (!Number.isInteger(value) || value < 0 || value > 255) {
    throw new D4Error('D4_BAD_FRAME', `${value} is no frame's ${field}: expected a whole number from 0 to 255`);
  }
}
