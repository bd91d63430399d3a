import { D4Error } from '@d4ts/protocol';
import { splitInlineRequest } from './inline-request.ts';

/** The largest request, in bytes; each argument is charged 64 more, so that many small ones are bounded as well. */
export const MAX_REQUEST_BYTES = 64 * 1024 * 1024;
/** The most arguments of one request. */
export const MAX_ARGUMENTS = 100_000;
/** The longest inline request, in bytes (as in Redis). */
const MAX_INLINE_BYTES = 64 * 1024;

const ARGUMENT_CHARGE = 64;
const MAX_NUMBER_LINE_BYTES = 32;
const FIRST_GATHER_BYTES = 64 * 1024;
const EMPTY = Buffer.alloc(0);
const STAR = 0x2a;
const DOLLAR = 0x24;
const CR = 0x0d;
const LF = 0x0a;
const ZERO = 0x30;
const NINE = 0x39;
const NUMBER_LINE = /^.(-?\d{1,10})$/s;

/**
 * Cuts the bytes of a client into requests: RESP arrays of bulk strings, and inline requests. Pure; any split of the
 * bytes gives the same requests. Pulled, not pushing: a client that waits for an item keeps its later requests here,
 * unparsed, until `next` is asked again.
 *
 * Arguments are views of the chunks that were pushed; only those that straddle chunks are copied. Memory for a large
 * argument grows with what has really come, not with what was announced.
 */
export class RequestParser {
  /** Chunks behind the current one. */
  #queued: Buffer[] = [];
  #queuedBytes = 0;
  #chunk: Buffer = EMPTY;
  #at = 0;
  /** The beginning of a line whose end has not come yet. */
  #line: Buffer | undefined;
  #args: Buffer[] = [];
  /** Arguments still to come of the request in hand. */
  #missing = 0;
  /** Length of the argument in hand; -1 before its header. */
  #length = -1;
  /** What has come of an argument that straddles chunks. */
  #gathered: Buffer | undefined;
  #gatheredBytes = 0;
  #charge = 0;

  /** Bytes that have been pushed and not been looked at. */
  get unreadBytes(): number {
    return this.#chunk.length - this.#at + this.#queuedBytes;
  }

