import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import tls from 'node:tls';
import {
  ACCEPT_STATE,
  ACK_ALPN,
  ACK_STATE,
  ACK_TYPE,
  type AckAccept,
  AckDecoder,
  AckMac,
  type AckOpen,
  AckSender,
  deriveAckKeys,
  END_CAUSE,
  encodeChallenge,
  HmacScratch,
  type RawAckMessage,
  readData,
  readEnd,
  readGap,
  readOpen,
  readResume,
  runningCrc,
  wholeBody,
} from '@d4ts/protocol';

/** A stream as an acknowledging recorder got it. */
export interface RecordedStream {
  readonly id: string;
  readonly type: number;
  readonly sensor: string;
  readonly previous: string | undefined;
  readonly previousCause: number;
  readonly metaHeader: Buffer;
  readonly preamble: Buffer;
  /** What came, in order; a gap is left out. */
  readonly pieces: Buffer[];
  readonly gaps: { readonly from: number; readonly to: number; readonly cause: string }[];
  /** How far it has come. */
  offset: number;
  crc: number;
  /** How it ended. */
  ended: 'complete' | 'aborted' | undefined;
}

/** What an acknowledging recorder does. All of it may be changed while it runs. */
export interface AckRecorderOptions {
  readonly key: string;
  readonly tls: { readonly cert: string; readonly key: string };
  readonly port?: number;
  /** The streams that a former one had. */
  readonly streams?: Map<string, RecordedStream>;
  /** Called before a DATA is taken. @returns 'cut' to close without taking it, 'silent' to take it without an ACK */
  onData?: (stream: RecordedStream, socket: Socket, bytes: number) => 'cut' | 'silent' | undefined;
  /** @returns the code to refuse an OPEN with */
  refuse?: (open: AckOpen) => string | undefined;
  /** What is wrong in its ACCEPT. */
  accept?: Partial<AckAccept>;
  heartbeatMs?: number;
}

/** A server of acknowledged streams that writes down what comes. */
export interface AckRecorder {
  readonly port: number;
  /** In order of their first OPEN. */
  readonly streams: Map<string, RecordedStream>;
  /** All that came of a stream; of the only one where none is named. */
  bytes(id?: string): Buffer;
  readonly opens: AckOpen[];
  /** Resolves as soon as `condition` holds; it is looked at after each message and connection. */
  until(condition: () => boolean): Promise<void>;
  /** Breaks all connections. */
  cut(): void;
  close(): Promise<void>;
}

/** Starts one on loopback, over TLS, on a free port unless told otherwise. */
export async function startAckRecorder(options: AckRecorderOptions): Promise<AckRecorder> {
  const recording = new Recording(options);
  const server = tls.createServer({ ...options.tls, ALPNProtocols: [ACK_ALPN] }, (socket) => recording.accept(socket));
  server.on('tlsClientError', () => {});
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    streams: recording.streams,
    opens: recording.opens,
    bytes: (id) => {
      const [only] = recording.streams.keys();
      return Buffer.concat(recording.streams.get(id ?? only ?? '')?.pieces ?? []);
    },
    until: (condition) => recording.until(condition),
    cut: () => recording.cut(),
    async close() {
      recording.cut();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

class Recording {
  readonly streams: Map<string, RecordedStream>;
  readonly opens: AckOpen[] = [];
  readonly scratch = new HmacScratch();
  readonly options: AckRecorderOptions;
  readonly #sockets = new Set<Socket>();
  #waiting: { condition: () => boolean; resolve: () => void }[] = [];

  constructor(options: AckRecorderOptions) {
    this.options = options;
    this.streams = options.streams ?? new Map();
  }

  accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
    new Connection(this, socket).start();
    this.look();
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ condition, resolve });
      this.look();
    });
  }

  look(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const each of waiting) {
      if (each.condition()) each.resolve();
      else this.#waiting.push(each);
    }
  }
}

/** Limits as a real server might tell them. */
const MAX_DATA_BYTES = 65_536;
const MAX_RECORD_BYTES = 1_048_576;

class Connection {
  readonly #recording: Recording;
  readonly #socket: Socket;
  readonly #challenge: { nonce: Buffer; openTimeoutMs: number; heartbeatMs: number };
  #sender: AckSender | undefined;
  #incoming: AckMac | undefined;
  #stream: RecordedStream | undefined;
  #resumed = false;

  constructor(recording: Recording, socket: Socket) {
    this.#recording = recording;
    this.#socket = socket;
    const heartbeatMs = recording.options.heartbeatMs ?? 10_000;
    this.#challenge = { nonce: randomBytes(32), openTimeoutMs: 10_000, heartbeatMs };
  }

  start(): void {
    const decoder = new AckDecoder({
      head: () => true,
      message: (raw) => {
        this.#take(raw);
        this.#recording.look();
        return !this.#socket.destroyed;
      },
    });
    this.#socket.on('data', (chunk: Buffer) => decoder.push(chunk));
    this.#socket.write(encodeChallenge(this.#challenge));
  }

