import { read } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const readDescriptor: (
  fd: number,
  buffer: Buffer,
  offset: number,
  length: number,
  position: null,
) => Promise<{ bytesRead: number }> = promisify(read);

const PIECE_BYTES = 65_536;

/**
 * Goes on reading a descriptor that was at its end, as the Go client does: a file may grow, a named pipe may get a new
 * writer. Looks each `pollMs`; ends only when `stop` aborts.
 */
export async function* readBeyondEnd(fd: number, pollMs: number, stop: AbortSignal): AsyncIterable<Buffer> {
  let buffer = Buffer.allocUnsafeSlow(PIECE_BYTES);
  while (!stop.aborted) {
    const bytesRead = await readAvailable(fd, buffer);
    if (bytesRead > 0) {
      yield buffer.subarray(0, bytesRead);
      buffer = Buffer.allocUnsafeSlow(PIECE_BYTES);
    } else {
      await pause(pollMs, stop);
    }
  }
}

/** Waits, at most until `stop` aborts. */
export async function pause(ms: number, stop: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal: stop }).catch(() => {});
}

/** Resolves when `stop` aborts. */
export async function stopped(stop: AbortSignal): Promise<void> {
  if (stop.aborted) return;
  await new Promise<void>((resolve) => {
    stop.addEventListener('abort', () => resolve(), { once: true });
  });
}

async function readAvailable(fd: number, buffer: Buffer): Promise<number> {
  try {
    return (await readDescriptor(fd, buffer, 0, buffer.length, null)).bytesRead;
  } catch (error) {
    // A pipe with a writer that has nothing to say now.
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0;
    throw error;
  }
}
