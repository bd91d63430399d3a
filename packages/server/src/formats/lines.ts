import type { RefusalCode } from '@d4ts/protocol';
import { Carry } from './carry.ts';
import type { Archive, CutSink, Cutter, Format } from './port.ts';
import { textFiles } from './rotation.ts';

const NEWLINE = 0x0a;
const EMPTY = Buffer.alloc(0);
const OVER_LIMIT = 'a line over the limit';

/** The largest line, its `\n` included, in bytes (docs/journal.md, rule 7). */
export const MAX_LINE_BYTES = 1024 * 1024;

/** What a format of lines may say otherwise. */
export interface LinesOptions {
  readonly name: string;
  readonly items: Format['items'];
  readonly archive: Archive;
  /** What becomes of a line over the limit: records of the limit, or nothing, since a part of it would be misleading. */
  readonly overLimit: 'cut' | 'skip';
}

/**
 * Lines that end in `\n` (wire type 3 and others); every other byte, `\r` and NUL too, belongs to the line. A line over
 * the limit is cut into records of the limit; empty lines are kept in the bytes but are no items (docs/journal.md, rule
 * 7).
 */
export function linesFormat(maxLineBytes: number = MAX_LINE_BYTES, options: Partial<LinesOptions> = {}): Format {
  return {
    name: options.name ?? 'lines',
    items: options.items ?? 'records',
    isLines: true,
    maxRecordBytes: maxLineBytes,
    unfinished: 'record',
    archive: options.archive ?? textFiles('syslog.txt'),
    newCutter: () => new LinesCutter(maxLineBytes, options.overLimit === 'skip'),
    resumeCutter: (_preamble, within) =>
      new LinesCutter(maxLineBytes, options.overLimit === 'skip', within === OVER_LIMIT),
    recordEnd(bytes, at) {
      const newline = bytes.indexOf(NEWLINE, at);
      return newline === -1 ? bytes.length : newline + 1;
    },
    itemEnd(bytes, start, end) {
      return end > start && bytes[end - 1] === NEWLINE ? end - 1 : end;
    },
  };
}

class LinesCutter implements Cutter {
  readonly #max: number;
  readonly #skipsOverLimit: boolean;
  readonly #carry = new Carry();
  /** Within a line over the limit that is left out. */
  #skipping: boolean;
  readonly preamble: Buffer = EMPTY;

  constructor(maxLineBytes: number, skipsOverLimit: boolean, skipping = false) {
    this.#max = maxLineBytes;
    this.#skipsOverLimit = skipsOverLimit;
    this.#skipping = skipping;
  }

  get pendingBytes(): number {
    return this.#carry.length;
  }

  get within(): string | undefined {
    return this.#skipping ? OVER_LIMIT : undefined;
  }

  push(bytes: Buffer, sink: CutSink): RefusalCode | undefined {
    if (!this.#skipping && this.#carry.length + bytes.length <= this.#max) this.#pushWithinLimit(bytes, sink);
    else this.#pushPieceByPiece(bytes, sink);
    return undefined;
  }

  end(sink: CutSink): boolean {
    if (this.#carry.length === 0) return false;
    const line = this.#carry.take();
    sink.records([line], line.length, 1);
    return true;
  }

  /** No line can be over the limit: only the last newline has to be found, and the lines to be counted. */
  #pushWithinLimit(bytes: Buffer, sink: CutSink): void {
    const end = bytes[bytes.length - 1] === NEWLINE ? bytes.length : bytes.lastIndexOf(NEWLINE) + 1;
    if (end === 0) {
      this.#carry.append(bytes);
      return;
    }
    const whole = end === bytes.length ? bytes : bytes.subarray(0, end);
    if (this.#carry.length === 0) {
      sink.records([whole], end, countItems(whole, false));
    } else {
      const carried = this.#carry.take();
      sink.records([carried, whole], carried.length + end, countItems(whole, true));
    }
    if (end < bytes.length) this.#carry.append(bytes.subarray(end));
  }

  /** Each piece fills the unfinished line up to the limit at the most; a line that is full and goes on is over it. */
  #pushPieceByPiece(bytes: Buffer, sink: CutSink): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#skipping) {
        at = this.#skipLine(bytes, at, sink);
        continue;
      }
      if (this.#carry.length === this.#max) {
        this.#overLimit(sink);
        continue;
      }
      const end = Math.min(bytes.length, at + this.#max - this.#carry.length);
      this.#pushWithinLimit(bytes.subarray(at, end), sink);
      at = end;
    }
  }

  #overLimit(sink: CutSink): void {
    const part = this.#carry.take();
    if (this.#skipsOverLimit) {
      sink.skipped(part.length, OVER_LIMIT, part);
      this.#skipping = true;
    } else {
      sink.records([part], part.length, 1);
      sink.cut();
    }
  }

  /** Leaves out the rest of a line. @returns where the next one begins, or the bytes end */
  #skipLine(bytes: Buffer, at: number, sink: CutSink): number {
    const newline = bytes.indexOf(NEWLINE, at);
    const end = newline === -1 ? bytes.length : newline + 1;
    sink.skipped(end - at, OVER_LIMIT, bytes.subarray(at, end));
    this.#skipping = newline === -1;
    return end;
  }
}

/** Lines that are not empty; `bytes` ends in a newline, `continues` says that its first line began earlier. */
function countItems(bytes: Buffer, continues: boolean): number {
  let items = 0;
  let start = 0;
  let newline = bytes.indexOf(NEWLINE);
  if (newline === 0 && continues) items = 1;
  while (newline !== -1) {
    if (newline > start) items += 1;
    start = newline + 1;
    newline = bytes.indexOf(NEWLINE, start);
  }
  return items;
}
