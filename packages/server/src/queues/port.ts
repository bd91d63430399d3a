import type { SensorId } from '@d4ts/protocol';
import type { Position, Topic } from '../journal/port.ts';
import type { Actor, ReplayState } from '../registry/port.ts';
import type { ItemRuns, Taken } from './item-runs.ts';
import type { ReplayBatch } from './replays.ts';

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
  /** Items in the hands of consumers, not acknowledged (rule 26); not in `length`. */
  readonly claimed: number;
  /** Items that came again: because the position was moved back, and out of replays (rule 47). */
  readonly rewound: number;
  readonly replayed: number;
  /** Those under way, and those that were over last. */
  readonly replays: readonly ReplayState[];
  /** ms since 1970 */
  readonly createdAt: number;
}

/** An item that was handed out until it is acknowledged. */
export interface ClaimedItem {
  /** For its acknowledgement: the item's own, and the number of the delivery. */
  readonly id: string;
  readonly item: Buffer;
  /** 1 for the first time; after a crash an item may be said to come for the first time again. */
  readonly delivery: number;
}

/** What became of ids that a consumer has sent. */
export interface Settled {
  readonly settled: number;
  /** Of items that nobody has: acknowledged before, flushed, or never handed out. */
  readonly unknown: readonly string[];
}

/** What a queue got back. */
export interface Rewound {
  /** Items that come again. */
  readonly items: number;
  /** Where they begin, ms since 1970: as wanted, or the first that the journal has. */
  readonly from: number;
  /** Whether the journal has all that was wanted. */
  readonly complete: boolean;
}

/** Which part of the past is to come again. Times are ms since 1970. */
export interface ReplayWish {
  readonly from: number;
  /** Up to now if not given. */
  readonly to?: number;
  /** The queue's own type if not given. */
  readonly topic?: Topic;
  /** If not given, of the queue's own type those of its group, of another one all. */
  readonly sensors?: readonly SensorId[];
}

/** Items of a topic's finished files with bytes of a time, as far as the journal does not have them. */
export interface ArchivedRange {
  readonly topic: Topic;
  readonly sensors: 'all' | readonly SensorId[];
  /** ms since 1970; whole files are read that have bytes of that time. */
  readonly from: number;
  readonly to: number;
  /** The announcement to go on with, and how many items of its file are not wanted. */
  readonly start: Position;
  /** Where the journal's part begins, and its time. */
  readonly journal: { readonly sequence: number; readonly time: number };
}

/** Reads items of finished files, the oldest announcement first; a place is an announcement and a number of items. */
export type ArchivedItemReader = (range: ArchivedRange) => AsyncGenerator<ReplayBatch, void>;

/** One queue, as its consumers see it. All items are bytes. */
export interface Queue {
  readonly uuid: string;
  readonly topic: string;
  readonly length: number;
  info(): QueueInfo;
  /**
   * Takes up to `count` of the oldest items. Answers at once where the items are in memory, else through a promise;
   * calls are served in order. What is returned, if there are any, is kept for a crash until `letGo` is told of it.
   * @param mostBytes no more are taken once they are so many bytes
   */
  pop(count: number, mostBytes?: number): Buffer[] | Promise<Buffer[]>;
  /** As `pop`, but at least one if there is one, and as they lie in the journal where they can be had so. */
  popRuns(count: number, mostBytes: number): ItemRuns | Promise<ItemRuns>;
  /** As after `pop`: what of that is handed on by itself is kept by itself. */
  keep(taken: Taken): void;
  /** What was kept is with the consumer's system, or was given back: a crash does not bring it again. */
  letGo(taken: Taken): void;
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
  /**
   * Moves the cursor to the watermark; the items are counted as flushed, those in consumers' hands as well, and replays
   * end. @returns how many they were
   */
  flush(): number;
  /**
   * Hands out up to `count` of the oldest items until they are acknowledged; fewer where there are no more, or where
   * 10,000 items or 8 MiB are in consumers' hands (rule 26).
   * @param ms after which those that are not acknowledged are delivered again
   * @throws {D4Error} D4_TOO_MANY_CLAIMED where items wait but none can be handed out
   */
  claim(count: number, ms: number): Promise<ClaimedItem[]>;
  /** Whether an item is in the hands of who got it under this id. */
  isClaimed(id: string): boolean;
  /** Items are dealt with: they count as taken. Listeners of `onItems` are called. */
  acknowledge(ids: readonly string[]): Settled;
  /** Items are to be delivered again, at once. Listeners of `onItems` are called. */
  release(ids: readonly string[]): Settled;
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
  /**
   * Moves a queue's position back to the first record at or after a time (ms since 1970), as far as the journal reaches:
   * what came from then on comes again. Nothing happens where the position is before that.
   * @returns undefined where there is no such queue
   */
  rewind(uuid: string, from: number, actor: Actor): Promise<Rewound | undefined>;
  /**
   * Puts a part of the past of any type into a queue, beside what comes (rule 47).
   * @returns undefined where there is no such queue
   * @throws {D4Error} D4_TYPE_NOT_ACCEPTED, D4_BAD_GROUP, D4_BAD_REQUEST, D4_QUEUE_FULL
   */
  replay(uuid: string, wish: ReplayWish, actor: Actor): Promise<ReplayState | undefined>;
  /** Ends a replay. @returns undefined where there is no such replay @throws {D4Error} D4_CONFLICT where it is over already */
  cancelReplay(uuid: string, id: string, actor: Actor): Promise<ReplayState | undefined>;
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
