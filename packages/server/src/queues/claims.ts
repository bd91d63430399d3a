import { randomBytes } from 'node:crypto';
import type { SensorId } from '@d4ts/protocol';
import type { Position } from '../journal/port.ts';
import type { ClaimedRun } from '../registry/port.ts';

/** What consumers may have in their hands, and what has come back from them, together (docs/journal.md, rule 26). */
export const MAX_CLAIMED = { items: 10_000, bytes: 8 * 1024 * 1024 };

/** An item that was handed out and is not acknowledged. */
export interface Claim {
  readonly id: string;
  /** In the journal; undefined for an item that is not there, which is kept as `item`. */
  readonly place: Position | undefined;
  readonly item: Buffer | undefined;
  readonly sensor: SensorId | undefined;
  readonly bytes: number;
  /** How often it was handed out. */
  readonly deliveries: number;
}

interface HeldClaim extends Claim {
  /** On the monotonic clock, ms. */
  readonly until: number;
}

/** An item as it was taken, before anybody has it. */
export interface TakenItem {
  readonly item: Buffer;
  readonly place: Position | undefined;
  readonly sensor: SensorId | undefined;
}

const ITEM_ID = /^([A-Za-z0-9]+\.\d+)(?:-(\d{1,9}))?$/;

/**
 * The items of a queue that are claimed, and those whose claims have ended without an acknowledgement: they are to be
 * delivered again. Pure: times come from the caller.
 *
 * An id is the item's (its place in the journal) and the number of the delivery. An acknowledgement is of the item,
 * whoever has it now: it has been dealt with. Only who has it can release it.
 */
export class Claims {
  readonly #held = new Map<string, HeldClaim>();
  readonly #returned = new Map<string, Claim>();
  /** Of items that are not in the journal: unlike those of another start. */
  readonly #prefix = `x${randomBytes(6).toString('hex')}`;
  #unplaced = 0;
  #bytes = 0;

  /** @param runs what `saved` gave: it is to be delivered again */
  constructor(runs: readonly ClaimedRun[] = []) {
    for (const { sequence, record, count, deliveries, sensor } of runs) {
      for (let i = 0; i < count; i++) {
        const place = { sequence, record: record + i };
        const known = { place, item: undefined, sensor, bytes: 0, deliveries };
        this.#returned.set(idOf(place), { id: idOf(place), ...known });
      }
    }
  }

  /** Items in consumers' hands. */
  get held(): number {
    return this.#held.size;
  }

  /** Items to be delivered again. */
  get returned(): number {
    return this.#returned.size;
  }

  /** Whether another item may be claimed, beside those that have come back. */
  get hasRoom(): boolean {
    return this.#held.size + this.#returned.size < MAX_CLAIMED.items && this.#bytes < MAX_CLAIMED.bytes;
  }

  /** The first place that is not done with. */
  get first(): Position | undefined {
    let first: Position | undefined;
    for (const { place } of this.#all()) {
      if (place !== undefined && (first === undefined || isBefore(place, first))) first = place;
    }
    return first;
  }

