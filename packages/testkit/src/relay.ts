import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** One connection through the relay: what the client holds, and what leads on to the server. */
interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  /** Bytes that the client has sent through it. */
  passed: number;
}

/**
 * A TCP relay between clients and a server, which fails as networks do: it cuts, stalls, half-closes, forgets one side, and
 * goes away. For tests; bytes are passed on unchanged.
 */
export class Relay implements AsyncDisposable {
  readonly #target: number;
  readonly #pairs = new Set<Pair>();
  /** Sides whose other side is gone; they stay until the peer closes them or the relay ends. */
  readonly #lingering = new Set<Socket>();
  #listener: Server | undefined;
  #port = 0;
  #stalled = false;
  #budget = Number.POSITIVE_INFINITY;
  readonly #waiting = new Set<() => void>();

  private constructor(target: number) {
    this.#target = target;
  }

  /** Listens on a free loopback port, and leads to a port of loopback. */
  static async start(target: number): Promise<Relay> {
    const relay = new Relay(target);
    await relay.open();
    return relay;
  }

  get port(): number {
    return this.#port;
  }

  /** Takes connections, again on the same port after `refuse`. */
  async open(): Promise<void> {
    if (this.#listener !== undefined) return;
    const listener = createServer({ allowHalfOpen: true }, (client) => this.#take(client));
    listener.listen(this.#port, '127.0.0.1');
    await once(listener, 'listening');
    this.#listener = listener;
    this.#port = (listener.address() as AddressInfo).port;
  }

  /** An outage: cuts everything, and refuses new connections until `open`. */
  async refuse(): Promise<void> {
    const listener = this.#listener;
    this.#listener = undefined;
    const closed = listener && once(listener, 'close');
    listener?.close();
    this.cut();
    await closed;
  }

  /** Resets every connection, on both sides. */
  cut(): void {
    for (const { client, server } of this.#pairs) {
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
  }

  /** Resets what the clients hold; the server is told nothing, and keeps old connections. */
  linger(): void {
    for (const pair of this.#pairs) {
      this.#lingering.add(pair.server);
      pair.server.removeAllListeners('close').once('close', () => this.#lingering.delete(pair.server));
      pair.client.resetAndDestroy();
    }
  }

  /** Ends the direction to the server, as if the client had; what the server sends still passes. */
  halfClose(): void {
    for (const { client, server } of this.#pairs) {
      client.unpipe(server);
      client.pause();
      server.end();
    }
  }

  /** Passes nothing on, in either direction, until `resume`; connections stay, new ones too. */
  stall(): void {
    this.#stalled = true;
    for (const pair of this.#pairs) this.#flow(pair);
  }

  /** Ends a stall, and lifts `stallAfter`. */
  resume(): void {
    this.#stalled = false;
    this.#budget = Number.POSITIVE_INFINITY;
    for (const pair of this.#pairs) this.#flow(pair);
  }

  /** Each connection, those that exist too, passes so many bytes from the client, and then stalls. */
  stallAfter(bytes: number): void {
    this.#budget = bytes;
  }

  /** Resolves when a connection that is open has stalled after its bytes. */
  async stalled(): Promise<void> {
    while (![...this.#pairs].some(({ passed }) => passed >= this.#budget)) {
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#lingering) socket.destroy();
    await this.refuse();
  }

  #take(client: Socket): void {
    const server = connect({ port: this.#target, host: '127.0.0.1', allowHalfOpen: true });
    const pair: Pair = { client, server, passed: 0 };
    this.#pairs.add(pair);
    const over = (): void => {
      this.#pairs.delete(pair);
      client.destroy();
      if (!this.#lingering.has(server)) server.destroy();
    };
    for (const socket of [client, server]) socket.on('error', () => {}).once('close', over);
    client.on('data', (bytes) => {
      pair.passed += bytes.length;
      if (pair.passed < this.#budget) return;
      this.#flow(pair);
      for (const wake of this.#waiting) wake();
      this.#waiting.clear();
    });
    this.#flow(pair);
  }

  #flow(pair: Pair): void {
    const { client, server, passed } = pair;
    const stalls = this.#stalled || passed >= this.#budget;
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.unpipe(to);
      if (stalls) from.pause();
      else from.pipe(to);
    }
  }
}
