import { FrameEncoder, type SensorId, WIRE_TYPE } from '@d4ts/protocol';

/** What a client's frames are made of. */
export interface FramingOptions {
  readonly sensor: SensorId;
  readonly key: Buffer;
  readonly version: number;
  readonly type: number;
  /** The largest payload of a frame, in bytes. */
  readonly snaplen: number;
  /** The meta header's bytes, sent as they are, for type 254. */
  readonly metaHeader?: Buffer;
}

const NOTHING = Buffer.alloc(0);

/** Makes the frames of one client. Pure: the time comes in with each call, as whole seconds since 1970. */
export class Framing {
  readonly #options: FramingOptions;
  readonly #encoder: FrameEncoder;

  constructor(options: FramingOptions) {
    this.#options = options;
    this.#encoder = new FrameEncoder(options);
  }

  /** What each connection begins with: the meta header in frames of type 2, then the stream's preamble, if any. */
  opening(preamble: Buffer, seconds: number): Buffer[] {
    const meta = this.#options.metaHeader ?? NOTHING;
    return [...this.#cut(meta, WIRE_TYPE.metaHeader, seconds), ...this.#cut(preamble, this.#options.type, seconds)];
  }

  /** One frame of data, of at most `snaplen` bytes. */
  data(payload: Buffer, seconds: number): Buffer {
    return this.#encoder.encode(this.#options.type, payload, seconds);
  }

  /** What a stream ends with, as the C client does it: one frame without a payload. */
  closing(seconds: number): Buffer {
    return this.data(NOTHING, seconds);
  }

  #cut(bytes: Buffer, type: number, seconds: number): Buffer[] {
    const frames: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += this.#options.snaplen) {
      frames.push(this.#encoder.encode(type, bytes.subarray(at, at + this.#options.snaplen), seconds));
    }
    return frames;
  }
}
