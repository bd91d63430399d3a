import { DeliveryOrder } from './delivery-order.ts';
import type { Outstanding, RecordBatch, RecordFilter, RecordSource } from './port.ts';

/** A source without the records that a filter leaves out; to the source itself these count as delivered. */
export class FilteredSource implements RecordSource {
  /** Records left out. */
  leftOut = 0;
  readonly #source: RecordSource;
  readonly #filter: RecordFilter;
  readonly #order = new DeliveryOrder();
  /** Tickets of the records that were handed on, the oldest first. */
  #tickets: number[] = [];

  constructor(source: RecordSource, filter: RecordFilter) {
    this.#source = source;
    this.#filter = filter;
  }

  get name(): string {
    return this.#source.name;
  }

  get maxOutstanding(): Outstanding {
    return this.#source.maxOutstanding;
  }

  async take(signal: AbortSignal): Promise<RecordBatch> {
    for (;;) {
      const batch = await this.#source.take(signal);
      if (batch.records.length === 0) return batch;
      const kept = this.#kept(batch);
      if (kept.records.length > 0) return kept;
    }
  }

  delivered(count: number): void {
    let done = 0;
    for (const ticket of this.#tickets.splice(0, count)) done += this.#order.done(ticket);
    if (done > 0) this.#source.delivered(done);
  }

  waiting(): Promise<number | undefined> {
    return this.#source.waiting();
  }

  close(): Promise<void> {
    return this.#source.close();
  }

  #kept({ records, streams }: RecordBatch): RecordBatch {
    const kept: Buffer[] = [];
    const keptStreams: NonNullable<RecordBatch['streams']>[number][] = [];
    let done = 0;
    for (const [i, record] of records.entries()) {
      const ticket = this.#order.add();
      if (this.#filter(record)) {
        kept.push(record);
        this.#tickets.push(ticket);
        const stream = streams?.[i];
        if (stream !== undefined) keptStreams.push(stream);
      } else {
        this.leftOut++;
        done += this.#order.done(ticket);
      }
    }
    if (done > 0) this.#source.delivered(done);
    return streams === undefined ? { records: kept } : { records: kept, streams: keptStreams };
  }
}
