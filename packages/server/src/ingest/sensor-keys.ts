import { FrameHmac, type HmacScratch } from '@d4ts/protocol';
import type { SensorKey } from '../registry/sensor-key.ts';

/** The Go client cuts keys here (docs/d4-protocol.md). */
const CUT_KEY_BYTES = 100;

interface Candidate {
  readonly hmac: FrameHmac;
  readonly isPrevious: boolean;
}

/** The keys that a sensor's frames may be signed with: those that hold, and each of them as the Go client cuts it. */
export class SensorKeys {
  readonly #scratch: HmacScratch;
  readonly #candidates: Candidate[];
  #proved = false;

  constructor(keys: readonly SensorKey[], scratch: HmacScratch) {
    this.#scratch = scratch;
    this.#candidates = keys.flatMap(({ key, isPrevious }) => {
      const bytes = Buffer.from(key, 'latin1');
      const forms = bytes.length > CUT_KEY_BYTES ? [bytes, bytes.subarray(0, CUT_KEY_BYTES)] : [bytes];
      return forms.map((form) => ({ hmac: new FrameHmac(form), isPrevious }));
    });
  }

  /** Whether the last frame that was right was signed with a key that has been replaced. */
  get usesPrevious(): boolean {
    return this.#proved && this.#candidates[0]?.isPrevious === true;
  }

  /** Whether the frame's HMAC is right. The key that fits is tried first from then on. */
  verify(header: Buffer, headerAt: number, payload: Buffer): boolean {
    const candidates = this.#candidates;
    for (let at = 0; at < candidates.length; at++) {
      const candidate = candidates[at];
      if (candidate?.hmac.verify(header, headerAt, payload, this.#scratch) !== true) continue;
      if (at > 0) candidates.unshift(...candidates.splice(at, 1));
      this.#proved = true;
      return true;
    }
    return false;
  }
}
