import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { lines, runsOf } from './framing.ts';
import type { ExportTarget, RecordBatch, TargetCounts, TargetEvents } from './port.ts';

/** About how much is written at a time, in bytes. */
const RUN_BYTES = 256 * 1024;

/** Something that bytes are written to one after another. */
export interface Output {
  /** In words. */
  readonly where: string;
  /**
   * Writes all the bytes, however long that takes.
   * @returns false where the signal ended it before
   * @throws where nothing can ever be written
   */
  write(bytes: Buffer, signal: AbortSignal): Promise<boolean>;
  /** Makes durable what was written. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** What an output tells. */
export interface OutputEvents {
  works(): void;
  fails(problem: string): void;
}

/**
 * Writes records to an output, a newline behind each; or, where records are paths, the content of the files that they
 * name, decompressed.
 */
export class OutputTarget implements ExportTarget {
  readonly where: string;
  readonly counts: TargetCounts = { errors: 0, skipped: 0, repeated: 0 };
  problem: string | undefined;
  readonly #output: Output;
  readonly #files: boolean;
  readonly #events: TargetEvents;

  /** @param files whether records are paths of files whose content is wanted */
  constructor(open: (events: OutputEvents) => Output, files: boolean, events: TargetEvents) {
    this.#files = files;
    this.#events = events;
    this.#output = open({ works: () => this.#works(), fails: (problem) => this.#fails(problem) });
    this.where = this.#output.where;
  }

  async send({ records }: RecordBatch, signal: AbortSignal): Promise<void> {
    if (this.#files) {
      for (const path of records) {
        if (signal.aborted || !(await this.#sendFile(path.toString(), signal))) return;
        this.#events.delivered(1);
      }
      return;
    }
    for (const run of runsOf(records, RUN_BYTES)) {
      if (!(await this.#output.write(lines(run), signal))) return;
      await this.#output.flush();
      this.#events.delivered(run.length);
    }
  }

  close(): Promise<void> {
    return this.#output.close();
  }

  /** @returns false where the signal ended it before; then it is begun again some time */
  async #sendFile(path: string, signal: AbortSignal): Promise<boolean> {
    const stored = createReadStream(path);
    const content = path.endsWith('.gz') ? stored.pipe(createGunzip()) : stored;
    const failed = Promise.withResolvers<never>();
    failed.promise.catch(() => {});
    stored.once('error', failed.reject);
    const chunks = content.iterator({ destroyOnReturn: true });
    try {
      for (;;) {
        const { done, value } = await Promise.race([chunks.next(), failed.promise]);
        if (done === true) break;
        if (!(await this.#output.write(value as Buffer, signal))) return false;
      }
      await this.#output.flush();
    } catch (error) {
      // What the output itself cannot do is said by a D4Error: nothing would ever be written.
      if (isFileError(error)) this.#skip(path, error);
      else throw error;
    } finally {
      content.destroy();
      stored.destroy();
    }
    return true;
  }

  #skip(path: string, error: Error): void {
    this.counts.skipped++;
    this.#events.warn(`${path} cannot be read and is skipped: ${error.message}`);
  }

  #works(): void {
    if (this.problem !== undefined) this.#events.warn(`${this.where} takes records again`);
    this.problem = undefined;
  }

  #fails(problem: string): void {
    this.counts.errors++;
    if (problem !== this.problem) this.#events.warn(`${problem}: records are held until it is possible`);
    this.problem = problem;
  }
}

/** An error of reading or decompressing a file. */
function isFileError(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && !error.code.startsWith('D4_');
}
