/** How many bytes the files of a spool may have, and have. */
export class SpoolSpace {
  readonly limit: number;
  #used = 0;

  /** @param limit bytes */
  constructor(limit: number) {
    this.limit = limit;
  }

  get used(): number {
    return this.#used;
  }

  /** Counts bytes, if there is room for them. */
  take(bytes: number): boolean {
    if (this.#used + bytes > this.limit) return false;
    this.#used += bytes;
    return true;
  }

  /** Counts bytes that are there in any case. */
  add(bytes: number): void {
    this.#used += bytes;
  }

  give(bytes: number): void {
    this.#used -= bytes;
  }
}

/** When a segment is full, in bytes: small enough to be dropped or acknowledged as one, large enough to be few. */
export function segmentBytesFor(limit: number): number {
  return Math.max(65_536, Math.min(4 * 1_048_576, Math.floor(limit / 16)));
}
