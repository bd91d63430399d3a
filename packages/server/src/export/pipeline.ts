import { FilteredSource } from './filtered-source.ts';
import type { ExportTarget, OpenTarget, RecordFilter, RecordSource } from './port.ts';

/** What a pipeline is made of. */
export interface PipelineParts {
  readonly source: RecordSource;
  readonly open: OpenTarget;
  /** Only records for which it is true are exported. */
  readonly filter?: RecordFilter | undefined;
  readonly warn: (text: string) => void;
}

/** Takes records from a source to a target, in order, reading one batch ahead. */
export class Pipeline {
  /** Records delivered, and those that the filter left out. */
  delivered = 0;
  readonly #parts: PipelineParts;
  readonly #filtered: FilteredSource | undefined;
  #target: ExportTarget | undefined;

  constructor(parts: PipelineParts) {
    this.#parts = parts;
    this.#filtered = parts.filter && new FilteredSource(parts.source, parts.filter);
  }

  get leftOut(): number {
    return this.#filtered?.leftOut ?? 0;
  }

  /** Undefined until it is open. */
  get target(): ExportTarget | undefined {
    return this.#target;
  }

  /**
   * Works until the signal says stop; then what is not delivered is left to the source.
   * @param onOpen called when the target is there, before the first record
   * @throws where source or target can never work
   */
  async run(signal: AbortSignal, onOpen?: (target: ExportTarget) => void): Promise<void> {
    const { open, warn } = this.#parts;
    const source = this.#filtered ?? this.#parts.source;
    const failed = new AbortController();
    const either = AbortSignal.any([signal, failed.signal]);
    let next: ReturnType<RecordSource['take']> | undefined;
    try {
      const events = {
        delivered: (count: number) => {
          this.delivered += count;
          source.delivered(count);
        },
        warn,
      };
      const target = await open(events, source.maxOutstanding);
      this.#target = target;
      onOpen?.(target);
      next = source.take(either);
      while (!signal.aborted) {
        const batch = await next;
        next = undefined;
        if (signal.aborted) break;
        next = source.take(either);
        // Where sending fails first, nobody waits for it.
        next.catch(() => {});
        await target.send(batch, signal);
      }
    } finally {
      failed.abort();
      await next?.catch(() => {});
      await this.#target?.close();
      await source.close();
    }
  }

  /** What was done so far, in words. */
  counts(): string {
    const { errors, skipped, repeated } = this.#target?.counts ?? { errors: 0, skipped: 0, repeated: 0 };
    const counts = [`${this.delivered - skipped} delivered`, `${errors} errors`, `${skipped} skipped`];
    if (repeated > 0) counts.push(`${repeated} sent again`);
    if (this.leftOut > 0) counts.push(`${this.leftOut} left out`);
    const remark = this.#target?.remark?.() ?? '';
    return [...counts, ...(remark === '' ? [] : [remark])].join(', ');
  }
}