  #take(raw: RawAckMessage): void {
    if (raw.type === ACK_TYPE.open) this.#open(readOpen(wholeBody(raw.body)), raw);
    else if (this.#incoming?.verifies(raw) !== true) throw new Error('a message without a right MAC');
    else if (raw.type === ACK_TYPE.resume) this.#resume(wholeBody(raw.body));
    else if (raw.type === ACK_TYPE.data) this.#data(raw.body);
    else if (raw.type === ACK_TYPE.gap) this.#gap(wholeBody(raw.body));
    else if (raw.type === ACK_TYPE.end) this.#end(wholeBody(raw.body));
  }

  #open(open: AckOpen, raw: RawAckMessage): void {
    const { key, refuse } = this.#recording.options;
    const keys = deriveAckKeys(Buffer.from(key), this.#challenge, open.nonce);
    this.#incoming = new AckMac(keys.client, this.#recording.scratch);
    this.#sender = new AckSender(keys.server, this.#recording.scratch);
    if (!this.#incoming.verifies(raw)) return void this.#refuse('hmac-wrong');
    this.#recording.opens.push({
      ...open,
      metaHeader: Buffer.from(open.metaHeader),
      preamble: Buffer.from(open.preamble),
    });
    const code = refuse?.(open);
    if (code !== undefined) return void this.#refuse(code);
    let stream = this.#recording.streams.get(open.stream);
    if (stream === undefined) {
      stream = {
        id: open.stream,
        type: open.type,
        sensor: open.sensor,
        previous: open.previous,
        previousCause: open.previousCause,
        metaHeader: Buffer.from(open.metaHeader),
        preamble: Buffer.from(open.preamble),
        pieces: [],
        gaps: [],
        offset: 0,
        crc: 0,
        ended: undefined,
      };
      this.#recording.streams.set(open.stream, stream);
    }
    if (open.from > stream.offset) {
      stream.gaps.push({ from: stream.offset, to: open.from, cause: 'server-lost' });
      stream.offset = open.from;
      stream.crc = open.crc;
    }
    if (stream.ended === undefined && stream.offset > open.end) return void this.#refuse('stream-ahead');
    this.#stream = stream;
    const state = stream.ended === undefined ? ACCEPT_STATE.open : ACCEPT_STATE.ended;
    const offset = stream.offset;
    const accept = { offset, state, maxDataBytes: MAX_DATA_BYTES, maxRecordBytes: MAX_RECORD_BYTES };
    this.#socket.write(this.#sender.accept({ ...accept, ...this.#recording.options.accept }));
  }

  #refuse(code: string): void {
    const refused = this.#sender?.refuse({ code, text: `for the test: ${code}` });
    if (refused !== undefined) this.#socket.end(refused);
  }

  #resume(body: Buffer): void {
    const { offset, crc } = readResume(body);
    const stream = this.#stream as RecordedStream;
    if (offset !== stream.offset) throw new Error(`resumed at ${offset} instead of ${stream.offset}`);
    if (crc !== stream.crc) this.#refuse('stream-forked');
    else this.#resumed = true;
  }

  #data(body: readonly Buffer[]): void {
    const stream = this.#stream as RecordedStream;
    if (!this.#resumed) return;
    const { offset, bytes } = readData(body);
    if (offset !== stream.offset) throw new Error(`data at ${offset} instead of ${stream.offset}`);
    const length = bytes.reduce((sum, piece) => sum + piece.length, 0);
    const verdict = this.#recording.options.onData?.(stream, this.#socket, length);
    if (verdict === 'cut') return void this.#socket.destroy();
    for (const piece of bytes) {
      stream.pieces.push(Buffer.from(piece));
      stream.crc = runningCrc(stream.crc, piece);
    }
    stream.offset += length;
    if (verdict !== 'silent') this.#acknowledge(ACK_STATE.reading);
  }

  #gap(body: Buffer): void {
    const stream = this.#stream as RecordedStream;
    if (!this.#resumed) return;
    const { from, to, crc, cause } = readGap(body);
    if (from !== stream.offset) throw new Error(`a gap at ${from} instead of ${stream.offset}`);
    stream.gaps.push({ from, to, cause });
    stream.offset = to;
    stream.crc = crc;
    this.#acknowledge(ACK_STATE.reading);
  }

  #end(body: Buffer): void {
    const stream = this.#stream as RecordedStream;
    if (!this.#resumed) return;
    const { total, cause } = readEnd(body);
    if (total !== stream.offset) throw new Error(`an end at ${total} instead of ${stream.offset}`);
    stream.ended = cause === END_CAUSE.complete ? 'complete' : 'aborted';
    this.#acknowledge(ACK_STATE.ended);
    this.#socket.end();
  }

  #acknowledge(state: (typeof ACK_STATE)[keyof typeof ACK_STATE]): void {
    const { offset } = this.#stream as RecordedStream;
    const message = this.#sender?.acknowledge({ offset, state });
    if (message !== undefined && this.#socket.writable) this.#socket.write(message);
  }
}
