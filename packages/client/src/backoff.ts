/** The first wait before a new attempt, in ms. */
const FIRST_MS = 250;

/** Exponential back-off with jitter: each wait is between half and all of a limit that doubles up to `mostMs`. */
export class Backoff {
  readonly #mostMs: number;
  readonly #random: () => number;
  #attempts = 0;

  /** @param random numbers from 0 (inclusive) to 1 */
  constructor(mostMs: number, random: () => number) {
    this.#mostMs = mostMs;
    this.#random = random;
  }

  /** How long to wait before the next attempt, in ms. */
  next(): number {
    const limit = Math.min(this.#mostMs, FIRST_MS * 2 ** Math.min(this.#attempts, 30));
    this.#attempts++;
    return limit / 2 + (this.#random() * limit) / 2;
  }

  /** An attempt succeeded: starts from the shortest wait again. */
  reset(): void {
    this.#attempts = 0;
  }
}
