const EMPTY = Buffer.alloc(0);

/**
 * Bytes that wait for what comes after them: copied into memory of their own, so that they do not keep the chunk alive
 * in which they came.
 */
export class Carry {
  #bytes: Buffer = EMPTY;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Copies bytes behind what is held. */
  append(bytes: Buffer): void {
    const needed = this.#length + bytes.length;
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#length * 2));
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    bytes.copy(this.#bytes, this.#length);
    this.#length = needed;
  }

  /** Hands out what is held, which then belongs to the caller, and starts anew. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#bytes = EMPTY;
    this.#length = 0;
    return taken;
  }
}
