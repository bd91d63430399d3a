import { FrameHmac, type HmacScratch } from '@d4ts/protocol';

/** The Go client cuts keys here (docs/d4-protocol.md). */
const CUT_KEY_BYTES = 100;

/** The keys that a sensor's frames may be signed with: the one that is registered, and that one as the Go client cuts it. */
export class SensorKeys {
  readonly #scratch: HmacScratch;
  #first: FrameHmac;
  #second: FrameHmac | undefined;

  /** @param key latin1 text of the key's bytes */
  constructor(key: string, scratch: HmacScratch) {
    this.#scratch = scratch;
    const bytes = Buffer.from(key, 'latin1');
    this.#first = new FrameHmac(bytes);
    if (bytes.length > CUT_KEY_BYTES) this.#second = new FrameHmac(bytes.subarray(0, CUT_KEY_BYTES));
  }

  /** Whether the frame's HMAC is right. The key that fits is tried first from then on. */
  verify(header: Buffer, headerAt: number, payload: Buffer): boolean {
    if (this.#first.verify(header, headerAt, payload, this.#scratch)) return true;
    if (this.#second?.verify(header, headerAt, payload, this.#scratch) !== true) return false;
    [this.#first, this.#second] = [this.#second, this.#first];
    return true;
  }
}
