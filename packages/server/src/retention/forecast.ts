import type { Forecast } from './port.ts';

const DAY_MS = 86_400_000;

/** Something that is stored, and grows until it has reached its limit. */
export interface Growth {
  /** Bytes. */
  readonly perDay: number;
  /** How much more of it there may be before as much is removed as comes, in bytes. */
  readonly room: number;
}

/** When a disk is full at the present rates. @param spareBytes what may still be used of it */
export function forecastOf(disk: string, spareBytes: number, growths: readonly Growth[]): Forecast {
  const stores = growths
    .filter(({ perDay, room }) => perDay > 0 && room > 0)
    .map(({ perDay, room }) => ({ perDay, days: room / perDay }))
    .toSorted((a, b) => a.days - b.days);
  let spare = Math.max(0, spareBytes);
  let day = 0;
  for (const [i, { days }] of stores.entries()) {
    const perDay = stores.slice(i).reduce((sum, store) => sum + store.perDay, 0);
    if (day + spare / perDay <= days) return { outcome: 'full', days: day + spare / perDay, disk };
    spare -= (days - day) * perDay;
    day = days;
  }
  return { outcome: 'never' };
}

/** So many bytes were stored of a topic by then, in all. */
interface Sample {
  /** Monotonic, ms. */
  readonly at: number;
  readonly bytes: ReadonlyMap<string, number>;
}

/** Rates are measured over a day at the most, and not before so much of it has passed. */
const LONGEST_MS = DAY_MS;
const SHORTEST_MS = 10 * 60_000;
const MAX_SAMPLES = 48;

/** Measures how fast something grows, by topic. It begins anew with each start of the server. */
export class GrowthMeter {
  readonly #totals = new Map<string, number>();
  readonly #samples: Sample[] = [];

  /** So many bytes more have been stored. */
  add(topic: string, bytes: number): void {
    this.#totals.set(topic, (this.#totals.get(topic) ?? 0) + bytes);
  }

  /** Notes where the totals are. @param now monotonic, ms */
  sample(now: number): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && now - last.at < LONGEST_MS / MAX_SAMPLES && this.#samples.length > 1) return;
    this.#samples.push({ at: now, bytes: new Map(this.#totals) });
    while ((this.#samples[1]?.at ?? now) < now - LONGEST_MS) this.#samples.shift();
  }

  /** Bytes each day, of one topic or of all; undefined until it is known. @param now monotonic, ms */
  perDay(now: number, topic?: string): number | undefined {
    const [first] = this.#samples;
    if (first === undefined || now - first.at < SHORTEST_MS) return undefined;
    const topics = topic === undefined ? [...this.#totals.keys()] : [topic];
    const grown = topics.reduce((sum, each) => sum + (this.#totals.get(each) ?? 0) - (first.bytes.get(each) ?? 0), 0);
    return (grown * DAY_MS) / (now - first.at);
  }
}
