import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { BackOff } from './back-off.ts';
import { connectStream, networkProblem, type StreamAddress, streamAddressText } from './connect.ts';
import { type Framing, lines, runsOf } from './framing.ts';
import type { ExportTarget, Outstanding, RecordBatch, TargetCounts, TargetEvents } from './port.ts';
import { ResendWindow } from './resend-window.ts';
import { mostUnacknowledgedBytes, unacknowledgedBytes, unacknowledgedBytesLater } from './unacknowledged.ts';

/** About how much is written at a time, in bytes. */
const CHUNK_BYTES = 128 * 1024;
/** What was acknowledged counts as delivered after this, if the connection still lives: a receiver has read it by then. */
const SETTLE_MS = 1_000;
/** Linux lets a receive buffer grow to 6 MiB (tcp_rmem): what has more behind it was read. */
const RECEIVER_BYTES = 6 * 1024 * 1024;
const KEEP_MS = 60_000;
/** How often it is looked what has been acknowledged, and at the least between two looks. */
const LOOK_MS = 200;
const LOOK_AGAIN_MS = 10;
/** With many connections on the machine a look takes long; then so many times that is the least between two. */
const LOOK_SHARE = 20;
/** How long the end may take: to write what waits, and for the receiver to close. */
const CLOSE_MS = 3_000;
const UNANSWERED_END_MS = 500;

/** What makes one kind of stream different from others. */
export interface StreamTargetOptions {
  /** In words: `tcp 192.0.2.1:514`. */
  readonly kind: string;
  readonly address: StreamAddress;
  readonly framing: Framing;
  /** What each connection begins with, and what it ends with if it is we who end it. */
  readonly opening?: () => Buffer;
  readonly closing?: () => Buffer;
  /** What it may mean if the receiver closes right after the first bytes. */
  readonly refusal?: string;
  /** Sees each connection before anything is written to it. */
  readonly onConnected?: (socket: Socket) => void;
}

/** How a connection ended. */
interface Ending {
  /** The receiver threw away bytes that it had not read. */
  readonly reset: boolean;
  readonly reason: string;
}

/**
 * Writes records to a stream: TCP, TLS or a unix socket. Connects for ever. Nothing comes back from such a receiver, so
 * that a record counts as delivered when the receiver's machine has acknowledged it and the connection has lived on for
 * a second; after a broken connection all that does not is sent again (`ResendWindow`, docs/exporters.md).
 */
export class StreamTarget implements ExportTarget {
  readonly where: string;
  readonly counts: TargetCounts = { errors: 0, skipped: 0, repeated: 0 };
  problem: string | undefined;
  readonly #options: StreamTargetOptions;
  readonly #events: TargetEvents;
  readonly #max: Outstanding;
  readonly #window = new ResendWindow({ settleMs: SETTLE_MS, receiverBytes: RECEIVER_BYTES, keepMs: KEEP_MS });
  readonly #backOff = new BackOff();
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #socket: Socket | undefined;
  /** Offset up to which the system has taken what was written. */
  #handed = 0;
  #seesAcknowledgements = false;
  /** What was handed over before that is acknowledged. */
  readonly #mostUnacknowledged = mostUnacknowledgedBytes();
  #lookTimer: NodeJS.Timeout | undefined;
  #looking = false;
  #lookedAt = 0;
  /** The least between two looks, in ms. */
  #lookAgainMs = LOOK_AGAIN_MS;
  #wakeRoom: () => void = () => {};
  #closing = false;

  constructor(options: StreamTargetOptions, events: TargetEvents, maxOutstanding: Outstanding) {
    this.#options = options;
    this.#events = events;
    this.#max = maxOutstanding;
    this.where = `${options.kind} ${streamAddressText(options.address)}`;
    this.#running = this.#run();
  }

  /** Whether nothing waits for its delivery. */
  get idle(): boolean {
    return this.#window.records === 0;
  }

