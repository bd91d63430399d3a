import type { RefusalCode } from '@d4ts/protocol';
import { Carry } from './carry.ts';
import type { CutSink, Cutter, Format } from './port.ts';
import { textFiles } from './rotation.ts';

const NEWLINE = 0x0a;
const BACKSLASH = 0x5c;
const BRACKET = 0x5b;
const EMPTY = Buffer.alloc(0);

/** The largest record, its last `\n` included, in bytes (docs/journal.md, rule 7). */
export const MAX_DNSCAP_BYTES = 1024 * 1024;

/**
 * dnscap's text (wire type 4). A record starts with `[` at a line start and goes on over the lines behind it. dnscap ends
 * each line but a record's last with `\`, so such a record is whole at once; one whose first line has none goes on to
 * the next `[`. Text in front of the first `[` is a record too. A record over the limit is cut.
 */
export const dnscapFormat: Format = dnscapFormatOf(MAX_DNSCAP_BYTES);

/** The same with another limit, in bytes. */
export function dnscapFormatOf(maxRecordBytes: number): Format {
  return {
    name: 'dnscap',
    items: 'records',
    maxRecordBytes,
    unfinished: 'record',
    archive: textFiles('dnscap.txt'),
    newCutter: () => new DnscapCutter(maxRecordBytes),
    resumeCutter: () => new DnscapCutter(maxRecordBytes),
    recordEnd: (bytes, at) => new RecordSearch().endIn(bytes, at) ?? bytes.length,
    itemEnd,
  };
}

function itemEnd(bytes: Buffer, start: number, end: number): number {
  return end > start && bytes[end - 1] === NEWLINE ? end - 1 : end;
}

/** Looks for the end of one record, and remembers how far it got. */
class RecordSearch {
  /** Bytes of the record that have been looked at. */
  #done = 0;
  /** Whether the record's lines end with `\`; undefined until its first line has come. */
  #escapes: boolean | undefined;

  /** The end of the record that starts at `start`; undefined where it is not known yet. */
  endIn(bytes: Buffer, start: number): number | undefined {
    let newline = bytes.indexOf(NEWLINE, start + this.#done);
    while (newline !== -1) {
      const escaped = newline > start && bytes[newline - 1] === BACKSLASH;
      this.#escapes ??= escaped;
      if (this.#escapes && !escaped) return newline + 1;
      if (newline + 1 === bytes.length) {
        // What comes next decides: this line end is looked at again.
        this.#done = newline - start;
        return undefined;
      }
      if (bytes[newline + 1] === BRACKET) return newline + 1;
      newline = bytes.indexOf(NEWLINE, newline + 1);
    }
    this.#done = bytes.length - start;
    return undefined;
  }

  /** Whether the record ends with its last byte, given that nothing follows. */
  isWhole(record: Buffer): boolean {
    return this.#escapes === false && record[record.length - 1] === NEWLINE;
  }
}

class DnscapCutter implements Cutter {
  readonly #max: number;
  readonly #carry = new Carry();
  #search = new RecordSearch();
  readonly preamble: Buffer = EMPTY;

  constructor(maxRecordBytes: number) {
    this.#max = maxRecordBytes;
  }

  get pendingBytes(): number {
    return this.#carry.length;
  }

  push(bytes: Buffer, sink: CutSink): RefusalCode | undefined {
    for (let at = 0; at < bytes.length; ) {
      if (this.#carry.length === this.#max) {
        this.#reportCarried(sink);
        sink.cut();
      }
      const end = Math.min(bytes.length, at + this.#max - this.#carry.length);
      this.#pushWithinLimit(bytes.subarray(at, end), sink);
      at = end;
    }
    return undefined;
  }

  end(sink: CutSink): boolean {
    if (this.#carry.length === 0) return false;
    const isWhole = this.#search.isWhole(this.#carry.view);
    this.#reportCarried(sink);
    return !isWhole;
  }

  #reportCarried(sink: CutSink): void {
    const record = this.#carry.take();
    sink.records([record], record.length, itemEnd(record, 0, record.length) > 0 ? 1 : 0);
    this.#search = new RecordSearch();
  }

  #pushWithinLimit(bytes: Buffer, sink: CutSink): void {
    const isCarried = this.#carry.length > 0;
    if (isCarried) this.#carry.append(bytes);
    const text = isCarried ? this.#carry.view : bytes;
    let whole = 0;
    let items = 0;
    for (let end = this.#search.endIn(text, 0); end !== undefined; end = this.#search.endIn(text, whole)) {
      if (itemEnd(text, whole, end) > whole) items += 1;
      whole = end;
      this.#search = new RecordSearch();
    }
    if (whole > 0) sink.records([text.subarray(0, whole)], whole, items);
    if (isCarried) this.#carry.drop(whole);
    else if (whole < bytes.length) this.#carry.append(bytes.subarray(whole));
  }
}
