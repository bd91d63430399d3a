import type { RecordBoundaries } from './record-boundaries.ts';

const NOTHING = Buffer.alloc(0);

/**
 * What a source gave and a server has not surely got: a bounded window of the stream, positions in it, and where to
 * start again after a broken connection. Pure; all positions are byte offsets in the stream.
 *
 * kept from ≤ flushed ≤ taken ≤ end: bytes before `flushed` were handed to the network, and are forgotten up to the last
 * record boundary; bytes before `taken` were handed to the connection.
 */
export class OutgoingStream {
  readonly #boundaries: RecordBoundaries;
  readonly #limit: number;
  readonly #maxKeptRecord: number;
  #chunks: Buffer[] = [];
  /** Stream offset of the first byte of `#chunks`. */
  #start = 0;
  #end = 0;
  #flushed = 0;
  #taken = 0;
  /** Where `#taken` lies: the chunk, and the offset in it. */
  #chunk = 0;
  #inChunk = 0;
  /** How far the boundaries have been followed. */
  #scanned = 0;
  #boundary = 0;
  /** Whether bytes up to the next boundary are to be left out, as the start of their record is gone. */
  #skipping = false;
  #skipped = 0;
  #ended = false;

  /**
   * @param limits in bytes: of all that is kept, and of one record's start that is kept for sending it again (less than
   * the former)
   */
  constructor(boundaries: RecordBoundaries, limits: { readonly bytes: number; readonly record: number }) {
    this.#boundaries = boundaries;
    this.#limit = limits.bytes;
    this.#maxKeptRecord = limits.record;
  }

  /** Whether the source should wait. */
  get full(): boolean {
    return this.#end - this.#start >= this.#limit;
  }

  /** Bytes that were not yet handed to the network. */
  get unflushed(): number {
    return this.#end - this.#flushed;
  }

  /** Bytes in memory. */
  get kept(): number {
    return this.#end - this.#start;
  }

  /** Offset up to which `next` has given out. */
  get taken(): number {
    return this.#taken;
  }

  /** Whether the source has ended and everything has been given out. */
  get exhausted(): boolean {
    return this.#ended && this.#taken === this.#end;
  }

  /** Bytes left out because the start of their record was no longer there after a broken connection. */
  get skippedBytes(): number {
    return this.#skipped;
  }

  append(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#chunks.push(bytes);
    this.#end += bytes.length;
    if (this.#skipping) this.#skip();
  }

  /** The source has ended. */
  end(): void {
    this.#ended = true;
  }

  /** The next bytes to send, at most `maxBytes`; undefined where there are none now. */
  next(maxBytes: number): Buffer | undefined {
    const available = Math.min(maxBytes, this.#end - this.#taken);
    if (available === 0 || this.#skipping) return undefined;
    const pieces: Buffer[] = [];
    for (let missing = available; missing > 0; ) {
      const chunk = this.#chunks[this.#chunk] as Buffer;
      const piece = chunk.subarray(this.#inChunk, this.#inChunk + missing);
      pieces.push(piece);
      missing -= piece.length;
      this.#inChunk += piece.length;
      if (this.#inChunk === chunk.length) {
        this.#chunk++;
        this.#inChunk = 0;
      }
    }
    this.#taken += available;
    return pieces.length === 1 ? pieces[0] : Buffer.concat(pieces, available);
  }

  /** Everything before `offset` was handed to the network. */
  flushed(offset: number): void {
    this.#flushed = offset;
  }

  /** Forgets what was handed to the network, but for the record that this ends in. */
  release(): void {
    this.#follow(this.#flushed);
    const keptFrom = this.#flushed - this.#boundary > this.#maxKeptRecord ? this.#flushed : this.#boundary;
    if (keptFrom > this.#start) this.#drop(keptFrom);
  }

  /**
   * Goes back to the first record that is kept, for a new connection.
   * @returns what to send before it: the preamble, where the stream does not start there anyway
   */
  restart(): Buffer {
    this.#taken = this.#start;
    this.#flushed = this.#start;
    this.#chunk = 0;
    this.#inChunk = 0;
    if (this.#start > this.#boundary) {
      this.#skipping = true;
      this.#skip();
    }
    return this.#start > 0 ? this.#boundaries.preamble : NOTHING;
  }

  /** Follows the boundaries up to `offset`. */
  #follow(offset: number): void {
    let at = this.#start;
    for (const chunk of this.#chunks) {
      if (at >= offset) break;
      const from = Math.max(this.#scanned - at, 0);
      const to = Math.min(offset - at, chunk.length);
      if (from < to) {
        const found = this.#boundaries.last(chunk.subarray(from, to));
        if (found !== -1) this.#boundary = at + from + found;
        this.#scanned = at + to;
      }
      at += chunk.length;
    }
  }

  /** Leaves out bytes from the start of the window up to the first boundary. There, all positions are one. */
  #skip(): void {
    while (this.#skipping) {
      const chunk = this.#chunks[0];
      if (chunk === undefined) return;
      const found = this.#boundaries.first(chunk);
      const left = found === -1 ? chunk.length : found;
      this.#skipped += left;
      this.#scanned = this.#start + left;
      this.#flushed = this.#scanned;
      this.#drop(this.#scanned);
      this.#taken = this.#scanned;
      if (found === -1) continue;
      this.#boundary = this.#scanned;
      this.#skipping = false;
    }
  }

  #drop(offset: number): void {
    let chunks = 0;
    let at = this.#start;
    while (chunks < this.#chunks.length && at + (this.#chunks[chunks] as Buffer).length <= offset) {
      at += (this.#chunks[chunks] as Buffer).length;
      chunks++;
    }
    const first = this.#chunks[chunks];
    if (chunks > 0) this.#chunks.splice(0, chunks);
    if (first !== undefined && offset > at) this.#chunks[0] = first.subarray(offset - at);
    this.#chunk = Math.max(this.#chunk - chunks, 0);
    if (this.#chunk === 0 && offset > at) this.#inChunk = Math.max(this.#inChunk - (offset - at), 0);
    this.#start = offset;
  }
}
