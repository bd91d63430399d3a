import type { RefusalCode } from '@d4ts/protocol';
import { Carry } from './carry.ts';
import type { Framing } from './framed.ts';
import type { CutSink, Cutter } from './port.ts';

/** A report is at most this long, in bytes, unless it is one record: so no report has to be divided to fit into an entry. */
const MAX_RUN_BYTES = 64 * 1024;
/** Records in a row that have to look like some, where their boundaries have been lost. */
const LIKELY_RECORDS = 3;
const EMPTY = Buffer.alloc(0);
const NOT_THE_FORMAT: RefusalCode = 'not-the-format';

/** Why bytes are left out. */
const WHY = {
  continues: 'the stream goes on without its beginning',
  damaged: 'no record begins where one should',
  refused: 'not of the format',
  repeated: 'a header that was there already',
  alone: 'a header and nothing behind it',
  short: 'the stream ended within its first record',
} as const;

/** Cuts streams whose records begin with their length. */
export class FramedCutter implements Cutter {
  readonly #newFraming: (preamble: Buffer) => Framing;
  readonly #earlier: Buffer;
  #framing: Framing;
  /** The unfinished record; while searching, all that may be part of a record. */
  readonly #carry = new Carry();
  /** Preamble that waits for a record behind it, and what the preamble was before it. */
  readonly #held = new Carry();
  #preambleBeforeHeld: Buffer | undefined;
  /** Whether the stream has shown that it is of the format, or is taken to go on from an earlier one. */
  #begun: boolean;
  #hasReported: boolean;
  /** Why the next record has to be searched for. */
  #searching: string | undefined;
  #refused = false;
  /** What is not known yet will not come any more. */
  #hasEnded = false;
  // The run of records that is not reported yet.
  #pieces: Buffer[] = [];
  #bytes = 0;
  #records = 0;

  /**
   * @param earlier preamble of an earlier stream, or empty
   * @param resumed where the cutter goes on with a stream: what another one had as preamble there, and was in
   */
  constructor(
    newFraming: (preamble: Buffer) => Framing,
    earlier: Buffer,
    resumed?: { readonly preamble: Buffer; readonly within: string | undefined },
  ) {
    this.#newFraming = newFraming;
    this.#earlier = earlier;
    this.#framing = newFraming(resumed?.preamble ?? EMPTY);
    this.#begun = resumed !== undefined;
    this.#hasReported = this.#begun;
    this.#searching = resumed?.within;
  }

  get within(): string | undefined {
    return this.#searching;
  }

  get pendingBytes(): number {
    return this.#held.length + this.#carry.length;
  }

  get preamble(): Buffer {
    return this.#preambleBeforeHeld ?? this.#framing.preamble;
  }

