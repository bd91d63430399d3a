import { D4Error } from '../errors.ts';
import { ACK_HEAD_BYTES, ACK_MAC_BYTES, type AckType, ackTypeOf, fitsAckType } from './messages.ts';

/** A whole message whose MAC has not been checked. `head` and `mac` are valid only during the call that hands it out. */
export interface RawAckMessage {
  readonly type: AckType;
  /** Type and length, as they came. */
  readonly head: Buffer;
  /** Views of the pushed chunks, and copies of small ones, in order; valid as long as the chunks' owner leaves them alone. */
  readonly body: readonly Buffer[];
  readonly bodyBytes: number;
  readonly mac: Buffer;
}

/** What an `AckDecoder` reports to, in order, within `push`. Where it throws, the decoder stops, and `push` throws. */
export interface AckSink {
  /** A head is complete and its length is one that the type may have. @returns false to stop: nothing of it is held */
  head(type: AckType, bodyBytes: number): boolean;
  /** @returns false to stop */
  message(message: RawAckMessage): boolean;
}

/** A piece of a body is copied if it is smaller, so that what is held is not much more than what came. */
const COPIED_BYTES = 4_096;
/** What is copied goes to blocks of these sizes. */
const BLOCK_BYTES = { least: 256, most: 16_384 };

/**
 * The incremental decoder of acknowledged streams' messages: any split of the bytes gives the same messages. Large pieces
 * of bodies are never copied: a body that lies in several chunks is handed out in pieces.
 */
export class AckDecoder {
  readonly #sink: AckSink;
  readonly #head: Buffer = Buffer.alloc(ACK_HEAD_BYTES);
  #headFilled = 0;
  #type: AckType | undefined;
  #bodyBytes = 0;
  #body: Buffer[] = [];
  #bodyFilled = 0;
  /** Where small pieces are copied to, and how much of it is used; the last part of the body is a view of it. */
  #block: Buffer | undefined;
  #blockFilled = 0;
  readonly #mac: Buffer = Buffer.alloc(ACK_MAC_BYTES);
  #macFilled = 0;
  #stopped = false;

  constructor(sink: AckSink) {
    this.#sink = sink;
  }

  /** Whether the sink stopped it, or something malformed came; what is pushed then is ignored. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Bytes of an unfinished message. */
  get pendingBytes(): number {
    return this.#headFilled + this.#bodyFilled + this.#macFilled;
  }

  /**
   * Takes the next bytes.
   * @throws {D4Error} D4_ACK_MESSAGE where a type is unknown or a length is none that it may have
   */
  push(chunk: Buffer): void {
    try {
      for (let at = 0; at < chunk.length && !this.#stopped; ) at = this.#take(chunk, at);
    } catch (error) {
      this.#stop();
      throw error;
    }
  }

  /** @returns where the bytes go on */
  #take(chunk: Buffer, at: number): number {
    if (this.#type === undefined) return this.#takeHead(chunk, at);
    if (this.#bodyFilled < this.#bodyBytes) {
      const end = Math.min(chunk.length, at + this.#bodyBytes - this.#bodyFilled);
      this.#takeBody(chunk.subarray(at, end));
      return end;
    }
    const end = Math.min(chunk.length, at + ACK_MAC_BYTES - this.#macFilled);
    chunk.copy(this.#mac, this.#macFilled, at, end);
    this.#macFilled += end - at;
    if (this.#macFilled === ACK_MAC_BYTES) this.#complete(this.#type);
    return end;
  }

  #takeBody(piece: Buffer): void {
    const left = this.#bodyBytes - this.#bodyFilled;
    this.#bodyFilled += piece.length;
    if (piece.length >= COPIED_BYTES || piece.length === left) {
      this.#body.push(piece);
      this.#block = undefined;
      return;
    }
    if (this.#block === undefined || this.#block.length - this.#blockFilled < piece.length) {
      // Grows with what has come: who only says that much will come costs nothing.
      const wanted = Math.max(piece.length, BLOCK_BYTES.least, Math.min(BLOCK_BYTES.most, this.#bodyFilled));
      this.#block = Buffer.allocUnsafeSlow(Math.min(left, wanted));
      this.#blockFilled = 0;
    } else this.#body.pop();
    piece.copy(this.#block, this.#blockFilled);
    this.#blockFilled += piece.length;
    this.#body.push(this.#block.subarray(0, this.#blockFilled));
  }

  #takeHead(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + ACK_HEAD_BYTES - this.#headFilled);
    chunk.copy(this.#head, this.#headFilled, at, end);
    this.#headFilled += end - at;
    if (this.#headFilled < ACK_HEAD_BYTES) return end;
    const type = ackTypeOf(this.#head.readUInt8(0));
    const bodyBytes = this.#head.readUInt32LE(1);
    if (type === undefined || !fitsAckType(type, bodyBytes)) {
      const what = `type ${this.#head.readUInt8(0)}, ${bodyBytes} bytes`;
      throw new D4Error('D4_ACK_MESSAGE', `no message of acknowledged streams begins like this: ${what}`);
    }
    if (!this.#sink.head(type, bodyBytes)) this.#stop();
    else {
      this.#type = type;
      this.#bodyBytes = bodyBytes;
    }
    return end;
  }

  #complete(type: AckType): void {
    const message = { type, head: this.#head, body: this.#body, bodyBytes: this.#bodyBytes, mac: this.#mac };
    this.#clear();
    if (!this.#sink.message(message)) this.#stop();
  }

  #stop(): void {
    this.#stopped = true;
    this.#clear();
  }

  #clear(): void {
    this.#type = undefined;
    this.#headFilled = 0;
    this.#bodyFilled = 0;
    this.#macFilled = 0;
    this.#body = [];
    this.#block = undefined;
  }
}
