/** What may be sent at once after a pause: this many ms of the rate, and never more than this many. */
const BURST_MS = 5;
const MAX_BURST = 128;

/**
 * Spreads events evenly: at most `rate` a second, in small bursts, because a timer cannot wait for less than 1 ms.
 * Pure: the time comes from outside.
 */
export class Pacer {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #at: number;

  /**
   * @param rate events a second, more than 0
   * @param now ms, of a clock that never goes back
   */
  constructor(rate: number, now: number) {
    this.#perMs = rate / 1000;
    this.#burst = Math.min(Math.max(this.#perMs * BURST_MS, 1), MAX_BURST);
    this.#tokens = 1;
    this.#at = now;
  }

  /** Asks for one event. @returns 0 where it may happen now; else the ms after which to ask again */
  take(now: number): number {
    this.#tokens = Math.min(this.#tokens + (now - this.#at) * this.#perMs, this.#burst);
    this.#at = now;
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return 0;
    }
    return Math.max((1 - this.#tokens) / this.#perMs, 1);
  }
}
