import type { CutSink, Format } from '../formats/port.ts';
import { ENTRY_FLAG, ENTRY_KIND, type EntryDraft, type StreamState } from '../journal/port.ts';

/** What a piece costs beside its bytes: the view itself, and the part of its chunk that is no payload; an estimate. */
const PIECE_OVERHEAD_BYTES = 256;

/**
 * Makes entries out of what a cutter reports: whole records together up to the journal's limit, a larger record as
 * consecutive fragments (docs/journal.md, rules 6 and 9). Pure.
 */
export class DraftBuilder implements Pick<CutSink, 'records' | 'cut'> {
  readonly #format: Format;
  readonly #maxEntryBytes: number;
  #ready: EntryDraft[] = [];
  #pieces: Buffer[] = [];
  #bytes = 0;
  #records = 0;
  /** Flags of the next data draft, and of all from now on. */
  #onceFlags = 0;
  #flags = 0;
  #cost = 0;

  constructor(format: Format, maxEntryBytes: number) {
    this.#format = format;
    this.#maxEntryBytes = maxEntryBytes;
  }

  /** Memory that the drafts not yet taken keep, in bytes; an estimate. */
  get cost(): number {
    return this.#cost;
  }

  get isEmpty(): boolean {
    return this.#ready.length === 0 && this.#bytes === 0;
  }

  records(pieces: readonly Buffer[], bytes: number, records: number): void {
    if (this.#bytes + bytes > this.#maxEntryBytes) this.#seal();
    if (bytes > this.#maxEntryBytes) this.#divide(Buffer.concat(pieces, bytes), records);
    else this.#add(pieces, bytes, records);
  }

  /** A record ends here without a terminator, so the entry has to end with it. */
  cut(): void {
    this.#seal();
  }

  /** The first record to come may continue one that an earlier session broke off (rule 35). */
  beginContinued(): void {
    this.#seal();
    this.#onceFlags = ENTRY_FLAG.continued;
  }

  /** What comes now is a partial record, in entries of its own (rule 36). */
  beginPartial(): void {
    this.#seal();
    this.#flags = ENTRY_FLAG.partial;
  }

  /** What comes now is no part of a partial record any more. */
  endPartial(): void {
    this.#seal();
    this.#flags = 0;
  }

  /** The rest of a record whose first fragments are in the journal already (rule 40). */
  continueRecord(rest: Buffer, records: number): void {
    this.#seal();
    this.#fragment(rest, records, true);
  }

  /**
   * Bytes `[from, to)` of the stream are left out here (rule 31).
   * @param then what going on behind it needs, in an acknowledged stream; `missing` where the bytes never came
   */
  gap(
    from: number,
    to: number,
    why: string,
    then?: Pick<StreamState, 'crc' | 'within'> & { readonly missing?: true },
  ): void {
    this.#seal();
    const piece = Buffer.from(JSON.stringify({ from, to, why, ...then }));
    const { length: bytes } = piece;
    this.#ready.push({ kind: ENTRY_KIND.gap, flags: 0, pieces: [piece], bytes, records: 0, leftOut: to - from });
    this.#cost += bytes + PIECE_OVERHEAD_BYTES;
  }

  /** The stream ends. */
  close(flags = 0): void {
    this.#seal();
    this.#ready.push({ kind: ENTRY_KIND.close, flags, pieces: [], bytes: 0, records: 0 });
  }

  /** Hands out what is ready to be appended, in order. */
  take(): EntryDraft[] {
    this.#seal();
    const taken = this.#ready;
    this.#ready = [];
    this.#cost = 0;
    return taken;
  }

  #add(pieces: readonly Buffer[], bytes: number, records: number): void {
    for (const piece of pieces) this.#pieces.push(piece);
    this.#bytes += bytes;
    this.#records += records;
    this.#cost += bytes + pieces.length * PIECE_OVERHEAD_BYTES;
  }

  #seal(fragment = 0): void {
    if (this.#bytes === 0) return;
    this.#ready.push({
      kind: ENTRY_KIND.data,
      flags: fragment | this.#onceFlags | this.#flags,
      pieces: this.#pieces,
      bytes: this.#bytes,
      records: this.#records,
    });
    this.#onceFlags = 0;
    this.#pieces = [];
    this.#bytes = 0;
    this.#records = 0;
  }

  /** Spreads records that do not fit into one entry together. */
  #divide(bytes: Buffer, records: number): void {
    let left = records;
    let items = 0;
    let from = 0;
    for (let at = 0; at < bytes.length; ) {
      const end = this.#format.recordEnd(bytes, at);
      if (end - from > this.#maxEntryBytes && at > from) {
        this.#add([bytes.subarray(from, at)], at - from, items);
        this.#seal();
        left -= items;
        items = 0;
        from = at;
      }
      if (end - at > this.#maxEntryBytes) {
        const last = end === bytes.length ? left : this.#itemsIn(bytes, at, end);
        this.#fragment(bytes.subarray(at, end), last);
        left -= last;
        from = end;
      } else {
        items += this.#itemsIn(bytes, at, end);
      }
      at = end;
    }
    if (from < bytes.length) this.#add([bytes.subarray(from)], bytes.length - from, left);
  }

  #fragment(record: Buffer, records: number, continues = false): void {
    for (let at = 0; at < record.length; at += this.#maxEntryBytes) {
      const end = Math.min(record.length, at + this.#maxEntryBytes);
      const isLast = end === record.length;
      this.#add([record.subarray(at, end)], end - at, isLast ? records : 0);
      if (isLast) this.#seal(ENTRY_FLAG.last);
      else this.#seal(at === 0 && !continues ? ENTRY_FLAG.first : ENTRY_FLAG.middle);
    }
  }

  #itemsIn(bytes: Buffer, start: number, end: number): number {
    return this.#format.itemEnd(bytes, start, end) > start ? 1 : 0;
  }
}
