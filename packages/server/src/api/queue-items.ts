import { isUtf8 } from 'node:buffer';
import type { Queue } from '../queues/port.ts';
import type { ItemView } from './schemas.ts';

/** An answer carries no more than this, but for its last items, in bytes. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;

/** Items are popped by so many, so that an answer of large ones can stop early. */
const POP_BATCH = 64;

/** An item as JSON can carry it. */
export function itemView(item: Buffer): ItemView {
  return isUtf8(item)
    ? { data: item.toString('utf8'), encoding: 'utf8' }
    : { data: item.toString('base64'), encoding: 'base64' };
}

/**
 * Takes up to `count` items, fewer where they are large, or where the queue fails after the first of them. The queue keeps
 * them until it is told of them together.
 */
export async function popItems(queue: Queue, count: number): Promise<Buffer[]> {
  const items: Buffer[] = [];
  const batches: Buffer[][] = [];
  let bytes = 0;
  while (items.length < count && bytes < MAX_ANSWER_BYTES) {
    const batch = await popBatch(queue, Math.min(POP_BATCH, count - items.length), items.length > 0);
    if (batch.length === 0) break;
    for (const item of batch) bytes += item.length;
    items.push(...batch);
    batches.push(batch);
  }
  queue.keep(items);
  for (const batch of batches) queue.letGo(batch);
  return items;
}

/** @param hasSome whether items were taken before, which an error would lose */
async function popBatch(queue: Queue, count: number, hasSome: boolean): Promise<Buffer[]> {
  try {
    return await queue.pop(count);
  } catch (error) {
    if (hasSome) return [];
    throw error;
  }
}

/** The items that fit into an answer, at least one. */
export function cutToAnswer(items: readonly Buffer[]): Buffer[] {
  let bytes = 0;
  const over = items.findIndex((item) => {
    bytes += item.length;
    return bytes > MAX_ANSWER_BYTES;
  });
  return items.slice(0, over === -1 ? undefined : Math.max(1, over));
}
