const START_BYTES = 64 * 1024;
/** A bulk of at least this is not copied. */
const LARGE_BYTES = 32 * 1024;
/** A larger buffer is not kept for the next batch. */
const KEEP_BYTES = 4 * 1024 * 1024;
const CR = 0x0d;
const LF = 0x0a;
const ZERO = 0x30;
/** Marker, up to 16 digits and a sign, CRLF. */
const NUMBER_BYTES = 20;
const LINE_BREAKS = /[\r\n]+/g;

const MARKER = { simple: 0x2b, error: 0x2d, integer: 0x3a, bulk: 0x24, array: 0x2a, map: 0x25 } as const;

/**
 * Writes RESP2 or RESP3 replies one behind the other, so that a batch of requests is answered with one write to the
 * socket. One writer serves all clients: a batch is written and taken without waiting in between.
 */
export class ReplyWriter {
  /** The protocol of the client that is being answered. */
  protocol: 2 | 3 = 2;
  #buffer: Buffer = Buffer.allocUnsafeSlow(START_BYTES);
  #length = 0;
  /** What comes before the bytes from `#from` on: earlier ones, and large bulks where they lie. */
  #parts: Buffer[] = [];
  #from = 0;
  #largeBytes = 0;

  /** Bytes written and not yet taken. */
  get length(): number {
    return this.#length + this.#largeBytes;
  }

  simple(text: string): void {
    this.#line(MARKER.simple, text);
  }

  /** @param text its code first, e.g. `ERR syntax error`; line breaks are replaced */
  error(text: string): void {
    this.#line(MARKER.error, text.replace(LINE_BREAKS, ' '));
  }

  integer(value: number): void {
    this.#number(MARKER.integer, value);
  }

  /** @param bytes if they are many they must not change until the batch is sent */
  bulk(bytes: Buffer): void {
    const isLarge = bytes.length >= LARGE_BYTES;
    this.#reserve((isLarge ? 0 : bytes.length) + NUMBER_BYTES + 2);
    if (isLarge) this.#putLarge(bytes);
    else this.#putBulk(bytes);
  }

  text(text: string): void {
    this.bulk(Buffer.from(text));
  }

  /** No value. */
  null(): void {
    this.#line(this.protocol === 3 ? 0x5f : MARKER.bulk, this.protocol === 3 ? '' : '-1');
  }

  /** No list. */
  nullArray(): void {
    this.#line(this.protocol === 3 ? 0x5f : MARKER.array, this.protocol === 3 ? '' : '-1');
  }

  /** The head of an array; `count` values follow. */
  array(count: number): void {
    this.#number(MARKER.array, count);
  }

  /** The head of a map; `count` keys and values follow. */
  map(count: number): void {
    if (this.protocol === 3) this.#number(MARKER.map, count);
    else this.#number(MARKER.array, count * 2);
  }

  /** An array of bulks. */
  bulks(items: readonly Buffer[]): void {
    let bytes = NUMBER_BYTES;
    for (const item of items) bytes += item.length + NUMBER_BYTES + 2;
    this.#reserve(bytes);
    this.#putNumber(MARKER.array, items.length);
    for (const item of items) this.#putBulk(item);
  }

  /** The batch, piece by piece. It is valid until `release`. */
  take(): readonly Buffer[] {
    return this.#from === this.#length
      ? this.#parts
      : [...this.#parts, this.#buffer.subarray(this.#from, this.#length)];
  }

  /** Begins the next batch. @param inUse whether somebody still reads the one that was taken */
  release(inUse: boolean): void {
    this.#length = 0;
    this.#from = 0;
    this.#largeBytes = 0;
    this.#parts = [];
    if (inUse || this.#buffer.length > KEEP_BYTES) this.#buffer = Buffer.allocUnsafeSlow(START_BYTES);
  }

  #line(marker: number, text: string): void {
    const bytes = Buffer.byteLength(text);
    this.#reserve(bytes + 3);
    this.#buffer[this.#length++] = marker;
    this.#length += this.#buffer.write(text, this.#length);
    this.#endLine();
  }

  #number(marker: number, value: number): void {
    this.#reserve(NUMBER_BYTES);
    this.#putNumber(marker, value);
  }

  #putBulk(bytes: Buffer): void {
    this.#putNumber(MARKER.bulk, bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
    this.#endLine();
  }

  #putLarge(bytes: Buffer): void {
    this.#putNumber(MARKER.bulk, bytes.length);
    this.#parts.push(this.#buffer.subarray(this.#from, this.#length), bytes);
    this.#from = this.#length;
    this.#largeBytes += bytes.length;
    this.#endLine();
  }

  #putNumber(marker: number, value: number): void {
    this.#buffer[this.#length++] = marker;
    if (value >= 0 && value < 10) {
      this.#buffer[this.#length++] = ZERO + value;
    } else if (value > 0 && value <= 0x7fff_ffff) {
      let digits = 1;
      for (let power = 10; power <= value; power *= 10) digits++;
      let rest = value;
      for (let at = this.#length + digits - 1; at >= this.#length; at--) {
        const tenth = (rest / 10) | 0;
        this.#buffer[at] = ZERO + rest - tenth * 10;
        rest = tenth;
      }
      this.#length += digits;
    } else {
      this.#length += this.#buffer.write(String(value), this.#length, 'latin1');
    }
    this.#endLine();
  }

  #endLine(): void {
    this.#buffer[this.#length++] = CR;
    this.#buffer[this.#length++] = LF;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}
