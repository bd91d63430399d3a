const EMPTY = Buffer.alloc(0);

/**
 * Bytes that wait for what comes after them: copied into memory of their own, so that they do not keep the chunk alive
 * in which they came. What it has handed out never changes: it writes behind that, or into new memory.
 */
export class Carry {
  #bytes: Buffer = EMPTY;
  #start = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** What is held; stays as it is when more is appended. */
  get view(): Buffer {
    return this.#bytes.subarray(this.#start, this.#start + this.#length);
  }

  /** Copies bytes behind what is held. */
  append(bytes: Buffer): void {
    const needed = this.#length + bytes.length;
    if (this.#start + needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#length * 2));
      this.#bytes.copy(larger, 0, this.#start, this.#start + this.#length);
      this.#bytes = larger;
      this.#start = 0;
    }
    bytes.copy(this.#bytes, this.#start + this.#length);
    this.#length = needed;
  }

  /** Lets go of the first bytes. */
  drop(bytes: number): void {
    this.#start += bytes;
    this.#length -= bytes;
    if (this.#length === 0) this.take();
  }

  /** Hands out what is held, which then belongs to the caller, and starts anew. */
  take(): Buffer {
    const taken = this.view;
    this.#bytes = EMPTY;
    this.#start = 0;
    this.#length = 0;
    return taken;
  }
}
