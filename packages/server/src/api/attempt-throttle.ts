import { isIPv6 } from 'node:net';
import { networkOf } from './ip-network.ts';

/** Unknown tokens that an address may try in a row before it is held back. */
const BURST = 30;
/** After this long an address has one more attempt, in ms. */
const REFILL_MS = 2_000;
/** Addresses remembered at a time; beyond it the one that failed longest ago is forgotten. */
const MAX_ADDRESSES = 10_000;

interface Failures {
  count: number;
  lastAt: number;
}

/**
 * Holds back addresses that try token after token: after 30 unknown ones an address gets one attempt each 2 s. An IPv6
 * address counts with its whole /64. Attempts that are held back do not count. Time comes from the caller, in ms.
 */
export class AttemptThrottle {
  readonly #byAddress = new Map<string, Failures>();

  /** How long the address has to wait before its token is looked at, in ms; 0 where it need not. */
  waitFor(address: string, now: number): number {
    const key = throttleKey(address);
    const failures = this.#byAddress.get(key);
    if (failures === undefined) return 0;
    const left = remaining(failures, now);
    if (left === 0) this.#byAddress.delete(key);
    if (left <= BURST - 1) return 0;
    return Math.max(1, Math.ceil((left - (BURST - 1)) * REFILL_MS));
  }

  /** The addresses that have to wait; an IPv6 address as its /64. */
  heldBack(now: number): { address: string; failures: number; lastAt: number; until: number }[] {
    return [...this.#byAddress].flatMap(([address, failures]) => {
      const left = remaining(failures, now);
      if (left <= BURST - 1) return [];
      const until = now + Math.ceil((left - (BURST - 1)) * REFILL_MS);
      return [{ address, failures: failures.count, lastAt: failures.lastAt, until }];
    });
  }

  /** Forgets what an address has failed, or what all have. @returns how many had to wait */
  clear(address: string | undefined, now: number): number {
    const key = address === undefined ? undefined : throttleKey(address);
    const cleared = this.heldBack(now).filter((held) => key === undefined || held.address === key).length;
    if (key === undefined) this.#byAddress.clear();
    else this.#byAddress.delete(key);
    return cleared;
  }

  /** Counts an attempt with an unknown token. */
  failed(address: string, now: number): void {
    const key = throttleKey(address);
    const before = this.#byAddress.get(key);
    this.#byAddress.delete(key);
    this.#byAddress.set(key, { count: before === undefined ? 1 : remaining(before, now) + 1, lastAt: now });
    if (this.#byAddress.size <= MAX_ADDRESSES) return;
    for (const oldest of this.#byAddress.keys()) {
      this.#byAddress.delete(oldest);
      break;
    }
  }
}

function remaining(failures: Failures, now: number): number {
  return Math.max(0, failures.count - Math.max(0, now - failures.lastAt) / REFILL_MS);
}

function throttleKey(address: string): string {
  return isIPv6(address) ? networkOf(address, 64) : address;
}
