import { setTimeout as sleep } from 'node:timers/promises';

const FIRST_MS = 100;
const LONGEST_MS = 10_000;

/** Waits between attempts: 100 ms, then twice as long each time up to 10 s, a quarter of it by chance. */
export class BackOff {
  #nextMs = FIRST_MS;

  /** All is well again. */
  reset(): void {
    this.#nextMs = FIRST_MS;
  }

  /** Waits; ends early with the signal. @param atLeastMs what the other side asked for */
  async wait(signal: AbortSignal, atLeastMs = 0): Promise<void> {
    const ms = this.#nextMs * (0.75 + Math.random() * 0.25);
    this.#nextMs = Math.min(this.#nextMs * 2, LONGEST_MS);
    await sleep(Math.max(ms, atLeastMs), undefined, { signal }).catch(() => {});
  }
}
