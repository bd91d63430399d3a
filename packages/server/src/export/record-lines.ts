import { D4Error } from '@d4ts/protocol';
import { joinLines, lineEnds } from '../formats/line-run.ts';
import type { StreamDefinition } from '../journal/port.ts';
import type { RecordBatch } from './port.ts';

/**
 * Records as they came, in one run of bytes, a newline behind each: whoever sends lines sends these bytes, and a record
 * by itself is made only where somebody asks for it.
 */
export class RecordLines implements RecordBatch {
  readonly bytes: Buffer;
  readonly count: number;
  readonly #stream: StreamDefinition | undefined;
  #ends: readonly number[] | undefined;
  #records: readonly Buffer[] | undefined;
  #streams: readonly StreamDefinition[] | undefined;

  /**
   * @param ends for each record the offset behind its newline; not needed of one record, or where none has a newline in it
   * @param stream that all of them came in, where that is known
   */
  constructor(bytes: Buffer, count: number, ends?: readonly number[], stream?: StreamDefinition) {
    this.bytes = bytes;
    this.count = count;
    this.#ends = ends;
    this.#stream = stream;
  }

  /** Copies records that stand by themselves. */
  static of(records: readonly Buffer[]): RecordLines {
    let end = 0;
    const ends = records.map((record) => {
      end += record.length + 1;
      return end;
    });
    return new RecordLines(joinLines(records), records.length, ends);
  }

  get lines(): RecordLines {
    return this;
  }

  get records(): readonly Buffer[] {
    this.#records ??= this.recordsFrom(0);
    return this.#records;
  }

  get streams(): readonly StreamDefinition[] | undefined {
    const stream = this.#stream;
    if (stream !== undefined) this.#streams ??= Array.from({ length: this.count }, () => stream);
    return this.#streams;
  }

  /** For each record the offset behind its newline. @throws {D4Error} D4_REDIS_PROTOCOL where there are not so many */
  get ends(): readonly number[] {
    this.#ends ??= this.count === 1 ? [this.bytes.length] : this.#findEnds();
    return this.#ends;
  }

  /** The records from the one with this index on, without their newlines. */
  recordsFrom(first: number): Buffer[] {
    const records: Buffer[] = [];
    for (let i = first; i < this.count; i++) records.push(this.bytes.subarray(this.#start(i), this.#end(i) - 1));
    return records;
  }

  /** One record with its newline. */
  line(index: number): Buffer {
    return this.bytes.subarray(this.#start(index), this.#end(index));
  }

  /** Whole lines of about `maxBytes` each, up to twice that, one behind the other; a longer line stands alone. */
  *runs(maxBytes: number): Generator<{ readonly bytes: Buffer; readonly records: number }> {
    if (this.bytes.length <= 2 * maxBytes) {
      if (this.count > 0) yield { bytes: this.bytes, records: this.count };
      return;
    }
    let first = 0;
    for (let next = 1; next <= this.count; next++) {
      const isLast = next === this.count;
      if (!isLast && this.#end(next) - this.#start(first) <= maxBytes) continue;
      yield { bytes: this.bytes.subarray(this.#start(first), this.#end(next - 1)), records: next - first };
      first = next;
    }
  }

  #findEnds(): number[] {
    const ends = lineEnds(this.bytes);
    if (ends.length === this.count && ends.at(-1) === this.bytes.length) return ends;
    throw new D4Error('D4_REDIS_PROTOCOL', `${this.count} records came in ${ends.length} lines`);
  }

  #start(index: number): number {
    return index === 0 ? 0 : this.#end(index - 1);
  }

  #end(index: number): number {
    return this.ends[index] as number;
  }
}
