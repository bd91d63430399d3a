import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { D4Error, parseSensorId } from '@d4ts/protocol';
import { Redis, ReplyError } from 'ioredis';

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
/** Items taken at a time: what is at stake if the exporter is killed. */
const MAX_HELD_ITEMS = 100;
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
 * The consuming end of a queue over the Redis protocol. It waits without polling, reconnects for ever, and holds at
 * most 100 items.
 */
export class QueueSource {
  readonly #key: string;
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
  /** Ends what is under way when we close the connection: the library leaves it waiting where it is reconnecting. */
  #onClosed: (() => void) | undefined;

  /**
   * @param warn is told what the operator should know, one line at a time
   * @throws {D4Error} D4_BAD_UUID
   */
  constructor(address: QueueAddress, warn: (text: string) => void) {
    this.#key = `analyzer:${address.type}:${parseSensorId(address.queue)}`;
    this.#where = `the queue server at ${address.redisHost} port ${address.redisPort}`;
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
   * @throws {D4Error} D4_EXPORT_SOURCE where the server will never give any: a password is needed, the key is no list
   */
  async take(signal: AbortSignal): Promise<Buffer[]> {
    while (!signal.aborted) {
      const items = await this.#takeOnce(signal);
      if (items.length > 0) return items;
    }
    return [];
  }

  /**
   * Puts items back so that they are the next to be popped, in their order.
   * @throws {D4Error} D4_EXPORT_GIVE_BACK where that did not succeed within 3 s
   */
  async giveBack(items: readonly Buffer[]): Promise<void> {
    if (items.length === 0) return;
    // The other connection may have been closed to end a wait.
    const redis = this.#redis.duplicate({ retryStrategy: () => 200, connectionName: 'd4-export-gives-back' });
    let problem = 'no answer';
    redis.on('error', (error) => {
      problem = error.message || String(error);
    });
    const timer = setTimeout(() => redis.disconnect(), STOP_MS);
    try {
      await redis.rpush(this.#key, ...items.toReversed());
    } catch (error) {
      if (isReplyError(error)) problem = error.message;
      throw new D4Error(
        'D4_EXPORT_GIVE_BACK',
        `${items.length} records could not be given back to ${this.#where} and are lost: ${problem}`,
        error,
      );
    } finally {
      clearTimeout(timer);
      redis.disconnect();
    }
  }

  /** Ends the connection. Nothing may be under way. */
  close(): void {
    this.#closing = true;
    this.#redis.disconnect();
    this.#onClosed?.();
  }

  async #takeOnce(signal: AbortSignal): Promise<Buffer[]> {
    const items: Buffer[] = [];
    try {
      if (!this.#more) {
        items.push(...(await this.#unlessStopped(this.#waited(), signal)));
        if (items.length === 0 || signal.aborted) return items;
      }
      items.push(...(await this.#unlessStopped(this.#popped(MAX_HELD_ITEMS - items.length), signal)));
      this.#more = items.length >= MAX_HELD_ITEMS;
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
      done.abort();
    }
  }

  async #stop(done: AbortSignal): Promise<void> {
    if (this.#redis.status !== 'ready') {
      this.close();
      return;
    }
    const giveUp = setTimeout(() => this.close(), STOP_MS);
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
      if (!done.aborted) this.close();
    } finally {
      clearTimeout(giveUp);
      control.disconnect();
    }
  }

  /** The first item to come, or none after 30 s. */
  async #waited(): Promise<Buffer[]> {
    const answer = await this.#redis.brpopBuffer(this.#key, BLOCK_SECONDS);
    return answer === null ? [] : [answer[1]];
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