  /** When the next claim ends, on the monotonic clock (ms). */
  get nextEnd(): number | undefined {
    let next: number | undefined;
    for (const { until } of this.#held.values()) if (next === undefined || until < next) next = until;
    return next;
  }

  /** Claims an item. @returns its id */
  hold({ item, place, sensor }: TakenItem, until: number): string {
    const id = place === undefined ? `${this.#prefix}.${this.#unplaced++}` : idOf(place);
    const kept = place === undefined ? Buffer.from(item) : undefined;
    return this.#hold({ id, place, item: kept, sensor, bytes: item.length, deliveries: 0 }, until);
  }

  /** Claims an item again that `takeReturned` gave. @returns its id */
  holdAgain(claim: Claim, bytes: number, until: number): string {
    return this.#hold({ ...claim, bytes }, until);
  }

  /** Takes one that has come back. @returns whether it is still there */
  takeReturned(item: string): boolean {
    const claim = this.#returned.get(item);
    if (claim === undefined) return false;
    this.#returned.delete(item);
    this.#bytes -= claim.bytes;
    return true;
  }

  /** Forgets the oldest of those that have come back. @returns how many */
  dropReturned(count: number): number {
    const dropped = this.listReturned(count);
    for (const { id } of dropped) this.takeReturned(id);
    return dropped.length;
  }

  /** The oldest of those that have come back. */
  listReturned(count: number): Claim[] {
    const listed: Claim[] = [];
    for (const claim of this.#returned.values()) {
      if (listed.length >= count) break;
      listed.push(claim);
    }
    return listed;
  }

  /** Who has an item under this id still has it. */
  isHeld(id: string): boolean {
    const [, item = '', delivery] = ITEM_ID.exec(id) ?? [];
    return this.#held.get(item)?.deliveries === Number(delivery);
  }

  /** The item is dealt with. @returns undefined where nobody has it, and it is not to be delivered again */
  acknowledge(id: string): Claim | undefined {
    const [, item = ''] = ITEM_ID.exec(id) ?? [];
    const found = this.#held.get(item) ?? this.#returned.get(item);
    if (found === undefined) return undefined;
    this.#held.delete(item);
    this.#returned.delete(item);
    this.#bytes -= found.bytes;
    return found;
  }

  /** Gives an item back to be delivered again. @returns whether it was held under this id */
  release(id: string): boolean {
    const [, item = ''] = ITEM_ID.exec(id) ?? [];
    const claim = this.#held.get(item);
    if (claim === undefined || !this.isHeld(id)) return false;
    this.#return([claim]);
    return true;
  }

  /** Gives back what was claimed until `now` at the latest. @returns how many */
  expire(now: number): number {
    const ended = [...this.#held.values()].filter(({ until }) => until <= now);
    this.#return(ended);
    return ended.length;
  }

  /** Forgets those at a place or behind it, which are going to be read again. @returns held and returned ones */
  forgetFrom(place: Position): number {
    return this.#forget((claim) => claim.place !== undefined && !isBefore(claim.place, place)).length;
  }

  /** Forgets those before a sequence. @returns them */
  forgetBefore(sequence: number): Claim[] {
    return this.#forget(({ place }) => place !== undefined && place.sequence < sequence);
  }

  /** Forgets all. @returns how many they were */
  clear(): number {
    return this.#forget(() => true).length;
  }

  /** The places to save, and the items that have none. */
  saved(): { runs: ClaimedRun[]; items: Buffer[] } {
    const items: Buffer[] = [];
    const placed: (Claim & { place: Position })[] = [];
    for (const claim of this.#all()) {
      const { place, item } = claim;
      if (place !== undefined) placed.push({ ...claim, place });
      else if (item !== undefined) items.push(item);
    }
    placed.sort((a, b) => a.place.sequence - b.place.sequence || a.place.record - b.place.record);
    return { runs: runsOf(placed), items };
  }

  #hold(claim: Claim, until: number): string {
    const deliveries = claim.deliveries + 1;
    this.#held.set(claim.id, { ...claim, deliveries, until });
    this.#bytes += claim.bytes;
    return `${claim.id}-${deliveries}`;
  }

  #return(claims: readonly HeldClaim[]): void {
    if (claims.length === 0) return;
    const returned = [...this.#returned.values(), ...claims.map(({ until: _, ...claim }) => claim)];
    for (const { id } of claims) this.#held.delete(id);
    this.#returned.clear();
    for (const claim of returned.sort(byPlace)) this.#returned.set(claim.id, claim);
  }

  #forget(which: (claim: Claim) => boolean): Claim[] {
    const forgotten = [...this.#all()].filter(which);
    for (const { id, bytes } of forgotten) {
      this.#held.delete(id);
      this.#returned.delete(id);
      this.#bytes -= bytes;
    }
    return forgotten;
  }

  *#all(): Generator<Claim> {
    yield* this.#held.values();
    yield* this.#returned.values();
  }
}

/** Whether a place comes before another one. */
export function isBefore(place: Position, other: Position): boolean {
  return place.sequence < other.sequence || (place.sequence === other.sequence && place.record < other.record);
}

function idOf({ sequence, record }: Position): string {
  return `${sequence}.${record}`;
}

/** Items that are not in the journal come first, as those that were given back. */
function byPlace(a: Claim, b: Claim): number {
  if (a.place === undefined || b.place === undefined)
    return Number(a.place !== undefined) - Number(b.place !== undefined);
  return a.place.sequence - b.place.sequence || a.place.record - b.place.record;
}

function runsOf(claims: readonly (Claim & { place: Position })[]): ClaimedRun[] {
  const runs: { -readonly [K in keyof ClaimedRun]: ClaimedRun[K] }[] = [];
  for (const { place, deliveries, sensor } of claims) {
    const last = runs.at(-1);
    const continues =
      last?.sequence === place.sequence && last.record + last.count === place.record && last.deliveries === deliveries;
    if (last !== undefined && continues) last.count += 1;
    else runs.push({ ...place, count: 1, deliveries, ...(sensor !== undefined && { sensor }) });
  }
  return runs;
}
