import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { AckSession, agreedOn, type SessionEnd, WireView } from '@d4ts/client/acknowledged';
import { ACK_ALPN, D4Error, HmacScratch, type SensorId } from '@d4ts/protocol';
import { BackOff } from './back-off.ts';
import { connectStream, networkProblem, type StreamAddress } from './connect.ts';
import { ForwardedStream } from './forwarded-stream.ts';
import { runsOf } from './framing.ts';
import type { ExportTarget, Outstanding, RecordBatch, TargetCounts, TargetEvents } from './port.ts';
import { RecordLines } from './record-lines.ts';

/** About how much is made ready to be sent at a time, in bytes. */
const CHUNK_BYTES = 128 * 1024;
/** How long a server may take for its first message, in ms. */
const GREETING_MS = 30_000;
/** A server that takes nothing for so long is spoken of, in ms. */
const HOLDING_MS = 10_000;
/** A connection that has held for so long was no mistake of the server's, even if there was nothing to acknowledge, in ms. */
const HELD_MS = 10_000;
/** How long the end may take: until everything is acknowledged. */
const CLOSE_MS = 4_000;

/** What a stream to another server is told. */
export interface AcknowledgedTargetOptions {
  /** In words: `d4 192.0.2.1:4443`. */
  readonly where: string;
  readonly address: StreamAddress & { readonly kind: 'tls' };
  readonly sensor: SensorId;
  readonly key: Buffer;
  readonly metaHeader: Buffer;
  /** Sees each connection before anything is written to it. */
  readonly onConnected: (socket: Socket) => void;
}

/**
 * Sends records to another D4 server as one acknowledged stream (docs/acknowledged-streams.md): a record is delivered when the
 * server has it in its journal, synced. A connection that breaks is followed by one that goes on where the server
 * says, so that each record is there once.
 */
export class AcknowledgedTarget implements ExportTarget {
  readonly where: string;
  readonly counts: TargetCounts = { errors: 0, skipped: 0, repeated: 0 };
  problem: string | undefined;
  readonly #options: AcknowledgedTargetOptions;
  readonly #events: TargetEvents;
  readonly #max: Outstanding;
  readonly #stream: ForwardedStream;
  readonly #scratch = new HmacScratch();
  readonly #backOff = new BackOff();
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  /** Whether a server is taking the stream now, and whether one ever was. */
  #accepted = false;
  #wasAccepted = false;
  #holding: NodeJS.Timeout | undefined;
  /** Whether it was said that the server takes nothing for now. */
  #saidHolding = false;
  #settling: NodeJS.Timeout | undefined;
  /** Connections in a row that the server has ended without having taken anything of what there was. */
  #fruitless = 0;
  #wakeRoom: () => void = () => {};
  /** Why there is no going on. */
  #failure: D4Error | undefined;

