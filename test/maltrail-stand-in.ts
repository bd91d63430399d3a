import { createSocket, type Socket } from 'node:dgram';

/** Longer datagrams are cut. */
const MAX_BYTES = 8_192;
const TIME = /^.(\d{4}-\d\d-\d\d) \d\d:\d\d:\d\d\./;

/**
 * Takes datagrams as Maltrail's server 3.1.2 was seen to (docs/drop-in.md): one datagram is one event, of the day that it
 * names; a number in front is taken for the time and cut off; what has neither is dropped without a word.
 */
export class MaltrailStandIn {
  /** Lines by day, without the newline. */
  readonly days = new Map<string, string[]>();
  #socket: Socket | undefined;
  #port = 0;
  #count = 0;
  #wake: () => void = () => {};

  get port(): number {
    return this.#port;
  }

  get events(): string[] {
    return [...this.days.values()].flat();
  }

  /** Listens; after `close` at the same port again. */
  async open(): Promise<void> {
    const socket = createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 });
    socket.on('message', (datagram) => this.#take(datagram.subarray(0, MAX_BYTES)));
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(this.#port, '127.0.0.1', resolve);
    });
    this.#socket = socket;
    this.#port = socket.address().port;
  }

  async close(): Promise<void> {
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket !== undefined) await new Promise<void>((resolve) => socket.close(() => resolve()));
  }

  /** Resolved when so many events are kept. */
  async until(count: number): Promise<void> {
    while (this.#count < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #take(datagram: Buffer): void {
    const text = datagram.toString('latin1');
    const [, seconds, behind] = /^(\d+) (.*)$/s.exec(text) ?? [];
    const day =
      seconds === undefined ? TIME.exec(text)?.[1] : new Date(Number(seconds) * 1_000).toISOString().slice(0, 10);
    if (day === undefined) return;
    const event = (behind ?? text).replace(/[\r\n]+$/, '').replaceAll(/[\r\n]/g, ' ');
    const events = this.days.get(day) ?? [];
    this.days.set(day, events);
    events.push(event);
    this.#count += 1;
    this.#wake();
  }
}
