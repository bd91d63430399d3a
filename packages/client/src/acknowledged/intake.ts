import type { Source } from '../sources/source.ts';
import type { Backlog } from '../spool/backlog.ts';

/** How reading a source ended. */
export interface Reading {
  /** Whether the source ended by itself. */
  readonly complete: boolean;
  /** What went wrong. */
  readonly problem?: string;
}

const PIECE_BYTES = 65_536;

/** Reads a source into a backlog, as far as there is room; or hands it over, with what was read already. */
export class Intake {
  readonly #source: Source;
  readonly #backlog: Backlog;
  readonly #stop: AbortController;
  readonly #iterator: AsyncIterator<Buffer>;
  #pending: Promise<IteratorResult<Buffer>> | undefined;
  #handedOver = false;
  /** How reading ended; never, where the source is handed over. */
  readonly ended: Promise<Reading>;

  /** @param stop ends reading */
  constructor(source: Source, backlog: Backlog, stop: AbortController) {
    this.#source = source;
    this.#backlog = backlog;
    this.#stop = stop;
    this.#iterator = source.read(stop.signal)[Symbol.asyncIterator]();
    this.ended = this.#run();
  }

  async #run(): Promise<Reading> {
    let problem: string | undefined;
    try {
      while (!this.#handedOver) {
        this.#pending = this.#iterator.next();
        const next = await this.#pending;
        if (this.#handedOver || next.done === true) break;
        this.#pending = undefined;
        await this.#backlog.append(next.value);
      }
    } catch (error) {
      problem = (error as Error).message;
    }
    if (this.#handedOver) return new Promise(() => {});
    const complete = problem === undefined && !this.#stop.signal.aborted;
    this.#backlog.finish(complete);
    return problem === undefined ? { complete } : { complete, problem };
  }

  /**
   * The source as it would be if nothing had been read of it yet. The backlog is emptied by reading it.
   * @param onEmpty called when the backlog has been read
   */
  handOver(onEmpty: () => Promise<void>): Source {
    this.#handedOver = true;
    const read = (stop: AbortSignal) => {
      stop.addEventListener('abort', () => this.#stop.abort(), { once: true });
      return this.#all(onEmpty, stop);
    };
    return { ...this.#source, read };
  }

  async *#all(onEmpty: () => Promise<void>, stop: AbortSignal): AsyncIterable<Buffer> {
    const backlog = this.#backlog;
    while (backlog.acknowledged < backlog.length) {
      if (stop.aborted) {
        // What is on disk stays there.
        await backlog.close();
        return;
      }
      const piece = await backlog.read(backlog.acknowledged, PIECE_BYTES);
      if (piece === undefined) await backlog.more.wait();
      else if (piece.kind === 'gap') backlog.acknowledge(piece.to);
      else {
        // Before it is forgotten it is the reader's.
        const bytes = Buffer.from(piece.bytes);
        backlog.acknowledge(backlog.acknowledged + bytes.length);
        yield bytes;
      }
    }
    await onEmpty();
    for (;;) {
      const next = await (this.#pending ?? this.#iterator.next());
      this.#pending = undefined;
      if (next.done === true) return;
      yield next.value;
    }
  }
}
