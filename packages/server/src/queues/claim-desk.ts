import type { SensorId } from '@d4ts/protocol';
import type { Position } from '../journal/port.ts';
import type { ClaimedRun } from '../registry/port.ts';
import { type Claim, Claims, type TakenItem } from './claims.ts';
import type { ClaimedItem, Settled } from './port.ts';

/** Items that have come back are read again by so many. */
const READ_STEP = 256;
/** A timer cannot wait longer, in ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** What a desk needs of the queue that it belongs to. */
export interface ClaimDeskOptions {
  /** Reads items by their places, which ascend; undefined for those that are not there any more. */
  readonly read: (places: readonly Position[]) => Promise<({ readonly item: Buffer } | undefined)[]>;
  /** Items of a sensor are dealt with. */
  readonly taken: (sensor: SensorId) => void;
  /** An item that has come back is not there any more. */
  readonly lost: () => void;
  /** Items have come back, or there is room for others to be claimed. */
  readonly changed: () => void;
}

/** Where consumers get a queue's items, and bring their acknowledgements: `Claims` with a clock, and with the items. */
export class ClaimDesk {
  readonly claims: Claims;
  readonly #options: ClaimDeskOptions;
  #timer: NodeJS.Timeout | undefined;
  #timerEnd = 0;
  #closed = false;

  constructor(runs: readonly ClaimedRun[] | undefined, options: ClaimDeskOptions) {
    this.claims = new Claims(runs);
    this.#options = options;
  }

  /** Hands out an item for the first time. @param ms how long it is the consumer's */
  hold(item: TakenItem, ms: number): ClaimedItem {
    const until = performance.now() + ms;
    const id = this.claims.hold(item, until);
    this.#awaitEnd(until);
    return { id, item: item.item, delivery: 1 };
  }

  /** Hands out items that have come back. */
  async holdReturned(count: number, ms: number): Promise<ClaimedItem[]> {
    const held: ClaimedItem[] = [];
    await this.takeReturned(count, (claim, item) => {
      const until = performance.now() + ms;
      held.push({ id: this.claims.holdAgain(claim, item.length, until), item, delivery: claim.deliveries + 1 });
      this.#awaitEnd(until);
    });
    return held;
  }

  /**
   * Takes the oldest items that have come back. Until `use` is called with one it stays among them, so that what is saved
   * at any time has it.
   */
  async takeReturned(count: number, use: (claim: Claim, item: Buffer) => void): Promise<void> {
    let taken = 0;
    while (taken < count && this.claims.returned > 0 && !this.#closed) {
      const claims = this.claims.listReturned(Math.min(count - taken, READ_STEP));
      const items = await this.read(claims).catch((error: unknown) => {
        // What was taken would be lost with the error; the next call meets it again.
        if (taken > 0) return undefined;
        throw error;
      });
      if (items === undefined) return;
      for (const [i, claim] of claims.entries()) {
        const item = items[i];
        if (!this.claims.takeReturned(claim.id)) continue;
        if (item === undefined) {
          this.#options.lost();
        } else {
          use(claim, item);
          taken += 1;
        }
      }
    }
  }

  /** The items of claims. */
  async read(claims: readonly Claim[]): Promise<(Buffer | undefined)[]> {
    const read = await this.#options.read(claims.flatMap(({ place }) => place ?? []));
    let next = 0;
    return claims.map(({ place, item }) => (place === undefined ? item : read[next++]?.item));
  }

  acknowledge(ids: readonly string[]): Settled {
    const unknown: string[] = [];
    for (const id of ids) {
      const claim = this.claims.acknowledge(id);
      if (claim === undefined) unknown.push(id);
      else if (claim.sensor !== undefined) this.#options.taken(claim.sensor);
    }
    return { settled: ids.length - unknown.length, unknown };
  }

  release(ids: readonly string[]): Settled {
    const unknown = ids.filter((id) => !this.claims.release(id));
    return { settled: ids.length - unknown.length, unknown };
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Ends claims in time, those that end then among them. */
  #awaitEnd(end: number): void {
    if (this.#closed || (this.#timer !== undefined && end >= this.#timerEnd)) return;
    clearTimeout(this.#timer);
    this.#timerEnd = end;
    const wait = Math.min(MAX_TIMER_MS, Math.max(1, Math.ceil(end - performance.now())));
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const returned = this.claims.expire(performance.now());
      const next = this.claims.nextEnd;
      if (next !== undefined) this.#awaitEnd(next);
      if (returned > 0) this.#options.changed();
    }, wait).unref();
  }
}
