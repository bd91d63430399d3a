import { D4Error } from './errors.ts';
import { FrameHeader, HEADER_BYTES } from './header.ts';

/**
 * What a `FrameDecoder` reports to. Both calls happen inside `push`, in stream order. Where one throws, the decoder
 * stops, and `push` throws the same.
 */
export interface FrameSink {
  /**
   * A header is complete; nothing of its payload has been buffered yet.
   * @returns false to stop: the decoder then takes nothing more
   */
  header(header: FrameHeader): boolean;
  /**
   * A frame is complete. `header` and `payload` may be views of the pushed chunk: `payload` stays valid as long as the
   * chunk's owner leaves its memory alone, `header` only during the call.
   * @returns false to stop
   */
  frame(header: FrameHeader, payload: Buffer): boolean;
}

/**
 * The incremental decoder: any split of the byte stream gives the same calls. Frames that lie whole in a chunk are
 * handed out without a copy; one that straddles chunks is gathered in a buffer of its own size, so never more than one
 * frame is held. The limit on a payload is the sink's: refuse in `header`.
 */
export class FrameDecoder {
  readonly #sink: FrameSink;
  /** A header that straddles chunks, or whose payload does. */
  readonly #header: Buffer = Buffer.allocUnsafeSlow(HEADER_BYTES);
  readonly #view: FrameHeader = new FrameHeader(this.#header);
  #headerFilled = 0;
  #payload: Buffer | undefined;
  #payloadFilled = 0;
  #stopped = false;
  #pushing = false;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Whether the sink stopped the decoder; it then ignores what is pushed, and has nothing pending. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Bytes of an unfinished header (0 to 61), or of an unfinished payload and its header. */
  get pendingBytes(): number {
    return this.#payload === undefined ? this.#headerFilled : HEADER_BYTES + this.#payloadFilled;
  }

  /** What the decoder waits for: nothing of a frame has come, part of a header has, or part of a payload is missing. */
  get state(): 'between' | 'header' | 'payload' {
    if (this.#payload !== undefined) return 'payload';
    return this.#headerFilled === 0 ? 'between' : 'header';
  }

  /**
   * Takes the next bytes of the stream.
   * @throws {D4Error} D4_DECODER_BUSY where the sink calls it
   */
  push(chunk: Buffer): void {
    if (this.#pushing) {
      throw new D4Error('D4_DECODER_BUSY', 'a frame sink pushed into its own decoder: push when the call has returned');
    }
    this.#pushing = true;
    try {
      this.#take(chunk);
    } catch (error) {
      this.#stop();
      throw error;
    } finally {
      this.#pushing = false;
      // An idle connection must not keep its last chunk alive.
      this.#view.bytes = this.#header;
      this.#view.at = 0;
    }
  }

  #take(chunk: Buffer): void {
    const end = chunk.length;
    let at = 0;
    while (!this.#stopped) {
      if (this.#payload !== undefined) {
        at = this.#gatherPayload(chunk, at, this.#payload);
        if (this.#payload !== undefined) return;
      } else if (this.#headerFilled > 0 || end - at < HEADER_BYTES) {
        if (at === end) return;
        at = this.#gatherHeader(chunk, at);
      } else {
        at = this.#whole(chunk, at);
      }
    }
  }

  /** A header that lies whole in the chunk, and its payload if that does too. */
  #whole(chunk: Buffer, at: number): number {
    const view = this.#view;
    view.bytes = chunk;
    view.at = at;
    const size = view.size;
    if (!this.#sink.header(view)) return this.#stop();
    const start = at + HEADER_BYTES;
    const next = start + size;
    if (next <= chunk.length) {
      if (!this.#sink.frame(view, chunk.subarray(start, next))) return this.#stop();
      return next;
    }
    chunk.copy(this.#header, 0, at, start);
    this.#payload = Buffer.allocUnsafeSlow(size);
    this.#payloadFilled = 0;
    return start;
  }

  /** Bytes of a header that straddles chunks, and its payload where that lies whole in the last of them. */
  #gatherHeader(chunk: Buffer, at: number): number {
    const taken = Math.min(HEADER_BYTES - this.#headerFilled, chunk.length - at);
    chunk.copy(this.#header, this.#headerFilled, at, at + taken);
    this.#headerFilled += taken;
    if (this.#headerFilled < HEADER_BYTES) return at + taken;
    this.#headerFilled = 0;
    const view = this.#view;
    view.bytes = this.#header;
    view.at = 0;
    const size = view.size;
    if (!this.#sink.header(view)) return this.#stop();
    const start = at + taken;
    const next = start + size;
    if (next <= chunk.length) {
      if (!this.#sink.frame(view, chunk.subarray(start, next))) return this.#stop();
      return next;
    }
    this.#payload = Buffer.allocUnsafeSlow(size);
    this.#payloadFilled = 0;
    return start;
  }

  /** Bytes of a payload that straddles chunks. */
  #gatherPayload(chunk: Buffer, at: number, payload: Buffer): number {
    const taken = Math.min(payload.length - this.#payloadFilled, chunk.length - at);
    chunk.copy(payload, this.#payloadFilled, at, at + taken);
    this.#payloadFilled += taken;
    if (this.#payloadFilled < payload.length) return at + taken;
    this.#payload = undefined;
    const view = this.#view;
    view.bytes = this.#header;
    view.at = 0;
    if (!this.#sink.frame(view, payload)) return this.#stop();
    return at + taken;
  }

  #stop(): number {
    this.#stopped = true;
    return 0;
  }
}
