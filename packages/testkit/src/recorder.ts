import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import tls from 'node:tls';
import { FrameDecoder, FrameHmac, HmacScratch } from '@d4ts/protocol';

/** One frame as a recorder got it. */
export interface RecordedFrame {
  readonly type: number;
  readonly sensor: string;
  readonly timestamp: number;
  readonly payload: Buffer;
  /** Whether the HMAC fits the recorder's key. */
  readonly verified: boolean;
}

/** One connection as a recorder got it. */
export interface RecordedConnection {
  readonly socket: net.Socket;
  readonly frames: RecordedFrame[];
  /** All bytes, as they came. */
  readonly chunks: Buffer[];
  /** Whether the client ended its side. */
  ended: boolean;
  /** The server name that the client sent (SNI); false or undefined where it sent none. */
  readonly serverName: string | false | null | undefined;
}

/** A plain server that writes down what clients send. */
export interface Recorder {
  readonly port: number;
  readonly connections: RecordedConnection[];
  /** All frames of all connections, in order of arrival. */
  readonly frames: RecordedFrame[];
  /** The payloads of a type, of one connection or of all, put together. */
  payload(type: number, connection?: number): Buffer;
  /** Resolves as soon as `condition` holds; it is looked at after each frame, connection and end. */
  until(condition: () => boolean): Promise<void>;
  close(): Promise<void>;
}

/** What a recorder does. */
export interface RecorderOptions {
  readonly key: string;
  /** TLS with this certificate and key. */
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly port?: number;
  readonly host?: string;
  /** Called for each new connection; its index counts from 0. */
  readonly onConnection?: (connection: RecordedConnection, index: number) => void;
  /** Called after each frame. */
  readonly onFrame?: (connection: RecordedConnection, frame: RecordedFrame) => void;
  /** Do not close when the client has ended its side. */
  readonly staysOpen?: boolean;
  /** Never read anything. */
  readonly deaf?: boolean;
}

/** Starts a recorder on loopback, on a free port unless told otherwise. */
export async function startRecorder(options: RecorderOptions): Promise<Recorder> {
  const recording = new Recording(options);
  const accept = (socket: net.Socket) => recording.accept(socket);
  const open = { allowHalfOpen: options.staysOpen === true };
  const server =
    options.tls === undefined ? net.createServer(open, accept) : tls.createServer({ ...options.tls, ...open }, accept);
  server.listen(options.port ?? 0, options.host ?? '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    connections: recording.connections,
    frames: recording.frames,
    payload: (type, connection) => {
      const frames = connection === undefined ? recording.frames : (recording.connections[connection]?.frames ?? []);
      return Buffer.concat(frames.filter((frame) => frame.type === type).map((frame) => frame.payload));
    },
    until: (condition) => recording.until(condition),
    async close() {
      for (const { socket } of recording.connections) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

class Recording {
  readonly connections: RecordedConnection[] = [];
  readonly frames: RecordedFrame[] = [];
  readonly #options: RecorderOptions;
  readonly #hmac: FrameHmac;
  readonly #scratch = new HmacScratch();
  #waiting: { condition: () => boolean; resolve: () => void }[] = [];

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#hmac = new FrameHmac(Buffer.from(options.key));
  }

  accept(socket: net.Socket): void {
    const serverName =
      socket instanceof tls.TLSSocket ? (socket as { servername?: string | false }).servername : undefined;
    const connection: RecordedConnection = { socket, frames: [], chunks: [], ended: false, serverName };
    this.connections.push(connection);
    socket.on('error', () => {});
    socket.on('end', () => {
      connection.ended = true;
      this.#look();
    });
    const decoder = new FrameDecoder({
      header: () => true,
      frame: (header, payload) => {
        const { type, sensor, timestamp } = header;
        const verified = this.#hmac.verify(header.bytes, header.at, payload, this.#scratch);
        const frame = { type, sensor, timestamp, payload: Buffer.from(payload), verified };
        connection.frames.push(frame);
        this.frames.push(frame);
        this.#options.onFrame?.(connection, frame);
        return !socket.destroyed;
      },
    });
    if (this.#options.deaf === true) socket.pause();
    else {
      socket.on('data', (chunk: Buffer) => {
        connection.chunks.push(chunk);
        decoder.push(chunk);
        this.#look();
      });
    }
    this.#options.onConnection?.(connection, this.connections.length - 1);
    this.#look();
  }

  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ condition, resolve });
      this.#look();
    });
  }

  #look(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const each of waiting) {
      if (each.condition()) each.resolve();
      else this.#waiting.push(each);
    }
  }
}