  constructor(options: AcknowledgedTargetOptions, events: TargetEvents, maxOutstanding: Outstanding) {
    const { where, sensor, metaHeader } = options;
    this.#options = options;
    this.#events = events;
    this.#max = maxOutstanding;
    this.where = where;
    this.#stream = new ForwardedStream({ sensor, metaHeader, source: where }, (records) => {
      this.#fruitless = 0;
      this.#recover();
      events.delivered(records);
      this.#wakeRoom();
    });
    this.#running = this.#run();
  }

  /** Whether nothing waits for its delivery. */
  get idle(): boolean {
    return this.#stream.records === 0;
  }

  async send({ records }: RecordBatch, signal: AbortSignal): Promise<void> {
    for (const run of runsOf(records, CHUNK_BYTES)) {
      await this.#room(signal);
      if (signal.aborted) return;
      this.#stream.append(RecordLines.of(run));
    }
    await this.#room(signal);
  }

  async close(): Promise<void> {
    this.#stream.finish();
    // Also where there is no connection now: what was sent may be there, and then must not go elsewhere too.
    if (this.#accepted || (this.#wasAccepted && !this.idle)) {
      const late = new AbortController();
      await Promise.race([this.#running, sleep(CLOSE_MS, undefined, { signal: late.signal }).catch(() => {})]);
      late.abort();
    }
    this.#stop.abort();
    await this.#running;
  }

  get #full(): boolean {
    const { records, available, acknowledged } = this.#stream;
    return records >= this.#max.records || available - acknowledged >= this.#max.bytes;
  }

  /** @throws {D4Error} D4_EXPORT_TARGET where the server takes no acknowledged streams any more */
  async #room(signal: AbortSignal): Promise<void> {
    while (this.#failure === undefined && this.#full && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const wake = () => resolve();
      this.#wakeRoom = wake;
      signal.addEventListener('abort', wake, { once: true });
      await promise;
      signal.removeEventListener('abort', wake);
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted && this.#failure === undefined) {
      const since = performance.now();
      const before = this.#stream.acknowledged;
      const end = await this.#connection();
      clearTimeout(this.#settling);
      // Not because a server accepts: one that does that and nothing more would be asked in a loop.
      const hasHeld = this.#accepted && performance.now() - since > HELD_MS;
      const isFruitless = this.#stream.acknowledged === before && !hasHeld;
      if (!isFruitless) this.#backOff.reset();
      else if (this.#accepted || end.kind === 'ended' || end.kind === 'unresumable') this.#fruitless++;
      else if (end.kind === 'refused' && end.action === 'new-stream') this.#fruitless++;
      this.#accepted = false;
      if (end.kind === 'aborted') return;
      if (end.kind === 'ended' && this.#stream.end !== undefined) return;
      const isOver = end.kind === 'ended' || end.kind === 'unresumable';
      if (isOver || (end.kind === 'refused' && end.action === 'new-stream')) {
        this.counts.errors++;
        // A new stream is not refused like this; a server that does it all the same is not asked in a loop.
        if (this.#stream.rebirth !== undefined) {
          if (this.#fruitless > 1) this.#say(this.#refusesAll(end));
          await this.#backOff.wait(signal);
        }
        await this.#beginAnew();
        continue;
      }
      this.#fail(this.#problemOf(end));
      await this.#backOff.wait(signal);
    }
  }

  /** One connection, from the attempt to its end. */
  async #connection(): Promise<SessionEnd> {
    const { address, key, onConnected } = this.#options;
    const { signal } = this.#stop;
    let socket: Socket;
    try {
      socket = await connectStream({ ...address, alpn: ACK_ALPN }, signal);
      onConnected(socket);
    } catch (error) {
      return signal.aborted ? { kind: 'aborted' } : { kind: 'broken', reason: networkProblem(error) };
    }
    if (!agreedOn(socket, ACK_ALPN)) {
      socket.destroy();
      this.#failure = new D4Error('D4_EXPORT_TARGET', `${this.where} takes no acknowledged streams any more`);
      this.#wakeRoom();
      return { kind: 'broken', reason: this.#failure.message };
    }
    const session = new AckSession(socket, {
      view: new WireView(this.#stream),
      key,
      scratch: this.#scratch,
      signal,
      greetingMs: GREETING_MS,
      onAccepted: () => this.#accept(),
      onHolding: (holding) => this.#hold(holding),
      onSent: () => {},
    });
    const end = await session.run();
    this.#hold(false);
    return end;
  }

  /** What is not acknowledged becomes a stream of its own, which names the one before. */
  async #beginAnew(): Promise<void> {
    const previous = this.#stream.rebirth?.id ?? this.#stream.identity.id;
    const offset = this.#stream.forkAt;
    const crc = (await this.#stream.crcAt(offset)) ?? 0;
    await this.#stream.reborn({ id: randomBytes(16).toString('hex'), previous, base: { offset, crc } });
  }

  #refusesAll(end: SessionEnd): string {
    const why = end.kind === 'refused' ? ` (${end.code}${end.text === '' ? '' : `: ${end.text}`})` : '';
    return `${this.where} takes nothing: it will not have a new stream either${why}`;
  }

  #problemOf(end: SessionEnd & { kind: 'refused' | 'broken' }): string {
    if (end.kind === 'broken') return `no connection to ${this.where}: ${end.reason}`;
    const text = end.text === '' ? '' : `: ${end.text}`;
    const hint = end.action === 'retry' ? '' : '. There, "d4 sensor show" and "d4 status" say why';
    return `${this.where} refuses the stream (${end.code}${text})${hint}`;
  }

  /** A server that pauses for a moment is nothing to speak of. */
  #hold(holding: boolean): void {
    clearTimeout(this.#holding);
    if (holding) {
      this.#holding = setTimeout(() => {
        this.#fail(`${this.where} takes nothing for now`);
        this.#saidHolding = true;
      }, HOLDING_MS);
    } else if (this.#accepted && this.#saidHolding) this.#recover();
  }

  #fail(problem: string): void {
    this.counts.errors++;
    this.#say(problem);
  }

  #say(problem: string): void {
    if (problem !== this.problem) this.#events.warn(`${problem}: records are held, trying again until it is possible`);
    this.problem = problem;
    this.#saidHolding = false;
  }

  /** The server goes on with the stream; whether it takes anything shows when it acknowledges. */
  #accept(): void {
    this.#accepted = true;
    this.#wasAccepted = true;
    if (!this.idle) return;
    if (this.#fruitless === 0) this.#recover();
    // With nothing to acknowledge, a connection that holds has to do.
    else this.#settling = setTimeout(() => this.#recover(), HELD_MS);
  }

  #recover(): void {
    if (this.problem !== undefined) this.#events.warn(`connected to ${this.where}`);
    this.problem = undefined;
    this.#saidHolding = false;
  }
}
