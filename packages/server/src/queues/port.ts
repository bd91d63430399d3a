import type { SensorId } from '@d4ts/protocol';
import type { Actor } from '../registry/port.ts';

/** What is known of a queue at a moment. */
export interface QueueInfo {
  readonly uuid: string;
  readonly topic: string;
  readonly description: string;
  readonly limit: number;
  /** Whose records it takes from now on. */
  readonly group: 'all' | readonly SensorId[];
  /** What is known of its credential, if it has one. */
  readonly credential?: { readonly push: boolean; readonly createdAt: number };
  /** Grows with each change of its definition. */
  readonly revision: number;
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
   * @throws {D4Error} D4_QUEUE_FULL beyond 100,000 items or 64 MiB of them
   */
  giveBack(items: readonly Buffer[]): number;
  /**
   * Puts items from outside behind everything that is committed now; the first of `items` is the oldest. Listeners of
   * `onItems` are called.
   * @returns the new length
   * @throws {D4Error} D4_QUEUE_FULL beyond 10,000 items or 8 MiB of them
   */
  push(items: readonly Buffer[]): number;
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

/** How a queue is to be. */
export interface NewQueue {
  readonly topic: string;
  readonly uuid?: string;
  readonly description?: string;
  readonly limit?: number;
  /** ms since 1970 */
  readonly from?: number;
  /** All sensors if not given. */
  readonly group?: readonly SensorId[];
}

/** What may be changed of a queue. */
export interface QueueChange {
  readonly description?: string;
  readonly limit?: number;
  /** Sensors to add to its group, and to take out of it; that holds from the watermark on (rule 20). */
  readonly add?: readonly SensorId[];
  readonly remove?: readonly SensorId[];
}

/** What a credential opens: one queue. */
export interface QueueAccess {
  readonly queue: string;
  /** Whether items may be put into the queue, beside taking them. */
  readonly push: boolean;
  /** False once the credential was replaced or revoked, or the queue removed. */
  isCurrent(): boolean;
}

/** Where a queue stands. */
export interface QueuePlace {
  readonly uuid: string;
  /** The topic of the journal that it reads: `3`, or for paths `files/1`. */
  readonly source: string;
  /** Of the next item; what was saved, so that a crash finds no less. */
  readonly sequence: number;
}

/** All queues of the server. */
export interface Queues {
  list(): QueueInfo[];
  get(uuid: string): Queue | undefined;
  /**
   * Makes a queue at the watermark, or at the first record at or after `from` (ms since 1970; rule 20); of all sensors,
   * or of a group.
   * @throws {D4Error} D4_TYPE_NOT_ACCEPTED, D4_CONFLICT, D4_BAD_UUID, D4_BAD_GROUP
   */
  add(options: NewQueue, actor: Actor): Promise<Queue>;
  /**
   * Changes a queue; resolved when the change holds.
   * @param expectedRevision change it only if it is still this one
   * @returns undefined where there is no such queue
   * @throws {D4Error} D4_CONFLICT, D4_BAD_GROUP where the queue has no group, or would have an empty one
   */
  edit(uuid: string, change: QueueChange, actor: Actor, expectedRevision?: number): Promise<Queue | undefined>;
  /**
   * Gives a queue a new credential in place of the one that it has.
   * @returns the secret, which is not kept; undefined where there is no such queue
   */
  issueCredential(uuid: string, rights: { push: boolean }, actor: Actor): Promise<string | undefined>;
  /** @returns whether the queue had a credential; undefined where there is no such queue */
  revokeCredential(uuid: string, actor: Actor): Promise<boolean | undefined>;
  /** What a secret opens. @param uuid only if it is this queue */
  accessBy(secret: string, uuid?: string): QueueAccess | undefined;
  /** @returns whether there was one */
  remove(uuid: string, actor: Actor): Promise<boolean>;
  /** Where each queue stands in the journal: what it needs begins there (docs/journal.md, rule 17). */
  places(): Promise<QueuePlace[]>;
  /**
   * Makes a queue give up what waits before a sequence; its items are counted as dropped. Resolved when that is saved.
   * @returns the items that were given up, by sensor
   */
  giveUpBefore(uuid: string, sequence: number): Promise<ReadonlyMap<SensorId, number>>;
  /** Lets go of what queues of a journal topic have read and not handed out; it is read again when needed. */
  forgetBlocks(source: string): void;
  /** Calls `listener` after a queue was made, changed or removed. @returns how to stop that */
  onChange(listener: () => void): () => void;
  /** Notes a consumer of a queue that does not exist, in a bounded list. */
  unknown(key: string, address: string): void;
  unknownConsumers(): UnknownQueueConsumer[];
}
