/** A fast generator of pseudo-random numbers (mulberry32): the same seed gives the same numbers everywhere. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** The generator of one input of a run: any input can be made again without those before it. */
  static of(seed: number, index: number): Random {
    const random = new Random(Math.imul(seed, 0x85eb_ca6b) ^ Math.imul(index + 1, 0x9e37_79b1) ^ (index / 2 ** 32));
    random.below(2);
    return random;
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b_79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  /** One of them; there must be one. */
  of<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }

  /** The bytes in one to eight pieces, some of them empty. */
  split(bytes: Buffer): Buffer[] {
    const pieces: Buffer[] = [];
    let at = 0;
    for (let i = this.below(8); i > 0; i--) {
      const left = bytes.length - at;
      const length = this.below(2) === 0 ? this.below(Math.min(left, 70) + 1) : this.below(left + 1);
      pieces.push(bytes.subarray(at, at + length));
      at += length;
    }
    pieces.push(bytes.subarray(at));
    return pieces;
  }
}
