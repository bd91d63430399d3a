import { itemsOf, type Taken } from './item-runs.ts';
import type { Queue } from './port.ts';

/** Where it is said that something failed. */
interface ErrorLog {
  error(facts: object, message: string): void;
}

/**
 * Puts taken items back so that they are popped in the order in which they were taken. Where the queue cannot take them
 * they come again after a restart, and the log says so.
 */
export function untake(queue: Queue, taken: Taken, log: ErrorLog): void {
  const items = itemsOf(taken);
  if (items.length === 0) return;
  try {
    queue.giveBack(items.toReversed());
    queue.letGo(taken);
  } catch (error) {
    log.error({ err: error, queue: queue.uuid, items: items.length }, 'undelivered items could not be given back');
  }
}
