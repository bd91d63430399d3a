import { runningCrc } from '@d4ts/protocol';
import { crcOfBoth, crcOfSecond } from './crc-arithmetic.ts';
import type { Outgoing, Piece } from './outgoing.ts';

const NOTHING = Buffer.alloc(0);

/**
 * A stream as the server knows it. They are the same until the server refuses to go on with it (rule 41); the stream
 * that follows then begins at what was not acknowledged, with the preamble in front. Offsets are the server's.
 */
export class WireView {
  readonly stream: Outgoing;
  readonly #base: { readonly offset: number; readonly crc: number };
  readonly #prefix: Buffer;

  constructor(stream: Outgoing) {
    this.stream = stream;
    this.#base = stream.rebirth?.base ?? { offset: 0, crc: 0 };
    this.#prefix = this.#base.offset >= stream.preamble.length ? stream.preamble : NOTHING;
    if (stream.rebirth === undefined) this.#prefix = NOTHING;
  }

  get id(): string {
    return this.stream.rebirth?.id ?? this.stream.identity.id;
  }

  get previous(): string | undefined {
    return this.stream.rebirth?.previous ?? this.stream.identity.previous;
  }

  /** Everything before it is acknowledged. */
  get acknowledged(): number {
    const { acknowledged } = this.stream;
    return acknowledged > this.#base.offset ? this.#toWire(acknowledged) : 0;
  }

  /** Behind the last byte that can be sent now. */
  get available(): number {
    return this.#toWire(this.stream.available);
  }

  /** The stream's length; undefined as long as it is not known. */
  get total(): number | undefined {
    const { end } = this.stream;
    return end === undefined ? undefined : this.#toWire(end.total);
  }

  async read(offset: number, maxBytes: number): Promise<Piece | undefined> {
    if (offset < this.#prefix.length) {
      return { kind: 'data', bytes: this.#prefix.subarray(offset, offset + maxBytes) };
    }
    const piece = await this.stream.read(this.#toStream(offset), maxBytes);
    return piece?.kind === 'gap' ? { ...piece, to: this.#toWire(piece.to) } : piece;
  }

  async crcAt(offset: number): Promise<number | undefined> {
    if (offset < this.#prefix.length) return runningCrc(0, this.#prefix.subarray(0, offset));
    // Also where nothing is known of what was before the stream's new name.
    if (offset === this.#prefix.length && this.stream.rebirth !== undefined) return runningCrc(0, this.#prefix);
    const at = this.#toStream(offset);
    const whole = await this.stream.crcAt(at);
    if (whole === undefined || this.stream.rebirth === undefined) return whole;
    const since = at - this.#base.offset;
    return crcOfBoth(runningCrc(0, this.#prefix), crcOfSecond(whole, this.#base.crc, since), since);
  }

  acknowledge(offset: number): void {
    const at = this.#toStream(offset);
    if (at >= this.stream.acknowledged) this.stream.acknowledge(at);
  }

  #toWire(offset: number): number {
    return offset - this.#base.offset + this.#prefix.length;
  }

  #toStream(offset: number): number {
    return offset - this.#prefix.length + this.#base.offset;
  }
}
