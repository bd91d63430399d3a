import { ItemRuns } from '../item-runs.ts';
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

/** As `take`, in runs, but at least one item if there is one. */
export function takeRuns(queue: Queue, count: number): ItemRuns | Promise<ItemRuns> {
  return queue.length > 0 ? queue.popRuns(count, MAX_TAKEN_BYTES) : new ItemRuns([]);
}
