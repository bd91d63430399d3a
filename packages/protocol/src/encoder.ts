import { HEADER_BYTES, writeHeader } from './header.ts';
import { FrameHmac, HmacScratch } from './hmac.ts';
import { type SensorId, sensorIdBytes } from './sensor-id.ts';

/** Makes the frames of one sensor. */
export class FrameEncoder {
  readonly #uuid: Buffer;
  readonly #hmac: FrameHmac;
  readonly #version: number;
  readonly #scratch: HmacScratch;

  constructor(options: { sensor: SensorId; key: Buffer; version: number; scratch?: HmacScratch }) {
    this.#uuid = sensorIdBytes(options.sensor);
    this.#hmac = new FrameHmac(options.key);
    this.#version = options.version;
    this.#scratch = options.scratch ?? new HmacScratch();
  }

  /**
   * One whole frame (header and payload) in a new buffer.
   * @param timestamp whole seconds since 1970
   */
  encode(type: number, payload: Buffer, timestamp: number): Buffer {
    const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
    writeHeader(frame, 0, { version: this.#version, type, uuid: this.#uuid, timestamp, size: payload.length });
    payload.copy(frame, HEADER_BYTES);
    this.#hmac.sign(frame, 0, payload, this.#scratch);
    return frame;
  }
}
