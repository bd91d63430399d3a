import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Wakeup } from '@d4ts/client/acknowledged';
import { D4Error, parseSensorId } from '@d4ts/protocol';
import { hostPort } from './connect.ts';
import type { Outstanding, RecordBatch, RecordSource } from './port.ts';
import { QueueConnection, type QueueServer } from './queue-connection.ts';
import { RecordLines } from './record-lines.ts';
import { ReplyError } from './reply-reader.ts';

/** Where a queue is served: by this server, or by a genuine Redis of the reference server. */
export interface QueueAddress {
  /** The queue's type: a number, or a meta type's name. */
  readonly type: string;
  /** The queue's uuid, with or without dashes. */
  readonly queue: string;
  readonly redisHost: string;
  readonly redisPort: number;
  /** The password of the socket, or the secret of the queue's credential, where one is asked for. */
  readonly redisPassword?: string | undefined;
}

/** The database of analyzer queues (docs/drop-in.md). */
const DATABASE = 2;
/** Items asked for at a time: at first, then about so many bytes of them, within bounds. */
const FIRST_POP_ITEMS = 1_000;
const POP_BYTES = 1024 * 1024;
const MAX_POP_ITEMS = 10_000;
/** Requests for items under way at a time, while the queue is long. */
const POPS_AHEAD = 2;
/** What may be taken and not delivered, which is at stake if the exporter is killed; a queue takes 100,000 items back. */
const MAX_OUTSTANDING: Outstanding = { records: 90_000, bytes: 32 * 1024 * 1024 };
/** Items that are given back in one request, and about how many bytes of them. */
const GIVE_BACK = { items: 1_000, bytes: 8 * 1024 * 1024 };
/** How long the server lets us wait for an item, in seconds; then we ask again, so that a dead connection is noticed. */
const BLOCK_SECONDS = 30;
const SILENCE_MS = (BLOCK_SECONDS + 15) * 1000;
const FIRST_RECONNECT_MS = 50;
const MAX_RECONNECT_MS = 2_000;
/** At the end everything that was asked for is still taken, to be given back; beyond so many bytes the server is no queue. */
const MAX_LAST_BYTES = 256 * 1024 * 1024;
/** How long stopping and giving back may take. */
const STOP_MS = 3_000;
const UNBLOCK_AGAIN_MS = 25;
const GIVE_BACK_AGAIN_MS = 200;
const RETRY_MS = 1_000;
/** Errors of a Redis that no retry mends. */
const HOPELESS = /^(?:WRONGTYPE|NOAUTH|NOPERM|WRONGPASS)\b/;
const NO_COUNT = /^ERR wrong number of arguments/;

/** Items that were taken together; `from` is the first that is not delivered. */
interface Held {
  readonly lines: RecordLines;
  from: number;
}

/**
 * The consuming end of a queue over the Redis protocol. It waits without polling, reconnects for ever, and at its end
 * gives back what is not delivered. While the queue is long, the next items are asked for before the last have come.
 */
export class QueueSource implements RecordSource {
  readonly name: string;
  readonly maxOutstanding = MAX_OUTSTANDING;
  /** Items given back at the end. */
  givenBack = 0;
  readonly #key: string;
  readonly #server: QueueServer;
  readonly #warn: (text: string) => void;
  readonly #where: string;
  readonly #name = `d4-export-${randomUUID()}`;
  /** What is not delivered, the oldest first, and how much that is. */
  #held: Held[] = [];
  #heldItems = 0;
  #heldBytes = 0;
  /** The first of `#held` that `take` has not returned. */
  #next = 0;
  /** Woken when something has come or was delivered, and when a request or the connection has ended. */
  readonly #news = new Wakeup();
  #connection: QueueConnection | undefined;
  /** Items asked for whose answers are not complete, and the number of these requests. */
  #asked = 0;
  #pops = 0;
  /** A request that waits for an item is under way. */
  #blocked = false;
  /** Whether more items were there at the last pop. */
  #more = true;
  #itemBytes = POP_BYTES / FIRST_POP_ITEMS;
  /** Whether the server was asked if it knows the queue; a genuine Redis cannot say. */
  #known = false;
  #isMissing = false;
  #asksIfKnown = false;
  /** Redis before 6.2 pops one at a time; a server of ours knows a cheaper request. */
  #takesCount = true;
  #hasRuns = false;
  #lost = false;
  /** How long to wait before the next connection; from the beginning again when one was of use. */
  #reconnectMs = 0;
  #closing = false;
  /** What a request was answered that could not be done. */
  #error: ReplyError | undefined;

