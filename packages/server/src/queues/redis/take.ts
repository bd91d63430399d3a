import type { Logger } from 'pino';
import type { Queue } from '../port.ts';

/** Once a reply holds this many bytes of items no more are taken for it. */
const MAX_TAKEN_BYTES = 32 * 1024 * 1024;

/**
 * Takes `count` of the oldest items; fewer only where the queue has no more, or where they are very large (32 MiB, not
 * within the first 256). Answers at once where the queue does.
 */
export function take(queue: Queue, count: number): Buffer[] | Promise<Buffer[]> {
  return queue.length > 0 ? queue.pop(count, MAX_TAKEN_BYTES) : [];
}

/**
 * Puts taken items back so that they are popped in the order in which they were taken. Where the queue cannot take them
 * they are lost, and the log says so.
 */
export function untake(queue: Queue, items: readonly Buffer[], log: Logger): void {
  if (items.length === 0) return;
  try {
    queue.giveBack(items.toReversed());
  } catch (error) {
    log.error({ err: error, queue: queue.uuid, items: items.length }, 'undelivered items could not be given back');
  }
}
