import { randomUUID } from 'node:crypto';
import { D4Error, parseSensorId, type SensorId } from '@d4ts/protocol';
import { ItemRuns } from '../item-runs.ts';
import type {
  NewQueue,
  Queue,
  QueueAccess,
  QueueInfo,
  QueuePlace,
  Queues,
  Settled,
  UnknownQueueConsumer,
} from '../port.ts';

/** How a queue for tests answers `pop`: at once, or through a promise as one whose items lie on disk. */
export type PopMode = 'at once' | 'later';

/** For tests: a queue in memory that is filled by `add`. */
export class MemoryQueue implements Queue {
  readonly uuid: string;
  readonly topic: string;
  /** How it was asked for. */
  wanted: NewQueue | undefined;
  /** Its credential, if it has one. */
  access: { readonly secret: string; readonly push: boolean } | undefined;
  /** How the next pops are answered. */
  mode: PopMode;
  /** The next pop fails with this, once. */
  failure: Error | undefined;
  readonly #items: Buffer[] = [];
  readonly #listeners = new Set<() => void>();
  #pops: Promise<unknown> = Promise.resolve();
  #taken = 0;
  #flushed = 0;

  constructor(topic: string, uuid: string, mode: PopMode) {
    this.topic = topic;
    this.uuid = uuid;
    this.mode = mode;
  }

  get length(): number {
    return this.#items.length;
  }

  /** Listeners that are subscribed. */
  get listeners(): number {
    return this.#listeners.size;
  }

  /** Items come in, as from sensors. */
  add(...items: (string | Buffer)[]): void {
    for (const item of items) this.#items.push(typeof item === 'string' ? Buffer.from(item) : item);
    this.#notify();
  }

  info(): QueueInfo {
    return {
      uuid: this.uuid,
      topic: this.topic,
      description: '',
      limit: 100_000_000,
      group: 'all',
      revision: 1,
      ...(this.access !== undefined && { credential: { push: this.access.push, createdAt: 0 } }),
      length: this.length,
      taken: this.#taken,
      dropped: 0,
      flushed: this.#flushed,
      claimed: 0,
      rewound: 0,
      replayed: 0,
      replays: [],
      createdAt: 0,
    };
  }

  pop(count: number): Buffer[] | Promise<Buffer[]> {
    if (this.mode === 'at once') return this.#take(count);
    const popped = this.#pops.then(() => this.#take(count));
    this.#pops = popped.catch(() => {});
    return popped;
  }

  popRuns(count: number): ItemRuns | Promise<ItemRuns> {
    const popped = this.pop(count);
    return popped instanceof Promise ? popped.then(ItemRuns.of) : ItemRuns.of(popped);
  }

  keep(): void {}

  letGo(): void {}

  giveBack(items: readonly Buffer[]): number {
    for (const item of items) this.#items.unshift(item);
    this.#notify();
    return this.length;
  }

  push(items: readonly Buffer[]): number {
    this.add(...items);
    return this.length;
  }

  async range(start: number, stop: number): Promise<Buffer[]> {
    const newestFirst = this.#items.toReversed();
    const from = Math.max(start < 0 ? newestFirst.length + start : start, 0);
    return newestFirst.slice(from, (stop < 0 ? newestFirst.length + stop : stop) + 1);
  }

  async peek(count: number): Promise<Buffer[]> {
    return this.#items.slice(0, count);
  }

  flush(): number {
    const flushed = this.#items.splice(0).length;
    this.#flushed += flushed;
    return flushed;
  }

  claim(): Promise<[]> {
    return Promise.reject(new Error('not here'));
  }

  isClaimed(): boolean {
    return false;
  }

  acknowledge(ids: readonly string[]): Settled {
    return { settled: 0, unknown: ids };
  }

  release(ids: readonly string[]): Settled {
    return { settled: 0, unknown: ids };
  }

  onItems(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #take(count: number): Buffer[] {
    const failure = this.failure;
    this.failure = undefined;
    if (failure !== undefined) throw failure;
    const taken = this.#items.splice(0, count);
    this.#taken += taken.length;
    return taken;
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

/** For tests: queues in memory. */
export class MemoryQueues implements Queues {
  mode: PopMode = 'at once';
  readonly #queues = new Map<string, MemoryQueue>();
  readonly #listeners = new Set<() => void>();
  readonly #unknown = new Map<string, UnknownQueueConsumer>();

  list(): QueueInfo[] {
    return [...this.#queues.values()].map((queue) => queue.info());
  }

  get(uuid: string): MemoryQueue | undefined {
    return this.#queues.get(uuid);
  }

  async add(options: NewQueue): Promise<MemoryQueue> {
    const queue = this.make(options.topic, options.uuid);
    queue.wanted = options;
    return queue;
  }

  /** As `add`, at once. */
  make(topic: string, wanted?: string): MemoryQueue {
    const uuid = parseSensorId(wanted ?? randomUUID());
    if (this.#queues.has(uuid)) throw new D4Error('D4_CONFLICT', `the queue ${uuid} exists`);
    const queue = new MemoryQueue(topic, uuid, this.mode);
    this.#queues.set(uuid, queue);
    this.#notify();
    return queue;
  }

  /** Nothing of a queue in memory can be changed. */
  async edit(uuid: string): Promise<MemoryQueue | undefined> {
    return this.get(uuid);
  }

  async issueCredential(uuid: string, { push }: { push: boolean }): Promise<string | undefined> {
    const queue = this.#queues.get(uuid);
    if (queue === undefined) return undefined;
    queue.access = { secret: randomUUID(), push };
    this.#notify();
    return queue.access.secret;
  }

  async revokeCredential(uuid: string): Promise<boolean | undefined> {
    const queue = this.#queues.get(uuid);
    if (queue === undefined) return undefined;
    const had = queue.access !== undefined;
    queue.access = undefined;
    this.#notify();
    return had;
  }

  /** Nothing of a queue in memory comes again. */
  async rewind(): Promise<undefined> {}
  async replay(): Promise<undefined> {}
  async cancelReplay(): Promise<undefined> {}

  async places(): Promise<QueuePlace[]> {
    return [];
  }

  async giveUpBefore(): Promise<ReadonlyMap<SensorId, number>> {
    return new Map();
  }

  forgetBlocks(): void {}

  accessBy(secret: string, uuid?: string): QueueAccess | undefined {
    for (const queue of this.#queues.values()) {
      const { access } = queue;
      if (access?.secret !== secret || (uuid !== undefined && uuid !== queue.uuid)) continue;
      return { queue: queue.uuid, push: access.push, isCurrent: () => this.get(queue.uuid)?.access === access };
    }
    return undefined;
  }

  async remove(uuid: string): Promise<boolean> {
    const removed = this.#queues.delete(uuid);
    this.#notify();
    return removed;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  unknown(key: string, address: string): void {
    const name = `${key} ${address}`;
    this.#unknown.set(name, { key, address, count: (this.#unknown.get(name)?.count ?? 0) + 1, lastAt: Date.now() });
  }

  unknownConsumers(): UnknownQueueConsumer[] {
    return [...this.#unknown.values()];
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
