import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';

const BATCH = 100;
/** How long the queue is left alone when it is empty, in ms. */
const IDLE_MS = 10;

/** Which stream an item is of, and which of its records it is; undefined for what cannot be told. */
export type ItemNumber = (item: string) => { readonly stream: string; readonly number: number } | undefined;

/** The latest of each stream, and when its latest items were taken. */
interface Taken {
  last: number;
  /** Of each number since the fault before the latest one: ms. */
  readonly times: Map<number, number>;
}

/** A server is back within this; what was taken longer ago than that is not expected again. */
const REMEMBERED_MS = 60_000;

/**
 * Pops a queue as existing analyzers do, through every fault of the server, and checks what it gets: each item of a stream
 * in order and none missing; again only what was taken shortly before a fault (docs/journal.md, rule 25).
 */
export class Consumer {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #numberOf: ItemNumber;
  readonly #streams = new Map<string, Taken>();
  /** ms */
  readonly #faults: { readonly from: number; to: number }[] = [];
  #running: Promise<void> | undefined;
  #stopped = false;
  /** The first thing that was wrong. */
  trouble: string | undefined;
  items = 0;
  again = 0;
  /** How long before a fault the oldest item was taken that came again, in ms. */
  window = 0;

  constructor(port: number, queue: { readonly type: string; readonly uuid: string }, numberOf: ItemNumber) {
    this.#key = `analyzer:${queue.type}:${queue.uuid}`;
    this.#numberOf = numberOf;
    this.#redis = new Redis({ port, host: '127.0.0.1', retryStrategy: () => 50, maxRetriesPerRequest: 0 });
    this.#redis.on('error', () => {});
  }

  start(): void {
    this.#running = this.#run();
  }

  /** The server fails until `failed`: it may go on for a while. */
  failing(): void {
    this.#faults.push({ from: performance.now(), to: Number.POSITIVE_INFINITY });
  }

  failed(): void {
    const fault = this.#faults.at(-1);
    if (fault !== undefined) fault.to = performance.now();
  }

  /** The latest number of a stream; -1 where nothing of it came. */
  last(stream: string): number {
    return this.#streams.get(stream)?.last ?? -1;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    this.#redis.disconnect();
    assert.equal(this.trouble, undefined);
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const items = await this.#redis.rpop(this.#key, BATCH).catch(() => null);
      if (items === null) await delay(IDLE_MS);
      else for (const item of items) this.#take(item);
    }
  }

  #take(item: string): void {
    this.items++;
    const found = this.#numberOf(item);
    if (found === undefined) return;
    const { stream, number } = found;
    const now = performance.now();
    const taken = this.#streams.get(stream) ?? { last: -1, times: new Map<number, number>() };
    this.#streams.set(stream, taken);
    if (number > taken.last + 1) {
      this.trouble ??= `${this.#key}: after ${taken.last} of ${stream} came ${number}`;
    } else if (number <= taken.last) {
      this.again++;
      const takenAt = taken.times.get(number) ?? Number.NEGATIVE_INFINITY;
      // A further fault may come before anything can be popped again.
      const fault = this.#faults.find(({ to }) => to >= takenAt);
      this.window = Math.max(this.window, (fault?.from ?? Number.POSITIVE_INFINITY) - takenAt);
    }
    taken.last = number;
    taken.times.set(number, now);
    for (const [old, at] of taken.times) {
      if (at > now - REMEMBERED_MS) break;
      taken.times.delete(old);
    }
  }
}
