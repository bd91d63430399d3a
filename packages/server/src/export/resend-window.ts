/** Bytes on their way to a receiver, and what is known of their arrival. */
interface Chunk {
  readonly bytes: Buffer;
  /** How many records are in it, and how many of them do not count as delivered yet: all or none. */
  readonly records: number;
  undelivered: number;
  /** Offset behind its last byte, of all that was ever added. */
  end: number;
  /** When its arrival at the receiver's machine was first known, in ms; undefined before. */
  acknowledgedAt: number | undefined;
}

/** How sure a window is of a receiver's having read, after the receiver's machine has acknowledged. */
export interface WindowLimits {
  /** A record counts as delivered so many ms after it was acknowledged, if the connection still lives, … */
  readonly settleMs: number;
  /** … or when so many bytes behind it are acknowledged: more than a receiver's buffer may hold unread. */
  readonly receiverBytes: number;
  /** What was delivered is kept so long for a connection that is reset, in ms. */
  readonly keepMs: number;
}

/**
 * What plain TCP leaves open, decided: which records count as delivered, and which are sent again after a connection
 * broke. Pure: times (ms, of a clock that never goes back) and offsets come from outside. All of it in whole chunks.
 */
export class ResendWindow {
  readonly #limits: WindowLimits;
  /** Delivered ones that are kept, then those that are not delivered. */
  #chunks: Chunk[] = [];
  /** How many of `#chunks` are delivered, and how many written to the connection. */
  #delivered = 0;
  #written = 0;
  #end = 0;
  #acknowledged = 0;
  #bytes = 0;
  #records = 0;

  constructor(limits: WindowLimits) {
    this.#limits = limits;
  }

  /** Bytes and records that are not delivered. */
  get bytes(): number {
    return this.#bytes;
  }

  get records(): number {
    return this.#records;
  }

  /** Whether everything was given out by `next`. */
  get allWritten(): boolean {
    return this.#written === this.#chunks.length;
  }

  add(bytes: Buffer, records: number): void {
    this.#end += bytes.length;
    this.#chunks.push({ bytes, records, undelivered: records, end: this.#end, acknowledgedAt: undefined });
    this.#bytes += bytes.length;
    this.#records += records;
  }

  /** The next chunk to write, and the offset behind it. */
  next(): { readonly bytes: Buffer; readonly end: number } | undefined {
    const chunk = this.#chunks[this.#written];
    if (chunk !== undefined) this.#written++;
    return chunk;
  }

  /** The receiver's machine has everything before `offset`. */
  acknowledged(offset: number, now: number): void {
    this.#acknowledged = Math.max(this.#acknowledged, offset);
    for (let i = this.#delivered; i < this.#written; i++) {
      const chunk = this.#chunks[i] as Chunk;
      if (chunk.end > this.#acknowledged) break;
      chunk.acknowledgedAt ??= now;
    }
  }

  /** @returns how many more records count as delivered */
  takeDelivered(now: number): number {
    return this.#deliver(now, (chunk, acknowledgedAt) => {
      const settled = now - acknowledgedAt >= this.#limits.settleMs;
      return settled || this.#acknowledged - chunk.end >= this.#limits.receiverBytes;
    });
  }

  /** As `takeDelivered`, after an end that both sides agreed on: what was acknowledged is delivered. */
  takeAcknowledged(now: number): number {
    return this.#deliver(now, () => true);
  }

  /**
   * The connection broke: `next` starts again with the first chunk that may not have been read.
   * @param reset whether the receiver threw away bytes that it had not read, which is what a reset says; then also what
   *   counted as delivered not long ago is sent again
   * @returns how many records that were written are sent again
   */
  restart(reset: boolean, now: number): number {
    if (reset) this.#forgetOld(now);
    else this.#forget(this.#delivered);
    let repeated = 0;
    for (let i = 0; i < this.#written; i++) repeated += this.#chunks[i]?.records ?? 0;
    this.#written = 0;
    this.#delivered = 0;
    // On the new connection nothing is acknowledged; offsets go on from what is behind.
    this.#bytes = 0;
    for (const chunk of this.#chunks) {
      this.#bytes += chunk.bytes.length;
      chunk.end = this.#acknowledged + this.#bytes;
      chunk.acknowledgedAt = undefined;
    }
    this.#end = this.#acknowledged + this.#bytes;
    return repeated;
  }

  /** The offset that a new connection begins with. */
  get start(): number {
    return this.#acknowledged;
  }

  #deliver(now: number, isDelivered: (chunk: Chunk, acknowledgedAt: number) => boolean): number {
    let records = 0;
    for (;;) {
      const chunk = this.#chunks[this.#delivered];
      if (chunk?.acknowledgedAt === undefined || !isDelivered(chunk, chunk.acknowledgedAt)) break;
      this.#delivered++;
      records += chunk.undelivered;
      chunk.undelivered = 0;
      this.#bytes -= chunk.bytes.length;
    }
    this.#records -= records;
    this.#forgetOld(now);
    return records;
  }

  #forgetOld(now: number): void {
    let count = 0;
    while (count < this.#delivered) {
      const { acknowledgedAt = 0, end } = this.#chunks[count] as Chunk;
      const old = now - acknowledgedAt >= this.#limits.keepMs;
      if (!old && this.#acknowledged - end < this.#limits.receiverBytes) break;
      count++;
    }
    this.#forget(count);
  }

  #forget(count: number): void {
    if (count === 0) return;
    this.#chunks.splice(0, count);
    this.#delivered -= count;
    this.#written -= count;
  }
}
