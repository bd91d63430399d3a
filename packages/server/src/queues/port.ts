import type { Actor } from '../registry/port.ts';

/** What is known of a queue at a moment. */
export interface QueueInfo {
  readonly uuid: string;
  readonly topic: string;
  readonly description: string;
  readonly limit: number;
  /** Items waiting; exact (docs/journal.md, rule 22). */
  readonly length: number;
  readonly taken: number;
  readonly dropped: number;
  readonly flushed: number;
  /** ms since 1970 */
  readonly createdAt: number;
}

/** One queue, as its consumers see it. All items are bytes. */
export interface Queue {
  readonly uuid: string;
  readonly topic: string;
  readonly length: number;
  info(): QueueInfo;
  /**
   * Takes up to `count` of the oldest items. Answers at once where the items are in memory, else through a promise;
   * calls are served in order.
   */
  pop(count: number): Buffer[] | Promise<Buffer[]>;
  /**
   * Puts items back in front: the last of `items` is the next one popped (rule 24). Listeners of `onItems` are called.
   * @returns the new length
   */
  giveBack(items: readonly Buffer[]): number;
  /**
   * Items by index from the *newest* (0), as a Redis list that is filled by LPUSH counts; negative indexes count from
   * the oldest (-1). At most 10,000 items or 8 MiB (rule 26).
   */
  range(start: number, stop: number): Promise<Buffer[]>;
  /** The oldest items, without taking them. */
  peek(count: number): Promise<Buffer[]>;
  /** Moves the cursor to the watermark; the items are counted as flushed. @returns how many they were */
  flush(): number;
  /** Calls `listener` whenever items may have arrived. @returns how to stop that */
  onItems(listener: () => void): () => void;
}

/** A consumer that asked for a queue which does not exist (rule 24). */
export interface UnknownQueueConsumer {
  readonly key: string;
  readonly address: string;
  readonly count: number;
  readonly lastAt: number;
}

/** All queues of the server. */
export interface Queues {
  list(): QueueInfo[];
  get(uuid: string): Queue | undefined;
  /**
   * Makes a queue at the watermark, or at the first record at or after `from` (ms since 1970; rule 20).
   * @throws {D4Error} D4_TYPE_NOT_ACCEPTED, D4_CONFLICT, D4_BAD_UUID
   */
  add(
    options: { topic: string; uuid?: string; description?: string; limit?: number; from?: number },
    actor: Actor,
  ): Promise<Queue>;
  /** @returns whether there was one */
  remove(uuid: string, actor: Actor): Promise<boolean>;
  /** Calls `listener` after a queue was made or removed. @returns how to stop that */
  onChange(listener: () => void): () => void;
  /** Notes a consumer of a queue that does not exist, in a bounded list. */
  unknown(key: string, address: string): void;
  unknownConsumers(): UnknownQueueConsumer[];
}
