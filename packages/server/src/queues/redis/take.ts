import type { Logger } from 'pino';
import type { Queue } from '../port.ts';

/** Items asked of the queue at a time, so that memory for a huge count is bounded by bytes. */
const PIECE_ITEMS = 256;
/** Once a reply holds this many bytes of items no more are taken for it. */
const MAX_TAKEN_BYTES = 32 * 1024 * 1024;

/**
 * Takes `count` of the oldest items; fewer only where the queue has no more, or where they are very large (32 MiB, not
 * within the first 256). Answers at once where the queue does.
 */
export function take(queue: Queue, count: number, log: Logger): Buffer[] | Promise<Buffer[]> {
  const items: Buffer[] = [];
  let bytes = 0;
  while (items.length < count && bytes < MAX_TAKEN_BYTES && queue.length > 0) {
    const piece = queue.pop(Math.min(PIECE_ITEMS, count - items.length));
    if (piece instanceof Promise) return takeRest(queue, count, items, piece, log);
    if (piece.length === 0) break;
    if (piece.length === count) return piece;
    bytes += append(items, piece);
  }
  return items;
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

async function takeRest(
  queue: Queue,
  count: number,
  items: Buffer[],
  first: Promise<Buffer[]>,
  log: Logger,
): Promise<Buffer[]> {
  let bytes = 0;
  for (const item of items) bytes += item.length;
  try {
    for (let next: Buffer[] | Promise<Buffer[]> = first; ; ) {
      const piece = await next;
      if (piece.length === 0) return items;
      bytes += append(items, piece);
      if (items.length >= count || bytes >= MAX_TAKEN_BYTES || queue.length === 0) return items;
      next = queue.pop(Math.min(PIECE_ITEMS, count - items.length));
    }
  } catch (error) {
    untake(queue, items, log);
    throw error;
  }
}

function append(items: Buffer[], piece: readonly Buffer[]): number {
  let bytes = 0;
  for (const item of piece) {
    items.push(item);
    bytes += item.length;
  }
  return bytes;
}
