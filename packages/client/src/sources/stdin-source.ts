import type { ClientEnvironment } from '../environment.ts';
import { readBeyondEnd, stopped } from './descriptor.ts';
import type { Source } from './source.ts';

/**
 * The standard input, up to its end; with `keepOpen` also what comes after that.
 * @param pollMs between looks beyond the end
 */
export function stdinSource(stdin: ClientEnvironment['stdin'], keepOpen: boolean, pollMs: number): Source {
  return {
    name: 'the standard input',
    endless: keepOpen,
    async *read(stop) {
      const abort = () => stdin.destroy();
      stop.addEventListener('abort', abort, { once: true });
      try {
        for await (const chunk of stdin) yield chunk as Buffer;
      } catch (error) {
        if (stop.aborted) return;
        throw error;
      } finally {
        stop.removeEventListener('abort', abort);
      }
      if (!keepOpen) return;
      if (stdin.fd === undefined) await stopped(stop);
      else yield* readBeyondEnd(stdin.fd, pollMs, stop);
    },
  };
}
