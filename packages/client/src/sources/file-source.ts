import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { readBeyondEnd } from './descriptor.ts';
import type { Source } from './source.ts';

const PIECE_BYTES = 65_536;

/**
 * A file, up to its end; with `keepOpen` also what is appended to it later.
 * @param pollMs between looks beyond the end
 */
export function fileSource(path: string, keepOpen: boolean, pollMs: number): Source {
  return {
    name: path,
    endless: keepOpen,
    async *read(stop) {
      if (!keepOpen) {
        yield* readFile(path, PIECE_BYTES, stop);
        return;
      }
      const file = await open(path);
      try {
        yield* readBeyondEnd(file.fd, pollMs, stop);
      } finally {
        await file.close();
      }
    },
  };
}

/** A file's bytes in pieces of `pieceBytes`; the last one is shorter. Ends early when `stop` aborts. */
export async function* readFile(path: string, pieceBytes: number, stop: AbortSignal): AsyncIterable<Buffer> {
  const stream = createReadStream(path, { highWaterMark: pieceBytes });
  for await (const chunk of stream) {
    if (stop.aborted) return;
    yield chunk as Buffer;
  }
}
