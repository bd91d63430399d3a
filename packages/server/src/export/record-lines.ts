import { lines } from './framing.ts';
import type { RecordBatch } from './port.ts';

/**
 * Records as they came, in one run of bytes, a newline behind each: whoever sends lines sends these bytes, and a record
 * by itself is made only where somebody asks for it.
 */
export class RecordLines implements RecordBatch {
  readonly bytes: Buffer;
  /** For each record the offset behind its newline. */
  readonly ends: readonly number[];
  #records: readonly Buffer[] | undefined;

  constructor(bytes: Buffer, ends: readonly number[]) {
    this.bytes = bytes;
    this.ends = ends;
  }

  /** Copies records that stand by themselves. */
  static of(records: readonly Buffer[]): RecordLines {
    let end = 0;
    const ends = records.map((record) => {
      end += record.length + 1;
      return end;
    });
    return new RecordLines(lines(records), ends);
  }

  get lines(): RecordLines {
    return this;
  }

  get records(): readonly Buffer[] {
    this.#records ??= this.recordsFrom(0);
    return this.#records;
  }

  /** The records from the one with this index on, without their newlines. */
  recordsFrom(first: number): Buffer[] {
    const records: Buffer[] = [];
    for (let i = first; i < this.ends.length; i++) records.push(this.bytes.subarray(this.#start(i), this.#end(i) - 1));
    return records;
  }

  /** One record with its newline. */
  line(index: number): Buffer {
    return this.bytes.subarray(this.#start(index), this.#end(index));
  }

  /** Whole lines of about `maxBytes` each, one behind the other; a longer line stands alone. */
  *runs(maxBytes: number): Generator<{ readonly bytes: Buffer; readonly records: number }> {
    const { ends } = this;
    let first = 0;
    for (let next = 1; next <= ends.length; next++) {
      const isLast = next === ends.length;
      if (!isLast && this.#end(next) - this.#start(first) <= maxBytes) continue;
      yield { bytes: this.bytes.subarray(this.#start(first), this.#end(next - 1)), records: next - first };
      first = next;
    }
  }

  #start(index: number): number {
    return index === 0 ? 0 : this.#end(index - 1);
  }

  #end(index: number): number {
    return this.ends[index] as number;
  }
}