  push(bytes: Buffer, sink: CutSink): RefusalCode | undefined {
    if (bytes.length === 0) return this.#refused ? NOT_THE_FORMAT : undefined;
    if (this.#refused) sink.skipped(bytes.length, WHY.refused, bytes);
    else if (this.#searching !== undefined) this.#searchOn(bytes, sink);
    else if (this.#carry.length > 0) this.#complete(bytes, sink);
    else this.#begin(bytes, 0, sink);
    return this.#refused ? NOT_THE_FORMAT : undefined;
  }

  end(sink: CutSink): boolean {
    if (this.#searching !== undefined) {
      this.#hasEnded = true;
      this.#searchOn(EMPTY, sink);
      this.#endHeld(sink);
      // The last search may have found whole records: a part of one behind them would not be told from them.
      this.#skipCarried(this.#searching ?? WHY.damaged, sink);
      return false;
    }
    if (!this.#begun) this.#skipCarried(WHY.short, sink);
    if (this.#carry.length > 0) {
      this.#add(this.#carry.take(), 0);
      this.#report(sink);
      return true;
    }
    this.#endHeld(sink);
    return false;
  }

  /** No record follows preamble that is held. */
  #endHeld(sink: CutSink): void {
    if (this.#hasReported) this.#reportHeld(sink);
    else skip(this.#held.take(), WHY.alone, sink);
  }

  #skipCarried(why: string, sink: CutSink): void {
    skip(this.#carry.take(), why, sink);
  }

  /** Takes bytes that begin with a record. */
  #begin(bytes: Buffer, from: number, sink: CutSink): void {
    const done = this.#process(bytes, from, sink);
    if (this.#refused) skip(bytes.subarray(done), WHY.refused, sink);
    else if (done < bytes.length) this.#carry.append(bytes.subarray(done));
  }

  /** Adds to the unfinished record no more than it lacks, so that the rest need not be copied. */
  #complete(bytes: Buffer, sink: CutSink): void {
    const { headBytes } = this.#framing;
    let at = this.#fill(bytes, 0, headBytes);
    if (this.#carry.length < headBytes) return;
    const length = this.#framing.recordBytes(this.#carry.view, 0);
    at = this.#fill(bytes, at, length);
    if (this.#carry.length < length) return;
    const record = this.#carry.take();
    const done = this.#process(record, 0, sink);
    if (this.#refused) {
      skip(record.subarray(done), WHY.refused, sink);
      skip(bytes.subarray(at), WHY.refused, sink);
    } else if (done === record.length) this.#begin(bytes, at, sink);
    else {
      this.#carry.append(record.subarray(done));
      this.#searchOn(bytes.subarray(at), sink);
    }
  }

  /** Fills up the unfinished record to `length`. @returns where the bytes go on */
  #fill(bytes: Buffer, at: number, length: number): number {
    const end = Math.min(bytes.length, at + Math.max(0, length - this.#carry.length));
    if (end > at) this.#carry.append(bytes.subarray(at, end));
    return end;
  }

  #searchOn(bytes: Buffer, sink: CutSink): void {
    this.#carry.append(bytes);
    const window = this.#carry.view;
    const done = this.#process(window, 0, sink);
    this.#carry.drop(done);
    if (this.#refused) this.#skipCarried(WHY.refused, sink);
  }

  /** Walks and searches in turn. @returns where more bytes are needed */
  #process(bytes: Buffer, from: number, sink: CutSink): number {
    let at = from;
    for (;;) {
      const wasSearching = this.#searching !== undefined;
      at = wasSearching ? this.#search(bytes, at, sink) : this.#walk(bytes, at, sink);
      const isSearching = this.#searching !== undefined;
      if (this.#refused || wasSearching === isSearching) break;
    }
    this.#report(sink);
    return at;
  }

  /** Goes from record to record. @returns where it had to stop */
  #walk(bytes: Buffer, from: number, sink: CutSink): number {
    const framing = this.#framing;
    let start = from;
    let at = from;
    let items = 0;
    const addUpTo = (end: number): void => {
      if (end > start) this.#add(bytes.subarray(start, end), items);
      start = end;
      items = 0;
    };
    while (bytes.length - at >= framing.headBytes) {
      const length = framing.recordBytes(bytes, at);
      const end = at + length;
      if (end > bytes.length) break;
      const kind = length === 0 ? 'bad' : framing.kindOf(bytes, at, end);
      if (kind === 'item' || kind === 'other') {
        if (this.#bytes + end - start > MAX_RUN_BYTES) {
          addUpTo(at);
          this.#report(sink);
        }
        if (kind === 'item') items += 1;
        this.#begun = true;
        at = end;
        continue;
      }
      addUpTo(at);
      this.#report(sink);
      if (kind === 'preamble') this.#hold(bytes, at, end, sink);
      else if (kind === 'turn') {
        this.#turn(bytes, at, end, sink);
        at = end;
      } else {
        this.#reportHeld(sink);
        if (kind === 'bad') this.#lose();
        else if (kind === 'foreign') this.#refused = true;
        else sink.skipped(length, WHY.repeated, bytes.subarray(at, end));
      }
      if (this.#refused || this.#searching !== undefined) return at;
      this.#begun = true;
      at = end;
      start = end;
    }
    addUpTo(at);
    return at;
  }

  /** What stands here is no record. */
  #lose(): void {
    if (this.#begun) {
      if (this.#framing.isLikely === undefined) this.#refused = true;
      else this.#searching = WHY.damaged;
      return;
    }
    const framing = this.#newFraming(this.#earlier);
    if (framing.preamble.length === 0 || framing.isLikely === undefined) {
      this.#refused = true;
      return;
    }
    this.#framing = framing;
    this.#begun = true;
    this.#searching = WHY.continues;
  }

  #hold(bytes: Buffer, start: number, end: number, sink: CutSink): void {
    if (this.#held.length + end - start > MAX_RUN_BYTES) this.#reportHeld(sink);
    const before = this.preamble;
    if (this.#framing.take?.(bytes, start, end) === false) {
      this.#reportHeld(sink);
      this.#refused = true;
      return;
    }
    this.#preambleBeforeHeld = before;
    this.#held.append(bytes.subarray(start, end));
  }

  /** Reports the record first: until then the preamble is the one before it. */
  #turn(bytes: Buffer, start: number, end: number, sink: CutSink): void {
    this.#add(bytes.subarray(start, end), 1);
    this.#report(sink);
    if (this.#framing.take?.(bytes, start, end) === false) this.#refused = true;
  }

  /** Looks for records in a row. @returns where they begin, or may begin */
  #search(bytes: Buffer, from: number, sink: CutSink): number {
    const why = this.#searching ?? WHY.damaged;
    let at = from;
    let found = this.#recordsInARow(bytes, at);
    while (at < bytes.length && (found === 'no' || (found === 'perhaps' && this.#hasEnded))) {
      at += 1;
      found = this.#recordsInARow(bytes, at);
    }
    skip(bytes.subarray(from, at), why, sink);
    if (found === 'yes') this.#searching = undefined;
    return at;
  }

  #recordsInARow(bytes: Buffer, from: number): 'yes' | 'no' | 'perhaps' {
    const framing = this.#framing;
    let before = -1;
    let at = from;
    for (let record = 1; ; record++) {
      if (bytes.length - at < framing.headBytes) return 'perhaps';
      const length = framing.recordBytes(bytes, at);
      if (length === 0 || framing.isLikely?.(bytes, at, before) !== true) return 'no';
      if (record === LIKELY_RECORDS) return 'yes';
      const end = at + length;
      if (end > bytes.length) return 'perhaps';
      if (framing.kindOf(bytes, at, end) === 'bad') return 'no';
      before = at;
      at = end;
    }
  }

  #add(piece: Buffer, items: number): void {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    this.#records += items;
  }

  #report(sink: CutSink): void {
    if (this.#bytes === 0) return;
    if (this.#held.length + this.#bytes > MAX_RUN_BYTES) this.#reportHeld(sink);
    else if (this.#held.length > 0) {
      this.#bytes += this.#held.length;
      this.#pieces.unshift(this.#held.take());
    }
    const pieces = this.#pieces;
    this.#hasReported = true;
    sink.records(pieces, this.#bytes, this.#records);
    this.#preambleBeforeHeld = undefined;
    this.#pieces = [];
    this.#bytes = 0;
    this.#records = 0;
  }

  #reportHeld(sink: CutSink): void {
    if (this.#held.length === 0) return;
    const held = this.#held.take();
    this.#hasReported = true;
    sink.records([held], held.length, 0);
    this.#preambleBeforeHeld = undefined;
  }
}

function skip(bytes: Buffer, why: string, sink: CutSink): void {
  if (bytes.length > 0) sink.skipped(bytes.length, why, bytes);
}
