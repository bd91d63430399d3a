import { RetryLater } from './api-errors.ts';

/** Requests at once, and each second after that. */
export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

/** One person's or program's, by session or token: many times what the pages ask for. */
export const SIGNED_IN_RATE: Rate = { burst: 500, perSecond: 50 };
/** One address's, without a session or token that holds: pages, signing in, `/healthz`. */
export const ADDRESS_RATE: Rate = { burst: 1_000, perSecond: 100 };

/** Callers remembered; beyond, the one that asked longest ago is forgotten. */
const MAX_CALLERS = 10_000;

interface Level {
  requests: number;
  at: number;
}

/** Counts requests in leaky buckets. Time comes from the caller, ms. */
export class RateLimit {
  readonly #rate: Rate;
  readonly #levels = new Map<string, Level>();

  constructor(rate: Rate) {
    this.#rate = rate;
  }

  /** Counts a request. @throws {D4Error} D4_RATE_LIMITED, with how long to wait */
  take(caller: string, now: number): void {
    const { burst, perSecond } = this.#rate;
    const before = this.#levels.get(caller);
    const left =
      before === undefined ? 0 : Math.max(0, before.requests - (Math.max(0, now - before.at) / 1000) * perSecond);
    const isOver = left + 1 > burst;
    this.#levels.delete(caller);
    this.#levels.set(caller, { requests: isOver ? left : left + 1, at: now });
    if (this.#levels.size > MAX_CALLERS) {
      const oldest = this.#levels.keys().next();
      if (oldest.done !== true) this.#levels.delete(oldest.value);
    }
    if (isOver)
      throw new RetryLater('D4_RATE_LIMITED', 'too many requests came', ((left + 1 - burst) / perSecond) * 1000);
  }
}
