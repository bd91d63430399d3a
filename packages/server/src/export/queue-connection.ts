import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { RecordLines } from './record-lines.ts';
import { type Reply, ReplyError, ReplyReader, type WantedItems } from './reply-reader.ts';

/** A server that speaks the Redis protocol. */
export interface QueueServer {
  readonly host: string;
  readonly port: number;
  readonly password?: string | undefined;
  readonly database: number;
}

const CONNECT_MS = 10_000;
const KEEP_ALIVE_MS = 15_000;
/** What a server without passwords says of one; then none is needed. */
const NO_PASSWORD = /no password is set|without any password/;

/** A request that waits for its answer. */
interface Pending {
  readonly items: (WantedItems & { readonly take: (lines: RecordLines) => void }) | undefined;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

/** One connection to a Redis server: any number of requests, answered in order. */
export class QueueConnection {
  /** Why it has ended, as soon as it has. */
  readonly ended: Promise<Error>;
  /** The number by which others name it to the server; undefined with a Redis before 5. */
  id: number | undefined;
  readonly #socket: Socket;
  readonly #pending: Pending[] = [];
  readonly #silenceMs: number;
  #problem: Error | undefined;
  #paused = false;

  private constructor({ host, port }: QueueServer, silenceMs: number) {
    this.#silenceMs = silenceMs;
    const reader = new ReplyReader({
      wantedItems: () => this.#pending[0]?.items,
      items: (lines) => this.#pending[0]?.items?.take(lines),
      reply: (reply) => this.#reply(reply),
    });
    const take = (bytes: number): boolean => {
      try {
        reader.came(bytes);
      } catch (error) {
        this.#socket.destroy(error as Error);
      }
      // What was read stays read; no more comes as long as this is false.
      return !this.#paused;
    };
    // Read into memory of ours, more at a time, and not copied from there.
    this.#socket = connect({ host, port, onread: { buffer: () => reader.room, callback: take } });
    this.#socket.setNoDelay(true);
    this.#socket.setKeepAlive(true, KEEP_ALIVE_MS);
    this.#socket.on('error', (error) => {
      this.#problem ??= error;
    });
    this.#socket.on('timeout', () => {
      if (this.#pending.length > 0) this.#socket.destroy(new Error(`no answer for ${silenceMs / 1000} s`));
    });
    this.ended = new Promise((resolve) => {
      this.#socket.once('close', () => {
        const problem = this.#problem ?? new Error('it was closed');
        for (const { reject } of this.#pending.splice(0)) reject(problem);
        resolve(problem);
      });
    });
  }

  /**
   * Connects, and is ready for requests.
   * @param name what the server shows of it
   * @param silenceMs how long the server may say nothing while a request waits
   * @throws {ReplyError} where the server lets nobody in; the error of the network
   */
  static async open(
    server: QueueServer,
    name: string,
    silenceMs: number,
    signal: AbortSignal,
  ): Promise<QueueConnection> {
    const connection = new QueueConnection(server, silenceMs);
    const limit = AbortSignal.any([signal, AbortSignal.timeout(CONNECT_MS)]);
    try {
      await Promise.race([
        once(connection.#socket, 'connect', { signal: limit }),
        connection.ended.then((problem) => Promise.reject(problem)),
      ]);
      await connection.#begin(server, name);
      return connection;
    } catch (error) {
      connection.end();
      throw limit.aborted && !signal.aborted ? new Error(`no connection within ${CONNECT_MS / 1000} s`) : error;
    }
  }

  /**
   * Asks. A large answer is better asked for by `askItems`.
   * @throws {ReplyError} what the server answers; or why the connection has ended
   */
  ask(...words: readonly (string | Buffer)[]): Promise<Reply> {
    return this.#ask(words, undefined);
  }

  /**
   * Asks for a list of items.
   * @param wanted the connection ends where more come
   * @param take told of them as they come; what has come before the connection ends was told
   * @returns null or an empty list, when all have come
   */
  askItems(wanted: WantedItems, take: (lines: RecordLines) => void, ...words: readonly string[]): Promise<Reply> {
    return this.#ask(words, { ...wanted, take });
  }

  /** Reads nothing for now: what is under way stays with the server, and its silence is ours. */
  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#socket.setTimeout(0);
    this.#socket.pause();
  }

  /** Reads on. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#pending.length > 0) this.#socket.setTimeout(this.#silenceMs);
    this.#socket.resume();
  }

  /** Ends it at once; what is asked is not answered any more. */
  end(): void {
    this.#socket.destroy();
  }

  async #begin({ password, database }: QueueServer, name: string): Promise<void> {
    const access = password === undefined ? undefined : this.ask('AUTH', password);
    const others = [this.ask('SELECT', String(database)), this.ask('CLIENT', 'SETNAME', name)];
    const id = this.ask('CLIENT', 'ID');
    const answers = await Promise.allSettled([access, ...others, id]);
    const [accessed, selected] = answers;
    if (accessed?.status === 'rejected' && !NO_PASSWORD.test(accessed.reason.message)) throw accessed.reason;
    if (selected?.status === 'rejected') throw selected.reason;
    // Old servers have no names and numbers, and connections that ended have no id.
    const number = await id.catch((error) => {
      if (!(error instanceof ReplyError)) throw error;
    });
    this.id = typeof number === 'number' ? number : undefined;
  }

  #ask(words: readonly (string | Buffer)[], items: Pending['items']): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) {
        reject(this.#problem ?? new Error('it was closed'));
        return;
      }
      this.#pending.push({ items, resolve, reject });
      if (!this.#paused) this.#socket.setTimeout(this.#silenceMs);
      this.#socket.write(request(words));
    });
  }

  #reply(reply: Reply): void {
    const pending = this.#pending.shift();
    if (this.#pending.length === 0) this.#socket.setTimeout(0);
    if (reply instanceof ReplyError) pending?.reject(reply);
    else pending?.resolve(reply);
  }
}

function request(words: readonly (string | Buffer)[]): Buffer {
  const parts: Buffer[] = [Buffer.from(`*${words.length}\r\n`)];
  for (const word of words) {
    const bytes = typeof word === 'string' ? Buffer.from(word) : word;
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'));
  }
  return Buffer.concat(parts);
}
