import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import {
  ACCEPT_STATE,
  ACK_LIMITS,
  ACK_NONCE_BYTES,
  ACK_STATE,
  ACK_TYPE,
  AckDecoder,
  AckMac,
  type AckRefusalAction,
  AckSender,
  ackRefusalAction,
  D4Error,
  deriveAckKeys,
  END_CAUSE,
  type HmacScratch,
  PREVIOUS_CAUSE,
  type RawAckMessage,
  readAccept,
  readAck,
  readChallenge,
  readRefuse,
  wholeBody,
} from '@d4ts/protocol';
import { reasonOf } from '../network-trouble.ts';
import type { WireView } from './wire-view.ts';

/** How a connection of an acknowledged stream ended. */
export type SessionEnd =
  /** Everything is acknowledged, the stream's end too. */
  | { readonly kind: 'ended' }
  /** The server will not have it so. */
  | { readonly kind: 'refused'; readonly code: string; readonly text: string; readonly action: AckRefusalAction }
  /** What it takes to go on with this stream is damaged. */
  | { readonly kind: 'unresumable' }
  | { readonly kind: 'broken'; readonly reason: string }
  | { readonly kind: 'aborted' };

/** What a session needs, and tells. */
export interface SessionContext {
  readonly view: WireView;
  readonly key: Buffer;
  readonly scratch: HmacScratch;
  /** Aborted: give up. */
  readonly signal: AbortSignal;
  /** How long the server may take for its first message, in ms. */
  readonly greetingMs: number;
  /** The server goes on with the stream. @param maxRecordBytes as much it may have to hold before it acknowledges */
  readonly onAccepted: (maxRecordBytes: number) => void;
  /** The server does not read for now, or reads again. */
  readonly onHolding: (holding: boolean) => void;
  readonly onSent: (bytes: number) => void;
}

/** A server that is silent for so many heartbeats is gone. */
const MISSED_HEARTBEATS = 3;
/** The bounds of what a server may say of its heartbeat, in ms: timers of ours depend on it. */
const HEARTBEAT_MS = { least: 100, most: 600_000 };
/** The most stream bytes in one message: more saves nothing. */
const DATA_BYTES = 65_536;

/** One connection of an acknowledged stream, from its first byte to its end (docs/acknowledged-streams.md). */
export class AckSession {
  readonly #socket: Socket;
  readonly #context: SessionContext;
  readonly #decoder: AckDecoder;
  readonly #outcome = Promise.withResolvers<SessionEnd>();
  #over = false;
  #sender: AckSender | undefined;
  #incoming: AckMac | undefined;
  #accepted = false;
  #heartbeatMs: number;
  #deadline: NodeJS.Timeout | undefined;
  #holding = false;
  /** Stream offset (the server's) behind what was sent. */
  #sent = 0;
  #maxDataBytes = DATA_BYTES;

