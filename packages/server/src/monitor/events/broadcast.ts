import type { Writable } from 'node:stream';

/** Events that are kept for clients that come back. */
const KEPT_EVENTS = 200;
/** What may wait for one client, in bytes; beyond it events are left out for it. */
const MAX_WAITING_BYTES = 512 * 1024;
const HEARTBEAT = Buffer.from(': still here\n\n');

/** How an event is to be treated. */
export interface EventOptions {
  /** It is worth nothing later: not sent again to those who come back. */
  readonly transient?: boolean;
  /** Only those get it who asked for it by this name. */
  readonly extra?: string;
}

interface KeptEvent {
  readonly number: number;
  /** ms since 1970 */
  readonly at: number;
  readonly bytes: Buffer;
}

interface Client {
  readonly to: Writable;
  readonly extras: ReadonlySet<string>;
  /** Events that were left out for it since the last one that it got. */
  missed: number;
}

/**
 * Server-sent events for many clients: each event is serialised once. An event's id is the broadcast's own name and a
 * number. Who comes back with the id of its last event gets what it has missed, or is told that it is too much.
 */
export class Broadcast {
  readonly #name: string;
  readonly #clients = new Set<Client>();
  readonly #recentMs: number;
  #kept: KeptEvent[] = [];
  #number = 0;

  /**
   * @param name of this run of the server: ids of another run are not understood
   * @param recentMs who comes for the first time gets the events of so long: a page asks for lists before its stream is open
   */
  constructor(name: string, recentMs = 0) {
    this.#name = name;
    this.#recentMs = recentMs;
  }

  get clients(): number {
    return this.#clients.size;
  }

  /** Sends an event to all. @param data JSON */
  send(event: string, data: unknown, { transient = false, extra }: EventOptions = {}): void {
    if (!transient) this.#number += 1;
    const bytes = this.#text(event, data, !transient);
    if (!transient) {
      this.#kept.push({ number: this.#number, at: Date.now(), bytes });
      if (this.#kept.length > KEPT_EVENTS) this.#kept.shift();
    }
    for (const client of this.#clients) {
      if (extra === undefined || client.extras.has(extra)) this.#sendTo(client, bytes);
    }
  }

  /** Whether anybody asked for it. */
  isWanted(extra: string): boolean {
    return [...this.#clients].some(({ extras }) => extras.has(extra));
  }

  /** Forgets what was kept: who comes back is told that it has missed something. */
  interrupt(): void {
    this.#kept = [];
    this.#number += 1;
  }

  /**
   * Adds a client, which gets everything from now on; first what it has missed.
   * @param lastId the id of the last event that it got
   * @param extras what it gets that others do not
   * @returns how to take it out again
   */
  add(to: Writable, lastId: string | undefined, hello: unknown, extras: readonly string[] = []): () => void {
    const client: Client = { to, extras: new Set(extras), missed: 0 };
    to.write(this.#text('hello', hello, true));
    for (const bytes of this.#since(lastId)) to.write(bytes);
    this.#clients.add(client);
    return () => this.#clients.delete(client);
  }

  /** Keeps connections open that nothing is sent on. */
  beat(): void {
    for (const { to } of this.#clients) if (to.writableLength === 0) to.write(HEARTBEAT);
  }

  #sendTo(client: Client, bytes: Buffer): void {
    const { to } = client;
    if (to.writableLength + bytes.length > MAX_WAITING_BYTES) {
      client.missed += 1;
      return;
    }
    if (client.missed > 0) {
      to.write(this.#text('dropped', { count: client.missed }, false));
      client.missed = 0;
    }
    to.write(bytes);
  }

  #since(lastId: string | undefined): Buffer[] {
    if (lastId === undefined || lastId === '') {
      const since = Date.now() - this.#recentMs;
      return this.#kept.filter(({ at }) => at > since).map(({ bytes }) => bytes);
    }
    const [, name, text = ''] = /^(.*)-(\d{1,15})$/.exec(lastId) ?? [];
    const last = Number(text);
    const first = this.#kept[0]?.number ?? this.#number + 1;
    const isKnown = name === this.#name && last <= this.#number && last >= first - 1;
    if (!isKnown) return [this.#text('missed', {}, false)];
    return this.#kept.filter(({ number }) => number > last).map(({ bytes }) => bytes);
  }

  #text(event: string, data: unknown, hasId: boolean): Buffer {
    const id = hasId ? `id: ${this.#name}-${this.#number}\n` : '';
    return Buffer.from(`${id}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }
}