  /** Takes the next bytes of the client; they must not change afterwards. */
  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    if (this.#at >= this.#chunk.length) {
      this.#chunk = chunk;
      this.#at = 0;
    } else {
      this.#queued.push(chunk);
      this.#queuedBytes += chunk.length;
    }
  }

  /**
   * The next whole request: its name and arguments, at least one.
   * @returns undefined where more bytes are needed
   * @throws {D4Error} D4_REDIS_PROTOCOL: the stream cannot go on; the message is what Redis answers
   */
  next(): Buffer[] | undefined {
    for (;;) {
      if (this.#missing === 0) {
        const first = this.#peek();
        if (first === undefined) return undefined;
        if (first !== STAR) {
          const line = this.#takeLine(MAX_INLINE_BYTES, 'too big inline request');
          if (line === undefined) return undefined;
          const words = splitInlineRequest(line);
          if (words.length > 0) return words;
          continue;
        }
        const count = this.#takeNumber(STAR, 'invalid multibulk length');
        if (count === undefined) return undefined;
        if (count > MAX_ARGUMENTS) throw protocolError('invalid multibulk length');
        if (count <= 0) continue;
        this.#missing = count;
        this.#args = [];
        this.#charge = count * ARGUMENT_CHARGE;
      }
      if (!this.#takeArgument()) return undefined;
      if (--this.#missing === 0) {
        const args = this.#args;
        this.#args = [];
        return args;
      }
    }
  }

  #takeArgument(): boolean {
    if (this.#length < 0) {
      const length = this.#takeNumber(DOLLAR, 'invalid bulk length');
      if (length === undefined) return false;
      this.#charge += length;
      if (length < 0 || this.#charge > MAX_REQUEST_BYTES) throw protocolError('invalid bulk length');
      this.#length = length;
    }
    const length = this.#length;
    const end = this.#at + length;
    if (this.#gathered === undefined && end + 2 <= this.#chunk.length) {
      if (this.#chunk[end] !== CR || this.#chunk[end + 1] !== LF) throw protocolError('expected CRLF after a bulk');
      this.#args.push(this.#chunk.subarray(this.#at, end));
      this.#at = end + 2;
      this.#length = -1;
      return true;
    }
    return this.#gatherArgument(length);
  }

  #gatherArgument(length: number): boolean {
    const wanted = length + 2;
    let target = this.#gathered;
    while (this.#gatheredBytes < wanted) {
      if (!this.#hasBytes()) return false;
      const taken = Math.min(wanted - this.#gatheredBytes, this.#chunk.length - this.#at);
      const filled = this.#gatheredBytes + taken;
      if (target === undefined || target.length < filled) {
        const larger = Buffer.allocUnsafeSlow(
          Math.min(wanted, Math.max(filled, FIRST_GATHER_BYTES, (target?.length ?? 0) * 2)),
        );
        target?.copy(larger, 0, 0, this.#gatheredBytes);
        target = larger;
        this.#gathered = larger;
      }
      this.#chunk.copy(target, this.#gatheredBytes, this.#at, this.#at + taken);
      this.#gatheredBytes = filled;
      this.#at += taken;
    }
    if (target === undefined || target[length] !== CR || target[length + 1] !== LF) {
      throw protocolError('expected CRLF after a bulk');
    }
    this.#args.push(target.subarray(0, length));
    this.#gathered = undefined;
    this.#gatheredBytes = 0;
    this.#length = -1;
    return true;
  }

  /** The number in a line `<marker>number\r\n`. */
  #takeNumber(marker: number, problem: string): number | undefined {
    const first = this.#peek();
    if (first === undefined) return undefined;
    if (first !== marker) {
      throw protocolError(`expected '${String.fromCharCode(marker)}', got '${printable(first)}'`);
    }
    if (this.#line === undefined) {
      const chunk = this.#chunk;
      let at = this.#at + 1;
      let value = 0;
      const digitsEnd = Math.min(chunk.length, at + 10);
      let byte = chunk[at] ?? 0;
      while (at < digitsEnd && byte >= ZERO && byte <= NINE) {
        value = value * 10 + byte - ZERO;
        byte = chunk[++at] ?? 0;
      }
      if (byte === CR && at > this.#at + 1 && chunk[at + 1] === LF) {
        this.#at = at + 2;
        return value;
      }
    }
    const line = this.#takeLine(MAX_NUMBER_LINE_BYTES, problem);
    if (line === undefined) return undefined;
    const digits = NUMBER_LINE.exec(line.toString('latin1'))?.[1];
    if (digits === undefined) throw protocolError(problem);
    return Number(digits);
  }

  /** The bytes up to the next `\n`, without it and a `\r` before it. */
  #takeLine(limit: number, problem: string): Buffer | undefined {
    while (this.#hasBytes()) {
      const newline = this.#chunk.indexOf(LF, this.#at);
      const end = newline < 0 ? this.#chunk.length : newline;
      const piece = this.#chunk.subarray(this.#at, end);
      if ((this.#line?.length ?? 0) + piece.length > limit) throw protocolError(problem);
      const line = this.#line === undefined ? piece : Buffer.concat([this.#line, piece]);
      if (newline < 0) {
        this.#at = end;
        this.#line = line;
        continue;
      }
      this.#at = newline + 1;
      this.#line = undefined;
      return line[line.length - 1] === CR ? line.subarray(0, -1) : line;
    }
    return undefined;
  }

  /** The first byte of what follows, that of an unfinished line included. */
  #peek(): number | undefined {
    if (this.#line !== undefined) return this.#line[0];
    return this.#hasBytes() ? this.#chunk[this.#at] : undefined;
  }

  #hasBytes(): boolean {
    if (this.#at < this.#chunk.length) return true;
    const next = this.#queued.shift();
    if (next === undefined) {
      this.#chunk = EMPTY;
      this.#at = 0;
      return false;
    }
    this.#chunk = next;
    this.#at = 0;
    this.#queuedBytes -= next.length;
    return true;
  }
}

function protocolError(problem: string): D4Error {
  return new D4Error('D4_REDIS_PROTOCOL', `Protocol error: ${problem}`);
}

function printable(byte: number): string {
  return byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`;
}
