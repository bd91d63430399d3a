import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { D4Error } from '@d4ts/protocol';
import type { Output } from './output-target.ts';

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
    try {
      return await Promise.race([
        written.promise.then(() => true),
        once(signal, 'abort', { signal: over.signal }).then(
          () => false,
          () => false,
        ),
      ]);
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
