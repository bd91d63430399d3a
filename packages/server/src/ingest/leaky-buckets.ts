/** How much a bucket takes at once, how fast it leaks, and how many buckets there are. */
export interface BucketLimits {
  readonly burst: number;
  readonly perSecond: number;
  /** Beyond it the one that was filled longest ago is forgotten. */
  readonly buckets: number;
}

interface Bucket {
  readonly level: number;
  /** ms */
  readonly at: number;
}

/**
 * Counts what happens again and again, by key; each count leaks away at a fixed rate. For keys that peers choose: the
 * number of buckets is bounded. `now` is any monotonic clock in ms.
 */
export class LeakyBuckets {
  readonly #limits: BucketLimits;
  /** The one filled longest ago is first. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(limits: BucketLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** Whether one more would be over the burst. */
  isFull(key: string, now: number): boolean {
    return this.#level(key, now) > this.#limits.burst - 1;
  }

  add(key: string, now: number): void {
    const level = this.#level(key, now) + 1;
    this.#buckets.delete(key);
    this.#buckets.set(key, { level, at: now });
    if (this.#buckets.size <= this.#limits.buckets) return;
    const [oldest] = this.#buckets.keys();
    if (oldest !== undefined) this.#buckets.delete(oldest);
  }

  #level(key: string, now: number): number {
    const bucket = this.#buckets.get(key);
    if (bucket === undefined) return 0;
    return Math.max(0, bucket.level - ((now - bucket.at) / 1000) * this.#limits.perSecond);
  }
}
