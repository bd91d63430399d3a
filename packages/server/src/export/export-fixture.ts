import { createSocket, type Socket } from 'node:dgram';
import { PassThrough, Writable } from 'node:stream';
import type { TestContext } from 'node:test';
import { pino } from 'pino';
import { type MemoryQueue, MemoryQueues } from '../queues/redis/memory-queues-fixture.ts';
import { type RedisSocket, startRedisSocket } from '../queues/redis/socket.ts';
import type { ExporterSecrets } from '../registry/exporter.ts';
import { type CommandTarget, type QueueExport, runQueueExport } from './queue-export.ts';

/** Where nobody else takes the port of a server that a test has stopped. */
const REDIS_HOST = '127.0.0.33';

/** For tests: what a program says, with the possibility to wait for a text in it. */
export class Said extends Writable {
  text = '';
  #waiting: (() => void)[] = [];

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    for (const wake of this.#waiting.splice(0)) wake();
    done();
  }

  async until(text: string | RegExp): Promise<void> {
    while (typeof text === 'string' ? !this.text.includes(text) : !text.test(this.text)) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }
}

/** For tests: a UDP socket that keeps what it gets. */
export class UdpReceiver {
  readonly datagrams: Buffer[] = [];
  readonly port: number;
  readonly #socket: Socket;
  #wake: () => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.port = socket.address().port;
    socket.on('message', (datagram) => {
      this.datagrams.push(datagram);
      this.#wake();
    });
  }

  static open(port = 0, address = '127.0.0.1'): Promise<UdpReceiver> {
    const socket = createSocket({ type: address.includes(':') ? 'udp6' : 'udp4', recvBufferSize: 4 * 1024 * 1024 });
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(port, address, () => resolve(new UdpReceiver(socket)));
    });
  }

  get texts(): string[] {
    return this.datagrams.map(String);
  }

  async until(count: number): Promise<void> {
    while (this.datagrams.length < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#socket.close(resolve));
  }
}

/** For tests: `d4 export` on a queue in memory that is served over the Redis protocol. */
export class ExportUnderTest {
  readonly queues = new MemoryQueues();
  readonly queue: MemoryQueue;
  socket: RedisSocket;
  said = new Said();
  stdout = new PassThrough();
  #stop = new AbortController();
  #running: Promise<number> | undefined;

  private constructor(queues: MemoryQueues, queue: MemoryQueue, socket: RedisSocket) {
    this.queues = queues;
    this.queue = queue;
    this.socket = socket;
  }

  static async open(type = 'maltrail'): Promise<ExportUnderTest> {
    const queues = new MemoryQueues();
    return new ExportUnderTest(queues, queues.make(type), await listen(queues, 0));
  }

  /** Open until the test is over. */
  static async for(t: TestContext, type?: string): Promise<ExportUnderTest> {
    const opened = await ExportUnderTest.open(type);
    t.after(() => opened.close());
    return opened;
  }

  /** Serves the queue again, after `socket` was closed. */
  async listen(port: number): Promise<void> {
    this.socket = await listen(this.queues, port);
  }

  start(target: CommandTarget, options: Partial<QueueExport> & { secrets?: ExporterSecrets } = {}): Promise<number> {
    const { uuid, topic } = this.queue;
    this.#stop = new AbortController();
    const queue = {
      type: topic,
      queue: uuid.replaceAll('-', ''),
      redisHost: REDIS_HOST,
      redisPort: this.socket.address.port,
    };
    this.#running = runQueueExport({ ...queue, verbose: true, target, ...options }, this.#stop.signal, {
      stdout: this.stdout,
      stderr: this.said,
    });
    return this.#running;
  }

  /** Says stop, without waiting for it. */
  abort(): void {
    this.#stop.abort();
  }

  /** @returns the exit code; -1 where it was never started */
  stop(): Promise<number> {
    this.#stop.abort();
    return this.#running ?? Promise.resolve(-1);
  }

  /** What waits in the queue. */
  async left(): Promise<string[]> {
    return (await this.queue.peek(100_000)).map(String);
  }

  /** Resolved when so many items wait in the queue. */
  async until(length: number): Promise<void> {
    while (this.queue.length !== length) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  async close(): Promise<void> {
    await this.stop();
    await this.socket.close();
  }
}

function listen(queues: MemoryQueues, port: number): Promise<RedisSocket> {
  return startRedisSocket({ listen: { host: REDIS_HOST, port }, queues, log: pino({ level: 'silent' }) });
}
