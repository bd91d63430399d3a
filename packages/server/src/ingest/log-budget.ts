import { LeakyBuckets } from './leaky-buckets.ts';

/** Lines of one key, and of all keys together; what leaks sums up to less than 100 MB a day. */
const PER_KEY = { burst: 50, perSecond: 1 / 30, buckets: 1_000 };
const TOGETHER = { burst: 2_000, perSecond: 2, buckets: 1 };
/** How many of the keys that were held back are named. */
const NAMED = 10;

/** Lines that were not written. */
export interface HeldBack {
  readonly lines: number;
  /** Keys with the most of them, and how many. */
  readonly most: Readonly<Record<string, number>>;
}

/**
 * Decides which of the lines that peers cause are written to the log, so that nobody can fill a disk with them; the
 * others are counted. `now` is monotonic, ms.
 */
export class LogBudget {
  readonly #perKey = new LeakyBuckets(PER_KEY);
  readonly #together = new LeakyBuckets(TOGETHER);
  readonly #heldBack = new Map<string, number>();
  #lines = 0;

  /** @returns whether a line about the key may be written now */
  take(key: string, now: number): boolean {
    if (this.#perKey.isFull(key, now) || this.#together.isFull('', now)) {
      this.#lines += 1;
      const known = this.#heldBack.get(key);
      if (known !== undefined || this.#heldBack.size < PER_KEY.buckets) this.#heldBack.set(key, (known ?? 0) + 1);
      return false;
    }
    this.#perKey.add(key, now);
    this.#together.add('', now);
    return true;
  }

  /** What was held back since the last call; undefined where nothing was. */
  takeHeldBack(): HeldBack | undefined {
    if (this.#lines === 0) return undefined;
    const most = [...this.#heldBack].sort(([, a], [, b]) => b - a).slice(0, NAMED);
    const heldBack = { lines: this.#lines, most: Object.fromEntries(most) };
    this.#lines = 0;
    this.#heldBack.clear();
    return heldBack;
  }
}
