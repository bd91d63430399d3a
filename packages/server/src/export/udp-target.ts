import { createSocket, type Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { BackOff } from './back-off.ts';
import { hostPort } from './connect.ts';
import { Pacer } from './pacer.ts';
import type { ExportTarget, RecordBatch, TargetCounts, TargetEvents } from './port.ts';
import { RecordLines } from './record-lines.ts';

/** Datagrams a second unless said otherwise: well under the 50,000 that a receiver on the same machine took without loss. */
export const DEFAULT_UDP_RATE = 20_000;
/** The most that one datagram carries over IPv4, in bytes. */
const MAX_DATAGRAM_BYTES = 65_507;
/** Maltrail cuts longer datagrams (docs/drop-in.md). */
const MALTRAIL_BYTES = 8_192;
/** While the receiver refuses, one datagram is tried this often; it has arrived where no refusal came in this time. */
const PROBE_MS = 250;
const WARN_AGAIN_MS = 10_000;
/** Without a rate, up to so many datagrams are sent before it is looked whether one was refused. */
const BURST = 256;

/** What a UDP target is told. */
export interface UdpTargetOptions {
  /** In words: `udp`, `syslog over udp`. */
  readonly kind: string;
  readonly host: string;
  readonly port: number;
  /** Datagrams a second; 0 sends as fast as it goes. */
  readonly rate: number;
  /** Makes a record's datagram; if not given, that is the record with a newline. */
  readonly datagram?: (record: Buffer) => Buffer;
  /** Whether to count what Maltrail would cut. */
  readonly countsLong: boolean;
}

/**
 * Sends each record as one datagram, in order and paced. UDP does not say whether a datagram arrived; only while the
 * receiver's machine answers that nobody listens are records held until somebody does. Records that are too long for a
 * datagram are counted and skipped.
 */
export class UdpTarget implements ExportTarget {
  readonly where: string;
  readonly counts: TargetCounts = { errors: 0, skipped: 0, repeated: 0 };
  problem: string | undefined;
  readonly #options: UdpTargetOptions;
  readonly #events: TargetEvents;
  readonly #pacer: Pacer | undefined;
  readonly #stop = new AbortController();
  /** Resolved when there is a socket; with none where the target was closed before. */
  readonly #connected: Promise<Socket | undefined>;
  #socket: Socket | undefined;
  #overMaltrail = 0;
  /** Whether a refusal has come since the last datagram was tried. */
  #refused = false;
  #oversizedWarnedAt = Number.NEGATIVE_INFINITY;

  constructor(options: UdpTargetOptions, events: TargetEvents) {
    this.#options = options;
    this.#events = events;
    this.where = `${options.kind} ${hostPort(options)}`;
    this.#pacer = options.rate > 0 ? new Pacer(options.rate, performance.now()) : undefined;
    this.#connected = this.#connect();
  }

  async send(batch: RecordBatch, signal: AbortSignal): Promise<void> {
    const socket = this.#socket ?? (await unlessAborted(this.#connected, signal));
    if (socket === undefined) return;
    const { count, at } = this.#datagrams(batch);
    if (this.#pacer !== undefined) {
      for (let i = 0; i < count; i++) {
        if (signal.aborted || !(await this.#paced(signal)) || !(await this.#sendOne(socket, at(i), signal))) return;
      }
      return;
    }
    for (let from = 0; from < count && !signal.aborted; from += BURST) {
      await this.#sendBurst(socket, at, from, Math.min(from + BURST, count), signal);
    }
  }

  remark(): string {
    return this.#overMaltrail > 0 ? `${this.#overMaltrail} over 8,192 bytes (Maltrail cuts them)` : '';
  }

  async close(): Promise<void> {
    this.#stop.abort();
    const socket = await this.#connected;
    if (socket !== undefined) await new Promise<void>((resolve) => socket.close(() => resolve()));
  }

  /** Waits until the pace allows one more. @returns false where the signal ended that */
  async #paced(signal: AbortSignal): Promise<boolean> {
    for (;;) {
      const wait = this.#pacer?.take(performance.now()) ?? 0;
      if (wait === 0) return true;
      await sleep(wait, undefined, { signal }).catch(() => {});
      if (signal.aborted) return false;
    }
  }

  /** Makes the socket, as soon as the receiver's name is known and its address can be sent to. */
  async #connect(): Promise<Socket | undefined> {
    const { signal } = this.#stop;
    const backOff = new BackOff();
    while (this.#socket === undefined && !signal.aborted) {
      try {
        this.#socket = await connected(this.#options);
        // The answer to an earlier datagram comes here, or as the error of the next send.
        this.#socket.on('error', (error) => this.#noteRefusal(error));
        this.#accepted();
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        this.#fail(`cannot send to ${hostPort(this.#options)}: ${why}`);
        await backOff.wait(signal);
      }
    }
    return this.#socket;
  }

  #datagrams(batch: RecordBatch): { readonly count: number; at(index: number): Buffer } {
    const { datagram } = this.#options;
    if (datagram === undefined) {
      const asLines = batch.lines ?? RecordLines.of(batch.records);
      return { count: asLines.count, at: (index) => asLines.line(index) };
    }
    const { records } = batch;
    // Each when its turn comes: its time stands in it.
    return { count: records.length, at: (index) => datagram(records[index] as Buffer) };
  }

  /** Sends many at once, and those that were refused again one by one. */
  async #sendBurst(
    socket: Socket,
    at: (index: number) => Buffer,
    from: number,
    to: number,
    signal: AbortSignal,
  ): Promise<void> {
    let answered = 0;
    const failed = new Set<number>();
    const onAnswer = (error: NodeJS.ErrnoException | null) => {
      // They are answered in order.
      if (error !== null) failed.add(from + answered);
      if (error?.code === 'ECONNREFUSED') this.#refused = true;
      answered++;
    };
    this.#refused = false;
    let sent = from;
    for (; sent < to; sent++) {
      const datagram = at(sent);
      // What is too long is seen to one by one.
      if (datagram.length > MAX_DATAGRAM_BYTES) break;
      this.#noteLength(datagram);
      socket.send(datagram, onAnswer);
    }
    do await arrived();
    while (answered < sent - from);
    const [firstFailed = sent] = failed;
    // That nobody listens is the answer to the datagram before; what follows did not arrive either.
    const refused = this.#refused;
    const good = refused ? Math.max(from, firstFailed - 1) : firstFailed;
    if (good > from) this.#events.delivered(good - from);
    for (let i = good; i < to && !signal.aborted; i++) {
      if (i < sent && !refused && !failed.has(i)) this.#events.delivered(1);
      else if (!(await this.#sendOne(socket, at(i), signal))) return;
    }
  }

  /** @returns false where the signal ended it before */
  async #sendOne(socket: Socket, datagram: Buffer, signal: AbortSignal): Promise<boolean> {
    if (datagram.length > MAX_DATAGRAM_BYTES) {
      this.#skip(datagram.length);
      return true;
    }
    for (;;) {
      this.#refused = false;
      const error = await new Promise<NodeJS.ErrnoException | null>((resolve) => socket.send(datagram, resolve));
      if (error?.code === 'EMSGSIZE') {
        this.#skip(datagram.length);
        return true;
      }
      if (error !== null) this.#noteRefusal(error);
      else if (this.problem === undefined) {
        // From this machine the answer that nobody listens comes at once: then this is the one that was refused.
        await arrived();
        if (!this.#refused) break;
      }
      await sleep(PROBE_MS, undefined, { signal }).catch(() => {});
      if (signal.aborted) return false;
      if (!this.#refused) {
        this.#accepted();
        break;
      }
    }
    this.#noteLength(datagram);
    this.#events.delivered(1);
    return true;
  }

  #noteLength({ length }: Buffer): void {
    if (this.#options.countsLong && length > MALTRAIL_BYTES) this.#overMaltrail++;
  }

  #noteRefusal(error: NodeJS.ErrnoException): void {
    this.#refused = true;
    this.#fail(`${hostPort(this.#options)} refuses datagrams (${error.code})`);
  }

  #fail(problem: string): void {
    this.counts.errors++;
    if (problem !== this.problem) this.#events.warn(`${problem}: records are held until it takes them`);
    this.problem = problem;
  }

  #accepted(): void {
    if (this.problem !== undefined) this.#events.warn(`${hostPort(this.#options)} takes datagrams again`);
    this.problem = undefined;
  }

  #skip(bytes: number): void {
    this.counts.skipped++;
    this.#events.delivered(1);
    const now = performance.now();
    if (now - this.#oversizedWarnedAt < WARN_AGAIN_MS) return;
    this.#oversizedWarnedAt = now;
    const most = MAX_DATAGRAM_BYTES.toLocaleString('en');
    this.#events.warn(
      `a record of ${bytes} bytes is skipped: a datagram carries at most ${most} (${this.counts.skipped} skipped so far)`,
    );
  }
}

/** Resolved when what came in by now has been looked at: one turn may end before the sockets are, two may not. */
async function arrived(): Promise<void> {
  await turn();
  await turn();
}

/** What a promise resolves to; undefined where the signal comes first. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  const aborted = Promise.withResolvers<undefined>();
  const onAbort = () => aborted.resolve(undefined);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Connected, the socket hears of it when nobody listens at the receiver's port. */
async function connected(to: { host: string; port: number }): Promise<Socket> {
  const { address, family } = await lookup(to.host);
  const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.connect(to.port, address, (error?: Error) => (error ? reject(error) : resolve()));
    });
    socket.removeAllListeners('error');
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}