  /**
   * @param warn is told what the operator should know, one line at a time
   * @throws {D4Error} D4_BAD_UUID
   */
  constructor(address: QueueAddress, warn: (text: string) => void) {
    const queue = parseSensorId(address.queue);
    this.name = `queue ${queue} of type ${address.type}`;
    this.#key = `analyzer:${address.type}:${queue}`;
    const { redisHost: host, redisPort: port, redisPassword: password } = address;
    this.#server = { host, port, password, database: DATABASE };
    this.#where = `the queue server at ${hostPort({ host, port })}`;
    this.#warn = warn;
  }

  /**
   * The next items, the oldest first; waits until there are some.
   * @returns perhaps none where the signal ended the wait
   * @throws {D4Error} D4_EXPORT_SOURCE where the server will never give any: there is no such queue, a password is
   *   needed, the key is no list
   */
  async take(signal: AbortSignal): Promise<RecordBatch> {
    const wake = () => this.#news.wake();
    signal.addEventListener('abort', wake, { once: true });
    try {
      while (!signal.aborted) {
        if (this.#isMissing) throw this.#noQueue();
        const held = this.#held[this.#next];
        if (held !== undefined) {
          this.#next++;
          this.#ask();
          return held.lines;
        }
        if (this.#error !== undefined) await this.#afterError(this.#error, signal);
        else if (this.#connection === undefined) await this.#connect(signal);
        else {
          if (!this.#known) this.#expectQueue(this.#connection);
          else this.#ask();
          await this.#news.wait();
        }
      }
      await this.#settle();
      return { records: [] };
    } finally {
      signal.removeEventListener('abort', wake);
    }
  }

  delivered(count: number): void {
    this.#heldItems -= count;
    let passed = 0;
    for (let left = count; left > 0; ) {
      const held = this.#held[passed];
      if (held === undefined) break;
      const here = held.lines.count - held.from;
      if (here > left) {
        held.from += left;
        break;
      }
      left -= here;
      this.#heldBytes -= held.lines.bytes.length;
      passed++;
    }
    if (passed > 0) {
      this.#held.splice(0, passed);
      this.#next -= passed;
      this.#hasRoom();
    }
    this.#news.wake();
  }

  async waiting(): Promise<number | undefined> {
    const connection = this.#connection;
    if (connection === undefined) return undefined;
    // While it waits for an item, this connection answers nothing else; then nothing waits there.
    if (this.#blocked) return 0;
    const length = await connection.ask('LLEN', this.#key).catch(() => undefined);
    return typeof length === 'number' ? length : undefined;
  }

  /**
   * Gives back what was not delivered, so that it is the next to be popped, in its order, and ends the connection.
   * @throws {D4Error} D4_EXPORT_GIVE_BACK where that did not succeed within 3 s
   */
  async close(): Promise<void> {
    try {
      await this.#settle();
      await this.#giveBack(this.#held.flatMap(({ lines, from }) => lines.recordsFrom(from)));
    } finally {
      this.#connection?.end();
    }
  }

  /** Asks for more, as far as there is room for it. */
  #ask(): void {
    const connection = this.#connection;
    if (connection === undefined || !this.#known || this.#error !== undefined || this.#blocked) return;
    if (!this.#more) {
      if (this.#pops === 0 && this.#held.length === this.#next) this.#end(this.#wait(connection));
      return;
    }
    while (this.#more && this.#pops < POPS_AHEAD) {
      const room = MAX_OUTSTANDING.records - this.#heldItems - this.#asked;
      const byteRoom = MAX_OUTSTANDING.bytes - this.#heldBytes - this.#asked * this.#itemBytes;
      const wanted = Math.ceil(POP_BYTES / this.#itemBytes);
      const count = Math.max(1, Math.min(wanted, MAX_POP_ITEMS, Math.floor(byteRoom / this.#itemBytes)));
      if (room < count || byteRoom <= 0) return;
      this.#end(this.#takesCount ? this.#pop(connection, count) : this.#popSingly(connection, count));
    }
  }

  /** Notes how a request ended; of a connection that has ended we hear by itself. */
  #end(request: Promise<void>): void {
    request
      .catch((error) => {
        if (error instanceof ReplyError) this.#error ??= error;
      })
      .finally(() => this.#news.wake());
  }

  /** Whether there is such a queue, if the server can tell. */
  #expectQueue(connection: QueueConnection): void {
    if (this.#asksIfKnown) return;
    this.#asksIfKnown = true;
    const asked = connection.ask('D4.QUEUE', this.#key).then(
      (answer) => {
        this.#isMissing = answer === 0;
        this.#known = true;
        this.#hasRuns = typeof answer === 'number';
      },
      (error) => {
        if (!(error instanceof ReplyError) || HOPELESS.test(error.message)) throw error;
        this.#known = true;
        this.#hasRuns = false;
      },
    );
    this.#end(
      asked.finally(() => {
        this.#asksIfKnown = false;
      }),
    );
  }

  async #pop(connection: QueueConnection, count: number): Promise<void> {
    let came = 0;
    let bytes = 0;
    this.#pops++;
    this.#asked += count;
    try {
      const take = (lines: RecordLines) => {
        came += lines.count;
        bytes += lines.bytes.length;
        this.#hold(lines);
      };
      const as = this.#hasRuns ? 'runs' : 'items';
      const command = this.#hasRuns ? 'D4.LINES' : 'RPOP';
      await connection.askItems({ most: count, as }, take, command, this.#key, String(count));
      // Runs are not taken apart to make it exactly so many.
      this.#more = as === 'runs' ? came > 0 : came >= count;
      this.#works();
      if (came > 0) this.#itemBytes = Math.max(1, bytes / came);
    } catch (error) {
      if (!(error instanceof ReplyError) || !NO_COUNT.test(error.message)) throw error;
      this.#takesCount = false;
    } finally {
      this.#pops--;
      this.#asked -= count;
    }
  }

  async #popSingly(connection: QueueConnection, count: number): Promise<void> {
    this.#pops++;
    this.#asked += count;
    try {
      const pops = await Promise.allSettled(Array.from({ length: count }, () => connection.ask('RPOP', this.#key)));
      const items = pops.flatMap((pop) => (pop.status === 'fulfilled' && Buffer.isBuffer(pop.value) ? pop.value : []));
      if (items.length > 0) this.#hold(RecordLines.of(items));
      this.#more = items.length >= count;
      const failed = pops.find((pop) => pop.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
      this.#works();
    } finally {
      this.#pops--;
      this.#asked -= count;
    }
  }

  /** Waits for the first item to come, for 30 s at the most. */
  async #wait(connection: QueueConnection): Promise<void> {
    this.#blocked = true;
    try {
      const answer = await connection.ask('BRPOP', this.#key, String(BLOCK_SECONDS));
      this.#works();
      const item = Array.isArray(answer) ? answer[1] : undefined;
      if (Buffer.isBuffer(item)) {
        this.#hold(RecordLines.of([item]));
        this.#more = true;
        return;
      }
      // Nothing came for long: perhaps the queue was removed.
      this.#known = false;
    } finally {
      this.#blocked = false;
    }
  }

  #hold(lines: RecordLines): void {
    this.#held.push({ lines, from: 0 });
    this.#heldItems += lines.count;
    this.#heldBytes += lines.bytes.length;
    this.#hasRoom();
    this.#news.wake();
  }

  /** Items may be much larger than those before were: then the server has to wait with the rest. */
  #hasRoom(): void {
    const connection = this.#connection;
    if (this.#heldBytes < MAX_OUTSTANDING.bytes) connection?.resume();
    else if (!this.#closing) connection?.pause();
    else if (this.#heldBytes > MAX_LAST_BYTES) connection?.end();
  }

  /** The server has given what it was asked for. */
  #works(): void {
    this.#reconnectMs = 0;
    if (this.#lost) this.#warn(`connected to ${this.#where}`);
    this.#lost = false;
  }

  async #connect(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const waitMs = this.#reconnectMs;
      this.#reconnectMs = Math.min(Math.max(waitMs * 2, FIRST_RECONNECT_MS), MAX_RECONNECT_MS);
      try {
        if (waitMs > 0) await sleep(waitMs, undefined, { signal });
        const connection = await QueueConnection.open(this.#server, this.#name, SILENCE_MS, signal);
        this.#connection = connection;
        void connection.ended.then((problem) => this.#ended(problem));
        this.#error = undefined;
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof ReplyError) {
          this.#error = error;
          return;
        }
        this.#noteLoss(error instanceof Error ? error.message || String(error) : String(error));
      }
    }
  }

  #ended(problem: Error): void {
    this.#connection = undefined;
    this.#more = true;
    this.#noteLoss(problem.message || String(problem));
    this.#news.wake();
  }

  /**
   * Lets what was asked for come, so that no item is on its way to us when the connection ends; a request that waits for one is
   * ended by the server, if it can be asked. For 3 s at the most.
   */
  async #settle(): Promise<void> {
    this.#closing = true;
    const isOver = () => this.#connection === undefined || (this.#pops === 0 && !this.#blocked);
    if (isOver()) return;
    this.#connection?.resume();
    const over = new AbortController();
    const giveUp = setTimeout(() => this.#connection?.end(), STOP_MS);
    const unblocking = this.#blocked ? this.#unblock(over.signal) : undefined;
    while (!isOver()) await this.#news.wait();
    clearTimeout(giveUp);
    over.abort('over');
    await unblocking;
  }

  async #unblock(over: AbortSignal): Promise<void> {
    const blocked = this.#connection;
    if (blocked?.id === undefined) {
      blocked?.end();
      return;
    }
    let control: QueueConnection | undefined;
    try {
      control = await QueueConnection.open(this.#server, 'd4-export-stops', STOP_MS, over);
      // Again and again, because the server may not have got our request to wait yet.
      while (!over.aborted) {
        await control.ask('CLIENT', 'UNBLOCK', String(blocked.id));
        await sleep(UNBLOCK_AGAIN_MS, undefined, { signal: over }).catch(() => {});
      }
    } catch {
      if (!over.aborted) blocked.end();
    } finally {
      control?.end();
    }
  }

  async #giveBack(items: Buffer[]): Promise<void> {
    let problem = 'no answer';
    let left = items.length;
    const limit = AbortSignal.timeout(STOP_MS);
    const onLimit = () => this.#connection?.end();
    limit.addEventListener('abort', onLimit, { once: true });
    while (left > 0 && !limit.aborted) {
      // The newest first: each request puts its items in front of what was given back before.
      let from = left;
      for (let bytes = 0; from > 0 && left - from < GIVE_BACK.items && bytes < GIVE_BACK.bytes; ) {
        from--;
        bytes += items[from]?.length ?? 0;
      }
      try {
        this.#connection ??= await QueueConnection.open(this.#server, 'd4-export-gives-back', STOP_MS, limit);
        await this.#connection.ask('RPUSH', this.#key, ...items.slice(from, left).reverse());
        this.givenBack += left - from;
        left = from;
      } catch (error) {
        problem = error instanceof Error ? error.message || String(error) : String(error);
        if (error instanceof ReplyError) break;
        this.#connection = undefined;
        await sleep(GIVE_BACK_AGAIN_MS, undefined, { signal: limit }).catch(() => {});
      }
    }
    limit.removeEventListener('abort', onLimit);
    if (left === 0) return;
    throw new D4Error(
      'D4_EXPORT_GIVE_BACK',
      `${left} records could not be given back to ${this.#where} and are lost: ${problem}`,
    );
  }

  /** @throws {D4Error} D4_EXPORT_SOURCE where trying again is no use */
  async #afterError({ message }: ReplyError, signal: AbortSignal): Promise<void> {
    this.#error = undefined;
    if (HOPELESS.test(message)) throw new D4Error('D4_EXPORT_SOURCE', `${this.#where} answers: ${message}`);
    this.#warn(`${this.#where}: ${message}: trying again`);
    await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
  }

  #noQueue(): D4Error {
    return new D4Error(
      'D4_EXPORT_SOURCE',
      `there is no ${this.name} at ${this.#where}: "d4 queue list" shows those that there are, "d4 queue add ${this.#key.split(':')[1]}" makes one`,
    );
  }

  #noteLoss(problem: string): void {
    if (this.#lost || this.#closing) return;
    this.#lost = true;
    this.#warn(`no connection to ${this.#where} (${problem}): trying again until there is one`);
  }
}
