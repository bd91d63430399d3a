import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { D4Error, parseSensorId } from '@d4ts/protocol';
import { Redis, ReplyError } from 'ioredis';
import { hostPort } from './connect.ts';
import type { Outstanding, RecordBatch, RecordSource } from './port.ts';

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
/** Items taken at a time. */
const MAX_POP_ITEMS = 1_000;
/** What may be taken and not delivered, which is at stake if the exporter is killed; a queue takes 100,000 items back. */
const MAX_OUTSTANDING: Outstanding = { records: 90_000, bytes: 32 * 1024 * 1024 };
/** Items that are given back in one request, and about how many bytes of them. */
const GIVE_BACK = { items: 1_000, bytes: 8 * 1024 * 1024 };
/** How long the server lets us wait for an item, in seconds; then we ask again, so that a dead connection is noticed. */
const BLOCK_SECONDS = 30;
const SILENCE_MS = (BLOCK_SECONDS + 15) * 1000;
const MAX_RECONNECT_MS = 2_000;
/** How long stopping and giving back may take. */
const STOP_MS = 3_000;
const UNBLOCK_AGAIN_MS = 25;
const RETRY_MS = 1_000;
/** Errors of a Redis that no retry mends. */
const HOPELESS = /^(?:WRONGTYPE|NOAUTH|NOPERM|WRONGPASS)\b/;
const NO_COUNT = /^ERR wrong number of arguments/;

/**
 * The consuming end of a queue over the Redis protocol. It waits without polling, reconnects for ever, and at its end
 * gives back what is not delivered.
 */
export class QueueSource implements RecordSource {
  readonly name: string;
  readonly maxOutstanding = MAX_OUTSTANDING;
  /** Items given back at the end. */
  givenBack = 0;
  readonly #key: string;
  /** Items that are not delivered, the oldest first, from `#heldFrom` on. */
  #held: Buffer[] = [];
  #heldFrom = 0;
  /** Whether the server was asked if it knows the queue; a genuine Redis cannot say. */
  #known = false;
  readonly #redis: Redis;
  readonly #warn: (text: string) => void;
  readonly #where: string;
  /** Our name at the server, by which we find our own connection. */
  readonly #name = `d4-export-${randomUUID()}`;
  /** Whether more items were there at the last pop. */
  #more = true;
  /** Redis before 6.2 pops one at a time. */
  #takesCount = true;
  #lost = false;
  #closing = false;
  /** Whether a request that waits for an item is under way. */
  #blocked = false;
  /** Ends what is under way when we close the connection: the library leaves it waiting where it is reconnecting. */
  #onClosed: (() => void) | undefined;