  async send(batch: RecordBatch, signal: AbortSignal): Promise<void> {
    for (const { bytes, records } of chunksOf(batch, this.#options.framing)) {
      await this.#room(signal);
      if (signal.aborted) return;
      this.#window.add(bytes, records);
      this.#pump();
    }
    await this.#room(signal);
  }

  async close(): Promise<void> {
    this.#closing = true;
    const socket = this.#socket;
    if (socket !== undefined) await this.#finish(socket);
    clearTimeout(this.#lookTimer);
    this.#stop.abort();
    socket?.destroy();
    await this.#running;
  }

  get #full(): boolean {
    return this.#window.records >= this.#max.records || this.#window.bytes >= this.#max.bytes;
  }

  async #room(signal: AbortSignal): Promise<void> {
    while (this.#full && !signal.aborted) {
      this.#lookSoon();
      const { promise, resolve } = Promise.withResolvers<void>();
      const wake = () => resolve();
      this.#wakeRoom = wake;
      signal.addEventListener('abort', wake, { once: true });
      if (this.#full) await promise;
      signal.removeEventListener('abort', wake);
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted && !this.#closing) {
      const ending = await this.#connection();
      if (signal.aborted || this.#closing) return;
      this.#fail(ending.reason);
      this.counts.repeated += this.#window.restart(ending.reset, performance.now());
      await this.#backOff.wait(signal);
    }
  }

  /** One connection, from the attempt to its end. */
  async #connection(): Promise<Ending> {
    let socket: Socket;
    try {
      socket = await connectStream(this.#options.address, this.#stop.signal);
    } catch (error) {
      return { reset: false, reason: `cannot reach ${this.where}: ${networkProblem(error)}` };
    }
    let settled = false;
    const settling = setTimeout(() => {
      settled = true;
      this.#recover();
    }, SETTLE_MS);
    const ended = this.#end(socket);
    this.#begin(socket);
    const { reset, reason } = await ended;
    clearTimeout(settling);
    clearTimeout(this.#lookTimer);
    this.#lookTimer = undefined;
    this.#acknowledged(this.#acknowledgedOffset(), performance.now());
    this.#socket = undefined;
    socket.destroy();
    const refusal = settled ? '' : (this.#options.refusal ?? '');
    return { reset, reason: `the connection to ${this.where} broke: ${reason}${refusal}` };
  }

  #begin(socket: Socket): void {
    this.#handed = this.#window.start;
    this.#socket = socket;
    const isTcp = this.#options.address.kind !== 'unix';
    this.#seesAcknowledgements = isTcp && unacknowledgedBytes(socket) !== undefined;
    this.#options.onConnected?.(socket);
    // What a receiver says means nothing, but its end does.
    socket.resume();
    socket.on('drain', () => this.#pump());
    const opening = this.#options.opening?.();
    if (opening !== undefined) socket.write(opening);
    this.#pump();
  }

  #end(socket: Socket): Promise<Ending> {
    return new Promise((resolve) => {
      socket.once('error', (error: NodeJS.ErrnoException) =>
        resolve({ reset: error.code === 'ECONNRESET', reason: networkProblem(error) }),
      );
      socket.once('end', () => resolve({ reset: false, reason: 'the receiver closed it' }));
      socket.once('close', () => resolve({ reset: false, reason: 'it was closed' }));
    });
  }

  #pump(): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    while (!socket.writableNeedDrain && socket.writable) {
      const chunk = this.#window.next();
      if (chunk === undefined) break;
      // The window gives the chunk another offset when it is sent again, on another connection.
      const { end } = chunk;
      socket.write(chunk.bytes, (error) => {
        if (error || this.#socket !== socket) return;
        this.#handed = end;
        this.#acknowledged(end - this.#mostUnacknowledged, performance.now());
      });
    }
    this.#lookIn(LOOK_MS);
  }

  /** There is no room: what has been acknowledged in the meantime may make some. */
  #lookSoon(): void {
    clearTimeout(this.#lookTimer);
    this.#lookTimer = undefined;
    this.#lookIn(0);
  }

  /** Looks after so many ms, unless it is going to, but not too soon after the last time. */
  #lookIn(ms: number): void {
    if (this.#looking || this.#lookTimer !== undefined || this.#closing || this.#window.records === 0) return;
    const after = Math.max(ms, this.#lookedAt + this.#lookAgainMs - performance.now(), 0);
    this.#lookTimer = setTimeout(() => {
      this.#lookTimer = undefined;
      const socket = this.#socket;
      if (socket !== undefined) void this.#look(socket);
    }, after);
  }

  /** Notes what the receiver's machine has acknowledged. */
  async #look(socket: Socket): Promise<void> {
    this.#looking = true;
    const handed = this.#handed;
    const began = performance.now();
    const waiting = this.#seesAcknowledgements ? await unacknowledgedBytesLater(socket) : 0;
    const now = performance.now();
    this.#looking = false;
    this.#lookedAt = now;
    this.#lookAgainMs = Math.max(LOOK_AGAIN_MS, LOOK_SHARE * (now - began));
    if (this.#socket === socket && waiting !== undefined) this.#acknowledged(handed - waiting, now);
    this.#lookIn(this.#full ? 0 : LOOK_MS);
  }

  #acknowledged(offset: number, now: number): void {
    this.#window.acknowledged(offset, now);
    this.#delivered(this.#window.takeDelivered(now));
  }

