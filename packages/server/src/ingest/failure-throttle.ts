import { LeakyBuckets } from './leaky-buckets.ts';

/** How many connections of an address (IPv6: of a /64) may fail without having proved anything. */
export interface FailureLimits {
  readonly failuresPerAddress: number;
  /** After which so many more may, each second. */
  readonly failuresPerSecond: number;
}

const MAX_ADDRESSES = 10_000;
const TRUST_MS = 24 * 60 * 60 * 1000;

/**
 * Keeps addresses that only ever fail from costing a handshake each time. One where a sensor has proved itself within a
 * day is never held back: others may share it (NAT, Tor). Both lists are bounded. Pure: `now` is monotonic, ms.
 */
export class FailureThrottle {
  readonly #failures: LeakyBuckets;
  /** When a sensor last proved itself there, the longest ago first. */
  readonly #provedAt = new Map<string, number>();

  constructor({ failuresPerAddress, failuresPerSecond }: FailureLimits) {
    this.#failures = new LeakyBuckets({
      burst: failuresPerAddress,
      perSecond: failuresPerSecond,
      buckets: MAX_ADDRESSES,
    });
  }

  /** Whether a new connection from there is to be closed at once. */
  holdsBack(group: string, now: number): boolean {
    return this.#failures.isFull(group, now) && !this.#isTrusted(group, now);
  }

  /** A connection from there was refused without having proved anything. */
  failed(group: string, now: number): void {
    this.#failures.add(group, now);
  }

  /** A sensor has proved itself from there, at that time. */
  proved(group: string, at: number): void {
    this.#provedAt.delete(group);
    this.#provedAt.set(group, at);
    if (this.#provedAt.size <= MAX_ADDRESSES) return;
    const [oldest] = this.#provedAt.keys();
    if (oldest !== undefined) this.#provedAt.delete(oldest);
  }

  #isTrusted(group: string, now: number): boolean {
    return now - (this.#provedAt.get(group) ?? Number.NEGATIVE_INFINITY) < TRUST_MS;
  }
}
