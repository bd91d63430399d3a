import type { Logger } from 'pino';
import type { Queue, Queues } from '../port.ts';
import { untake } from '../untake.ts';
import { findQueue, type QueueKey } from './queue-key.ts';

/** Items popped at once for the clients of one line. */
const MAX_SERVED_TOGETHER = 128;
/** Longer than any timer of Node.js can be set (ms); such a wait is for ever. */
const MAX_TIMER_MS = 0x7fff_ffff;

/** An item for a client that waited, and the queue it came from. */
export interface Delivery {
  readonly queue: Queue;
  /** The key as the client wrote it. */
  readonly key: Buffer;
  /** One. */
  readonly items: readonly Buffer[];
}

/** A client's wait for the first item of one of its keys. */
export interface Wait {
  /** The item, or undefined where the wait was over without one. Rejected where reading a queue failed. */
  readonly outcome: Promise<Delivery | undefined>;
  /** Ends the wait without an item. @returns false where it was over already */
  cancel(): boolean;
}

/** A key of a client that waits: as it was written, and read. */
export interface WaitedKey {
  readonly text: Buffer;
  readonly key: QueueKey | undefined;
}

interface Waiter {
  readonly lines: Map<Line, Buffer>;
  timer: NodeJS.Timeout | undefined;
  /** @returns false where the wait was over already */
  settle(delivery: Delivery | undefined): boolean;
  fail(error: unknown): void;
}

interface Line {
  readonly name: string;
  readonly key: QueueKey;
  /** In the order of their commands. */
  readonly waiters: Set<Waiter>;
  queue: Queue | undefined;
  unsubscribe: (() => void) | undefined;
  /** Whether items are being popped for the line. */
  serving: boolean;
  /** Whether items may have arrived since the last pop began. */
  notified: boolean;
}

/**
 * The clients that wait for items (`BRPOP`, `BLPOP`): one line for each key, first come, first served. A queue that is
 * made while clients wait for it serves them from then on.
 */
export class WaitingLines {
  readonly #queues: Queues;
  readonly #log: Logger;
  readonly #lines = new Map<string, Line>();
  readonly #waiters = new Set<Waiter>();
  /** Pops that are under way. */
  readonly #pops = new Set<Promise<unknown>>();
  readonly #stopWatching: () => void;

  constructor(queues: Queues, log: Logger) {
    this.#queues = queues;
    this.#log = log;
    this.#stopWatching = queues.onChange(() => this.#queuesChanged());
  }

  /** Clients that wait. */
  get size(): number {
    return this.#waiters.size;
  }

  /** @param timeout ms; 0 for ever */
  wait(keys: readonly WaitedKey[], timeout: number): Wait {
    const { promise, resolve, reject } = Promise.withResolvers<Delivery | undefined>();
    const waiter: Waiter = {
      lines: new Map(),
      timer: undefined,
      settle: (delivery) => {
        const waited = this.#leave(waiter);
        if (waited) resolve(delivery);
        return waited;
      },
      fail: (error) => {
        if (this.#leave(waiter)) reject(error);
      },
    };
    this.#waiters.add(waiter);
    for (const { text, key } of keys) {
      if (key === undefined) continue;
      const line = this.#lineOf(key);
      if (waiter.lines.has(line)) continue;
      waiter.lines.set(line, text);
      line.waiters.add(waiter);
      this.#serve(line);
      if (!this.#waiters.has(waiter)) break;
    }
    if (this.#waiters.has(waiter)) {
      for (const line of waiter.lines.keys()) this.#subscribe(line);
      if (timeout > 0 && timeout <= MAX_TIMER_MS) waiter.timer = setTimeout(() => waiter.settle(undefined), timeout);
    }
    return { outcome: promise, cancel: () => waiter.settle(undefined) };
  }

  /** Ends all waits without items; resolved when the items of pops under way are back in their queues. */
  async close(): Promise<void> {
    this.#stopWatching();
    for (const waiter of this.#waiters) waiter.settle(undefined);
    while (this.#pops.size > 0) await Promise.allSettled(this.#pops);
  }

  #lineOf(key: QueueKey): Line {
    const name = `${key.topic}:${key.uuid}`;
    const known = this.#lines.get(name);
    if (known !== undefined) return known;
    const line: Line = {
      name,
      key,
      waiters: new Set(),
      queue: findQueue(this.#queues, key),
      unsubscribe: undefined,
      serving: false,
      notified: false,
    };
    this.#lines.set(name, line);
    return line;
  }

  /** @returns whether the waiter was still waiting */
  #leave(waiter: Waiter): boolean {
    if (!this.#waiters.delete(waiter)) return false;
    clearTimeout(waiter.timer);
    for (const line of waiter.lines.keys()) {
      line.waiters.delete(waiter);
      this.#dropIfEmpty(line);
    }
    return true;
  }

  #dropIfEmpty(line: Line): void {
    if (line.waiters.size > 0 || line.serving) return;
    line.unsubscribe?.();
    line.unsubscribe = undefined;
    this.#lines.delete(line.name);
  }

  #subscribe(line: Line): void {
    line.unsubscribe ??= line.queue?.onItems(() => this.#serve(line));
  }

  #queuesChanged(): void {
    for (const line of [...this.#lines.values()]) {
      const queue = findQueue(this.#queues, line.key);
      if (queue === line.queue) continue;
      line.unsubscribe?.();
      line.unsubscribe = undefined;
      line.queue = queue;
      if (line.waiters.size > 0) this.#subscribe(line);
      this.#serve(line);
    }
  }

  #serve(line: Line): void {
    if (line.serving) {
      line.notified = true;
      return;
    }
    line.serving = true;
    try {
      while (line.waiters.size > 0 && line.queue !== undefined && line.queue.length > 0) {
        const queue = line.queue;
        line.notified = false;
        const popped = queue.pop(Math.min(line.waiters.size, MAX_SERVED_TOGETHER));
        if (popped instanceof Promise) {
          this.#serveLater(line, queue, popped);
          return;
        }
        if (popped.length === 0 && !line.notified) break;
        handOut(line, queue, popped, this.#log);
      }
    } catch (error) {
      failAll(line, error);
    }
    line.serving = false;
    this.#dropIfEmpty(line);
  }

  #serveLater(line: Line, queue: Queue, popped: Promise<Buffer[]>): void {
    const done = popped
      .then(
        (items) => {
          handOut(line, queue, items, this.#log);
          return items.length > 0;
        },
        (error) => {
          failAll(line, error);
          return false;
        },
      )
      .then((goOn) => {
        this.#pops.delete(done);
        line.serving = false;
        if (goOn || line.notified) this.#serve(line);
        else this.#dropIfEmpty(line);
      });
    this.#pops.add(done);
  }
}

/** Items whose client has gone meanwhile go back. */
function handOut(line: Line, queue: Queue, items: readonly Buffer[], log: Logger): void {
  let served = 0;
  for (const waiter of line.waiters) {
    if (served === items.length) break;
    const one = items.slice(served, ++served);
    queue.keep(one);
    waiter.settle({ queue, key: waiter.lines.get(line) ?? Buffer.alloc(0), items: one });
  }
  const rest = items.slice(served);
  queue.keep(rest);
  queue.letGo(items);
  untake(queue, rest, log);
}

function failAll(line: Line, error: unknown): void {
  for (const waiter of [...line.waiters]) waiter.fail(error);
}
