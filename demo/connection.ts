import { connect, type TLSSocket } from 'node:tls';
import { FrameEncoder, PROTOCOL_VERSION, type SensorId, WIRE_TYPE } from '@d4ts/protocol';

/** What a sensor needs to reach the server. */
export interface Destination {
  /** HOST:PORT */
  readonly listen: string;
  /** PEM */
  readonly ca: string;
}

const AGAIN_MS = 3_000;

/** A sensor's connection, made again whenever it ends. */
export class DemoConnection {
  readonly #destination: Destination;
  readonly #encoder: FrameEncoder;
  readonly #opened: (send: (type: number, payload: Buffer) => void) => void;
  readonly #type: number;
  #socket: TLSSocket | undefined;
  #again: NodeJS.Timeout | undefined;
  #ended = false;

  /** @param opened sends what a connection begins with */
  constructor(
    destination: Destination,
    sensor: { readonly uuid: SensorId; readonly key: string; readonly type: number },
    opened: (send: (type: number, payload: Buffer) => void) => void,
  ) {
    this.#destination = destination;
    this.#encoder = new FrameEncoder({ sensor: sensor.uuid, key: Buffer.from(sensor.key), version: PROTOCOL_VERSION });
    this.#type = sensor.type;
    this.#opened = opened;
    this.#connect();
  }

  /** Sends a frame where it is connected and the server keeps up; else it is left out. */
  send(payload: Buffer): void {
    const socket = this.#socket;
    if (socket === undefined || socket.writableNeedDrain) return;
    this.#write(socket, this.#type, payload);
  }

  /** Ends the present connection; another one follows. */
  restart(): void {
    this.#socket?.end();
  }

  end(): void {
    this.#ended = true;
    clearTimeout(this.#again);
    this.#socket?.destroy();
  }

  #connect(): void {
    const { listen, ca } = this.#destination;
    const colon = listen.lastIndexOf(':');
    const socket = connect({ host: listen.slice(0, colon), port: Number(listen.slice(colon + 1)), ca });
    socket.on('error', () => {});
    socket.on('secureConnect', () => {
      this.#socket = socket;
      this.#opened((type, payload) => this.#write(socket, type, payload));
    });
    socket.on('close', () => {
      this.#socket = undefined;
      if (!this.#ended) this.#again = setTimeout(() => this.#connect(), AGAIN_MS);
    });
    // What the server may say does not matter, but it has to be read for the end to be seen.
    socket.resume();
  }

  #write(socket: TLSSocket, type: number, payload: Buffer): void {
    socket.write(this.#encoder.encode(type, payload, Math.floor(Date.now() / 1_000)));
  }
}

/** The first frame of types that are declared. */
export function metaFrame(meta: Readonly<Record<string, unknown>>): readonly [type: number, payload: Buffer] {
  return [WIRE_TYPE.metaHeader, Buffer.from(JSON.stringify(meta))];
}