  constructor(socket: Socket, context: SessionContext) {
    this.#socket = socket;
    this.#context = context;
    this.#heartbeatMs = context.greetingMs / MISSED_HEARTBEATS;
    this.#decoder = new AckDecoder({
      head: () => !this.#over,
      message: (raw) => {
        this.#take(raw);
        return !this.#over;
      },
    });
  }

  /** Sends what there is, until the stream's end is acknowledged or the connection ends. The socket is closed then. */
  async run(): Promise<SessionEnd> {
    const socket = this.#socket;
    const { signal } = this.#context;
    const abort = () => this.#finish({ kind: 'aborted' });
    signal.addEventListener('abort', abort, { once: true });
    socket.on('data', (chunk: Buffer) => this.#push(chunk));
    socket.once('error', (error) => this.#finish({ kind: 'broken', reason: reasonOf(error) }));
    socket.once('end', () => this.#finish({ kind: 'broken', reason: 'closed by the server' }));
    socket.once('close', () => this.#finish({ kind: 'broken', reason: 'closed' }));
    socket.on('drain', () => this.#context.view.stream.more.wake());
    this.#alive();
    if (signal.aborted) abort();
    if (socket.destroyed || socket.readableEnded) this.#finish({ kind: 'broken', reason: 'closed by the server' });
    try {
      return await this.#outcome.promise;
    } finally {
      clearTimeout(this.#deadline);
      signal.removeEventListener('abort', abort);
      socket.destroySoon();
    }
  }

  #finish(end: SessionEnd): void {
    if (this.#over) return;
    this.#over = true;
    this.#outcome.resolve(end);
    this.#context.view.stream.more.wake();
  }

  /** Something came: the server has some time again. */
  #alive(): void {
    clearTimeout(this.#deadline);
    const limit = MISSED_HEARTBEATS * this.#heartbeatMs;
    this.#deadline = setTimeout(() => {
      this.#finish({ kind: 'broken', reason: `nothing came for ${limit / 1000} s` });
    }, limit);
  }

  #push(chunk: Buffer): void {
    if (this.#over) return;
    this.#alive();
    try {
      this.#decoder.push(chunk);
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (!(error instanceof D4Error)) throw error;
    this.#finish({ kind: 'broken', reason: error.message });
  }

  #take(raw: RawAckMessage): void {
    const body = wholeBody(raw.body);
    if (this.#incoming === undefined) {
      if (raw.type === ACK_TYPE.challenge) this.#start(body);
      else if (raw.type === ACK_TYPE.refuse) this.#refused(body, false);
      else this.#finish({ kind: 'broken', reason: 'the server did not begin with a challenge' });
      return;
    }
    const verified = this.#incoming.verifies(raw);
    if (raw.type === ACK_TYPE.refuse) this.#refused(body, verified);
    else if (!verified)
      this.#finish({ kind: 'broken', reason: 'the server has proved another key than the sensor has' });
    else if (raw.type === ACK_TYPE.accept && !this.#accepted) this.#accept(body);
    else if (raw.type === ACK_TYPE.ack && this.#accepted) this.#acknowledged(body);
    else this.#finish({ kind: 'broken', reason: `the server sent a message of type ${raw.type} out of turn` });
  }

  #refused(body: Buffer, verified: boolean): void {
    const { code, text } = readRefuse(body);
    this.#finish({ kind: 'refused', code, text, action: ackRefusalAction(code, verified) });
  }

  #start(body: Buffer): void {
    const challenge = readChallenge(body);
    const nonce = randomBytes(ACK_NONCE_BYTES);
    const keys = deriveAckKeys(this.#context.key, challenge, nonce);
    this.#heartbeatMs = Math.min(Math.max(challenge.heartbeatMs, HEARTBEAT_MS.least), HEARTBEAT_MS.most);
    this.#incoming = new AckMac(keys.server, this.#context.scratch);
    this.#sender = new AckSender(keys.client, this.#context.scratch);
    this.#async(this.#open(this.#sender, nonce));
  }

  async #open(sender: AckSender, nonce: Buffer): Promise<void> {
    const { view } = this.#context;
    const { identity, rebirth } = view.stream;
    const crc = await view.crcAt(view.acknowledged);
    if (crc === undefined) {
      this.#finish({ kind: 'unresumable' });
      return;
    }
    const cause = rebirth === undefined ? PREVIOUS_CAUSE.restarted : PREVIOUS_CAUSE.refused;
    const open = sender.open({
      sensor: identity.sensor,
      type: identity.type,
      stream: view.id,
      nonce,
      from: view.acknowledged,
      end: view.available,
      crc,
      previous: view.previous,
      previousCause: view.previous === undefined ? PREVIOUS_CAUSE.none : cause,
      metaHeader: identity.metaHeader ?? Buffer.alloc(0),
      preamble: view.stream.preamble,
    });
    if (!this.#over) this.#socket.write(open);
  }

  #accept(body: Buffer): void {
    const { view } = this.#context;
    const { offset, state, maxDataBytes, maxRecordBytes } = readAccept(body);
    if (offset < view.acknowledged || offset > view.available) {
      this.#finish({ kind: 'broken', reason: `the server goes on at ${offset}, which was not offered` });
      return;
    }
    if (state !== ACCEPT_STATE.ended && maxDataBytes < ACK_LIMITS.leastDataBytes) {
      this.#finish({ kind: 'broken', reason: `the server takes only ${maxDataBytes} bytes at a time` });
      return;
    }
    this.#accepted = true;
    this.#sent = offset;
    this.#maxDataBytes = Math.min(DATA_BYTES, maxDataBytes);
    if (state === ACCEPT_STATE.ended) {
      view.acknowledge(offset);
      this.#finish({ kind: 'ended' });
      return;
    }
    this.#async(this.#send(offset, maxRecordBytes));
  }

  async #send(offset: number, maxRecordBytes: number): Promise<void> {
    const { view, onAccepted } = this.#context;
    const sender = this.#sender as AckSender;
    // Before what was acknowledged is forgotten.
    const crc = await view.crcAt(offset);
    if (crc === undefined) {
      this.#finish({ kind: 'unresumable' });
      return;
    }
    view.acknowledge(offset);
    if (this.#over) return;
    this.#socket.write(sender.resume({ offset, crc }));
    onAccepted(maxRecordBytes);
    while (!this.#over) {
      if (this.#socket.writableNeedDrain) {
        await view.stream.more.wait();
        continue;
      }
      const piece = await view.read(this.#sent, this.#maxDataBytes);
      if (this.#over) return;
      if (piece?.kind === 'data') this.#sendData(sender, piece.bytes);
      else if (piece?.kind === 'gap') await this.#sendGap(sender, piece.to, piece.cause);
      else if (this.#sent === view.total) return this.#sendEnd(sender, this.#sent);
      else await view.stream.more.wait();
    }
  }

  #sendData(sender: AckSender, bytes: Buffer): void {
    const socket = this.#socket;
    socket.cork();
    for (const part of sender.data(this.#sent, [bytes])) socket.write(part);
    socket.uncork();
    this.#sent += bytes.length;
    this.#context.onSent(bytes.length);
  }

  async #sendGap(sender: AckSender, to: number, cause: string): Promise<void> {
    // Where nothing that is known follows, both sides go on with 0.
    const crc = (await this.#context.view.crcAt(to)) ?? 0;
    if (this.#over) return;
    this.#socket.write(sender.gap({ from: this.#sent, to, crc, cause }));
    this.#sent = to;
  }

  #sendEnd(sender: AckSender, total: number): void {
    const complete = this.#context.view.stream.end?.complete === true;
    this.#socket.write(sender.end({ total, cause: complete ? END_CAUSE.complete : END_CAUSE.aborted }));
  }

  #acknowledged(body: Buffer): void {
    const { view, onHolding } = this.#context;
    const { offset, state } = readAck(body);
    if (offset > this.#sent) {
      this.#finish({ kind: 'broken', reason: `the server acknowledges ${offset}, but only ${this.#sent} was sent` });
      return;
    }
    view.acknowledge(offset);
    const holding = state === ACK_STATE.holding;
    if (holding !== this.#holding) onHolding(holding);
    this.#holding = holding;
    if (state === ACK_STATE.ended) this.#finish({ kind: 'ended' });
  }

  #async(work: Promise<void>): void {
    work.catch((error) => {
      this.#finish({ kind: 'broken', reason: (error as Error).message });
    });
  }
}
