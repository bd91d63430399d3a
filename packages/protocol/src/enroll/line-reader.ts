import { D4Error } from '../errors.ts';

const NEWLINE = 0x0a;

/** Gathers one line out of pieces; what follows the line is left out. */
export class LineReader {
  readonly #maxBytes: number;
  // Lines are short: pieces are put together at once, as a buffer for each byte would cost a hundred times as much.
  #line: Buffer = Buffer.alloc(0);

  /** @param maxBytes of the line, without its newline */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes of the unfinished line. */
  get pendingBytes(): number {
    return this.#line.length;
  }

  /**
   * Takes the next bytes.
   * @returns the line without its newline, once it is whole
   * @throws {D4Error} D4_ENROLL_MESSAGE where it is too long
   */
  push(chunk: Buffer): Buffer | undefined {
    const end = chunk.indexOf(NEWLINE);
    const piece = end === -1 ? chunk : chunk.subarray(0, end);
    const { length } = this.#line;
    if (length + piece.length > this.#maxBytes) {
      this.#line = Buffer.alloc(0);
      throw new D4Error('D4_ENROLL_MESSAGE', `a message of enrolment has more than ${this.#maxBytes} bytes`);
    }
    this.#line = Buffer.concat([this.#line, piece]);
    return end === -1 ? undefined : this.#line;
  }
}