  #acknowledgedOffset(): number {
    const socket = this.#socket;
    if (socket === undefined) return 0;
    if (!this.#seesAcknowledgements) return this.#handed;
    const waiting = unacknowledgedBytes(socket);
    return waiting === undefined ? 0 : this.#handed - waiting;
  }

  #delivered(records: number): void {
    if (records === 0) return;
    this.#events.delivered(records);
    this.#wakeRoom();
  }

  #fail(problem: string): void {
    this.counts.errors++;
    if (problem !== this.problem) this.#events.warn(`${problem}: records are held, trying again until it is possible`);
    this.problem = problem;
  }

  #recover(): void {
    this.#backOff.reset();
    if (this.problem !== undefined) this.#events.warn(`connected to ${this.where}`);
    this.problem = undefined;
  }

  /** Writes what waits, ends our side, and waits for the receiver's. */
  async #finish(socket: Socket): Promise<void> {
    const { signal } = this.#stop;
    let over: Ending | undefined;
    void this.#end(socket).then((ending) => {
      over = ending;
    });
    // When the receiver ends its side too, the connection may be gone before we look.
    socket.prependOnceListener('end', () => this.#window.acknowledged(this.#acknowledgedOffset(), performance.now()));
    const deadline = performance.now() + CLOSE_MS;
    const isTime = () => performance.now() < deadline && over === undefined;
    while (isTime() && !(this.#window.allWritten && socket.writableLength === 0)) {
      await sleep(5, undefined, { signal }).catch(() => {});
    }
    // After the end the connection may be gone before it can be seen what was acknowledged.
    const lookUntil = performance.now() + UNANSWERED_END_MS;
    const isMissing = () => this.#acknowledgedOffset() < this.#handed && performance.now() < lookUntil;
    while (isTime() && isMissing()) await sleep(5, undefined, { signal }).catch(() => {});
    this.#window.acknowledged(this.#acknowledgedOffset(), performance.now());
    if (over === undefined && this.#options.closing !== undefined) socket.write(this.#options.closing());
    socket.end();
    const endedAt = performance.now();
    while (isTime()) {
      this.#window.acknowledged(this.#acknowledgedOffset(), performance.now());
      this.#delivered(this.#window.takeAcknowledged(performance.now()));
      if (this.#window.records === 0 && performance.now() - endedAt >= UNANSWERED_END_MS) return;
      await sleep(5, undefined, { signal }).catch(() => {});
    }
    // Where acknowledgements cannot be seen, a receiver that has closed after our end has read all before it.
    const answered = over?.reset === false && socket.writableFinished && socket.errored === null;
    if (answered && !this.#seesAcknowledgements) this.#window.acknowledged(this.#handed, performance.now());
    this.#delivered(this.#window.takeAcknowledged(performance.now()));
  }
}

/** What is written at a time, and how many records are in it. */
function* chunksOf(batch: RecordBatch, framing: Framing): Generator<{ bytes: Buffer; records: number }> {
  if (framing === lines && batch.lines !== undefined) {
    yield* batch.lines.runs(CHUNK_BYTES);
    return;
  }
  for (const run of runsOf(batch.records, CHUNK_BYTES)) yield { bytes: framing(run), records: run.length };
}
