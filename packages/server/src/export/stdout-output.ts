import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { D4Error } from '@d4ts/protocol';
import type { Output } from './output-target.ts';

/** How long a reader may take for what is being written when the exporter is stopped, in ms. */
const LAST_WRITE_MS = 1_000;

/** Writes to the standard output of a process. A reader that is slow is waited for; one that has gone is the end. */
export class StdoutOutput implements Output {
  readonly where = 'standard output';
  readonly #stdout: Writable;
  #broken: Error | undefined;

  constructor(stdout: Writable) {
    this.#stdout = stdout;
    stdout.on('error', (error) => {
      this.#broken = error;
    });
  }

  async write(bytes: Buffer, signal: AbortSignal): Promise<boolean> {
    if (this.#broken !== undefined) throw gone(this.#broken);
    const written = Promise.withResolvers<void>();
    this.#stdout.write(bytes, (error) => (error ? written.reject(gone(error)) : written.resolve()));
    const over = new AbortController();
    const stopped = async (): Promise<false> => {
      if (!signal.aborted) await once(signal, 'abort', { signal: over.signal });
      return await sleep(LAST_WRITE_MS, false, { signal: over.signal });
    };
    try {
      return await Promise.race([written.promise.then(() => true), stopped().catch((): false => false)]);
    } finally {
      over.abort();
      written.promise.catch(() => {});
    }
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {}
}

function gone(error: Error): D4Error {
  return new D4Error('D4_EXPORT_TARGET', `the standard output cannot be written: ${error.message}`, error);
}