  /**
   * @param warn is told what the operator should know, one line at a time
   * @throws {D4Error} D4_BAD_UUID
   */
  constructor(address: QueueAddress, warn: (text: string) => void) {
    const queue = parseSensorId(address.queue);
    this.name = `queue ${queue} of type ${address.type}`;
    this.#key = `analyzer:${address.type}:${queue}`;
    this.#where = `the queue server at ${hostPort({ host: address.redisHost, port: address.redisPort })}`;
    this.#warn = warn;
    this.#redis = new Redis({
      host: address.redisHost,
      port: address.redisPort,
      db: DATABASE,
      ...(address.redisPassword !== undefined && { password: address.redisPassword }),
      // RESP2 is what every Redis speaks.
      protocol: 2,
      connectionName: this.#name,
      maxRetriesPerRequest: null,
      retryStrategy: (attempt) => Math.min(50 * 2 ** Math.min(attempt, 10), MAX_RECONNECT_MS),
      socketTimeout: SILENCE_MS,
    });
    this.#redis.on('error', (error) => this.#noteLoss(error.message || String(error)));
    this.#redis.on('close', () => this.#noteLoss('it was closed'));
    this.#redis.on('ready', () => {
      if (this.#lost) this.#warn(`connected to ${this.#where}`);
      this.#lost = false;
    });
  }

  /**
   * The next items, the oldest first; waits until there are some.
   * @returns perhaps none where the signal ended the wait
   * @throws {D4Error} D4_EXPORT_SOURCE where the server will never give any: there is no such queue, a password is
   *   needed, the key is no list
   */
  async take(signal: AbortSignal): Promise<RecordBatch> {
    while (!signal.aborted) {
      const records = await this.#takeOnce(signal);
      if (records.length === 0) continue;
      for (const record of records) this.#held.push(record);
      return { records };
    }
    return { records: [] };
  }

  delivered(count: number): void {
    this.#heldFrom += count;
    if (this.#heldFrom < 4096 && this.#heldFrom < this.#held.length) return;
    this.#held = this.#held.slice(this.#heldFrom);
    this.#heldFrom = 0;
  }

  async waiting(): Promise<number | undefined> {
    if (this.#redis.status !== 'ready') return undefined;
    // While it waits for an item, this connection answers nothing else; then nothing waits there.
    if (this.#blocked) return 0;
    return this.#redis.llen(this.#key).catch(() => undefined);
  }

  /**
   * Gives back what was not delivered, so that it is the next to be popped, in its order, and ends the connection.
   * @throws {D4Error} D4_EXPORT_GIVE_BACK where that did not succeed within 3 s
   */
  async close(): Promise<void> {
    try {
      await this.#giveBack(this.#held.slice(this.#heldFrom));
    } finally {
      this.#end();
    }
  }

  #end(): void {
    this.#closing = true;
    this.#redis.disconnect();
    this.#onClosed?.();
  }

  async #giveBack(items: Buffer[]): Promise<void> {
    if (items.length === 0) return;
    // The other connection may have been closed to end a wait.
    const redis = this.#redis.duplicate({ retryStrategy: () => 200, connectionName: 'd4-export-gives-back' });
    let problem = 'no answer';
    redis.on('error', (error) => {
      problem = error.message || String(error);
    });
    const timer = setTimeout(() => redis.disconnect(), STOP_MS);
    let left = items.length;
    try {
      while (left > 0) {
        // The newest first: each request puts its items in front of what was given back before.
        let from = left;
        for (let bytes = 0; from > 0 && left - from < GIVE_BACK.items && bytes < GIVE_BACK.bytes; ) {
          from--;
          bytes += items[from]?.length ?? 0;
        }
        await redis.rpush(this.#key, ...items.slice(from, left).reverse());
        this.givenBack += left - from;
        left = from;
      }
    } catch (error) {
      if (isReplyError(error)) problem = error.message;
      throw new D4Error(
        'D4_EXPORT_GIVE_BACK',
        `${left} records could not be given back to ${this.#where} and are lost: ${problem}`,
        error,
      );
    } finally {
      clearTimeout(timer);
      redis.disconnect();
    }
  }

  async #takeOnce(signal: AbortSignal): Promise<Buffer[]> {
    const items: Buffer[] = [];
    try {
      if (!this.#known) await this.#unlessStopped(this.#expectQueue(), signal);
      if (!this.#more) {
        items.push(...(await this.#unlessStopped(this.#waited(), signal)));
        // Nothing came for long: perhaps the queue was removed.
        if (items.length === 0) this.#known = false;
        if (items.length === 0 || signal.aborted) return items;
      }
      items.push(...(await this.#unlessStopped(this.#popped(MAX_POP_ITEMS - items.length), signal)));
      this.#more = items.length >= MAX_POP_ITEMS;
    } catch (error) {
      if (items.length === 0 && !signal.aborted) await this.#afterError(error, signal);
    }
    return items;
  }

  /** Ends a pop on the signal in such a way that items on their way to us are not lost, if the server can be asked. */
  async #unlessStopped<T>(pending: Promise<T>, signal: AbortSignal): Promise<T> {
    const done = new AbortController();
    const stop = () => void this.#stop(done.signal);
    signal.addEventListener('abort', stop, { once: true });
    // A promise for each call: a race with one that lives as long as we do would keep memory for each turn.
    const closed = Promise.withResolvers<never>();
    this.#onClosed = () => closed.reject(new Error('the connection was closed'));
    if (signal.aborted) stop();
    try {
      return await Promise.race([pending, closed.promise]);
    } finally {
      this.#onClosed = undefined;
      signal.removeEventListener('abort', stop);
      // With a reason of ours, none has to be made, stack and all, for each turn.
      done.abort('over');
    }
  }

  async #stop(done: AbortSignal): Promise<void> {
    if (this.#redis.status !== 'ready') {
      this.#end();
      return;
    }
    const giveUp = setTimeout(() => this.#end(), STOP_MS);
    const control = this.#redis.duplicate({ retryStrategy: () => null, connectionName: 'd4-export-stops' });
    control.on('error', () => {});
    try {
      // Again and again, because the server may not have got our request to wait yet.
      while (!done.aborted) {
        const id = clientId(await control.client('LIST'), this.#name);
        if (id !== undefined) await control.client('UNBLOCK', id);
        await sleep(UNBLOCK_AGAIN_MS, undefined, { signal: done }).catch(() => {});
      }
    } catch {
      if (!done.aborted) this.#end();
    } finally {
      clearTimeout(giveUp);
      control.disconnect();
    }
  }

  /** @throws {D4Error} D4_EXPORT_SOURCE where the server knows that there is no such queue */
  async #expectQueue(): Promise<void> {
    let answer: unknown;
    try {
      answer = await this.#redis.call('D4.QUEUE', this.#key);
    } catch (error) {
      if (!isReplyError(error) || HOPELESS.test(error.message)) throw error;
    }
    this.#known = true;
    if (answer !== 0) return;
    throw new D4Error(
      'D4_EXPORT_SOURCE',
      `there is no ${this.name} at ${this.#where}: "d4 queue list" shows those that there are, "d4 queue add ${this.#key.split(':')[1]}" makes one`,
    );
  }

  /** The first item to come, or none after 30 s. */
  async #waited(): Promise<Buffer[]> {
    this.#blocked = true;
    try {
      const answer = await this.#redis.brpopBuffer(this.#key, BLOCK_SECONDS);
      return answer === null ? [] : [answer[1]];
    } finally {
      this.#blocked = false;
    }
  }

  async #popped(count: number): Promise<Buffer[]> {
    if (this.#takesCount) {
      try {
        return (await this.#redis.rpopBuffer(this.#key, count)) ?? [];
      } catch (error) {
        if (!isReplyError(error) || !NO_COUNT.test(error.message)) throw error;
        this.#takesCount = false;
      }
    }
    const pops = await Promise.allSettled(Array.from({ length: count }, () => this.#redis.rpopBuffer(this.#key)));
    const items = pops.map((pop) => (pop.status === 'fulfilled' ? pop.value : null)).filter((item) => item !== null);
    const [first] = pops;
    if (items.length === 0 && first?.status === 'rejected') throw first.reason;
    return items;
  }

  /** @throws {D4Error} D4_EXPORT_SOURCE where trying again is no use */
  async #afterError(error: unknown, signal: AbortSignal): Promise<void> {
    if (error instanceof D4Error) throw error;
    const message = error instanceof Error ? error.message : String(error);
    if (HOPELESS.test(message)) throw new D4Error('D4_EXPORT_SOURCE', `${this.#where} answers: ${message}`, error);
    this.#warn(`${this.#where}: ${message}: trying again`);
    await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
  }

  #noteLoss(problem: string): void {
    if (this.#lost || this.#closing) return;
    this.#lost = true;
    this.#warn(`no connection to ${this.#where} (${problem}): trying again until there is one`);
  }
}

/** The number of the connection with this name in what CLIENT LIST answers. */
function clientId(list: unknown, name: string): string | undefined {
  const line = String(list)
    .split('\n')
    .find((each) => each.includes(` name=${name} `));
  return line === undefined ? undefined : /^id=(\d+) /.exec(line)?.[1];
}

function isReplyError(error: unknown): error is Error {
  return error instanceof ReplyError;
}
