import { randomUUID } from 'node:crypto';
import { D4Error, sensorIdFrom, WIRE_TYPE } from '@d4ts/protocol';
import type { Logger } from 'pino';
import type { Format } from '../formats/port.ts';
import type { Journal, Position, Topic } from '../journal/port.ts';
import type { Actor, CursorState, QueueDefinition, Registry } from '../registry/port.ts';
import { JournalQueue } from './journal-queue.ts';
import type { Queue, QueueInfo, Queues, UnknownQueueConsumer } from './port.ts';

/** A queue drops its oldest items beyond this many, unless it has a limit of its own (docs/journal.md, rule 23). */
const DEFAULT_QUEUE_LIMIT = 100_000_000;
/** Cursors are saved at most this long after a change, saving included less than 200 ms (rule 25). */
const SAVE_MS = 100;
/** Blocks of queues that nobody reads are let go after this. */
const RELEASE_MS = 30_000;
const MAX_UNKNOWN_CONSUMERS = 1000;

/** Opens all queues of the registry over the journal, at the positions that were saved. */
export async function openQueues(options: {
  registry: Registry;
  journal: Journal;
  formats: (topic: Topic) => Format;
  log: Logger;
}): Promise<Queues & { close(): Promise<void> }> {
  const queues = new JournalQueues(options);
  await queues.open();
  return queues;
}

/** For the journal: a sequence above all that cursors have recorded, by topic (rule 12). */
export function recordedSequences(registry: Registry): (topic: Topic) => number {
  const highest = new Map<Topic, number>();
  for (const [uuid, cursor] of registry.loadCursors()) {
    const topic = registry.queues.get(uuid)?.value.topic;
    if (topic !== undefined) highest.set(topic, Math.max(highest.get(topic) ?? 1, cursor.sequence));
  }
  return (topic) => highest.get(topic) ?? 1;
}

class JournalQueues implements Queues {
  readonly #registry: Registry;
  readonly #journal: Journal;
  readonly #formats: (topic: Topic) => Format;
  readonly #log: Logger;
  readonly #queues = new Map<string, JournalQueue>();
  readonly #unsaved = new Set<JournalQueue>();
  readonly #listeners = new Set<() => void>();
  readonly #unknown = new Map<string, UnknownQueueConsumer>();
  readonly #stopWatching: () => void;
  readonly #releaseTimer: NodeJS.Timeout;
  #active = new Set<JournalQueue>();
  #saveTimer: NodeJS.Timeout | undefined;
  #saving: Promise<void> = Promise.resolve();

  constructor(options: { registry: Registry; journal: Journal; formats: (topic: Topic) => Format; log: Logger }) {
    this.#registry = options.registry;
    this.#journal = options.journal;
    this.#formats = options.formats;
    this.#log = options.log;
    this.#stopWatching = this.#registry.queues.watch(({ key, after }) => {
      if (after !== undefined) this.#queues.get(key)?.redefine(after);
    });
    this.#releaseTimer = setInterval(() => this.#releaseIdle(), RELEASE_MS).unref();
  }

  async open(): Promise<void> {
    const cursors = this.#registry.loadCursors();
    for (const [uuid, { value }] of this.#registry.queues.entries()) {
      await this.#openQueue(value, cursors.get(uuid));
    }
  }

  list(): QueueInfo[] {
    return [...this.#queues.values()].map((queue) => queue.info());
  }

  get(uuid: string): Queue | undefined {
    return this.#queues.get(uuid);
  }

  async add(
    options: { topic: string; uuid?: string; description?: string; limit?: number; from?: number },
    actor: Actor,
  ): Promise<Queue> {
    const topic = this.#acceptedTopic(options.topic);
    const uuid = options.uuid === undefined ? randomUUID() : sensorIdFrom(options.uuid);
    if (uuid === undefined) throw new D4Error('D4_BAD_UUID', `"${options.uuid}" is not a UUID`);
    // Before its cursor is saved: that of another queue must not be touched.
    if (this.#registry.queues.get(uuid) !== undefined) {
      throw new D4Error('D4_CONFLICT', `there is a queue ${uuid} already`);
    }
    const log = await this.#journal.open(topic);
    const end: Position = { sequence: log.endSequence, record: 0 };
    const position = options.from === undefined ? end : await log.positionAt(options.from);
    const definition: QueueDefinition = {
      uuid,
      topic,
      description: options.description ?? '',
      limit: options.limit ?? DEFAULT_QUEUE_LIMIT,
      filters: [{ from: position.sequence, sensors: 'all' }],
      createdAt: Date.now(),
    };
    const cursor: CursorState = { ...position, taken: 0, dropped: 0, flushed: 0, givenBack: [] };
    await this.#registry.saveCursors(new Map([[uuid, cursor]]));
    await this.#registry.queues.put(uuid, definition, actor, 0);
    const queue = await this.#openQueue(definition, cursor);
    this.#announce();
    return queue;
  }

  async remove(uuid: string, actor: Actor): Promise<boolean> {
    const removed = await this.#registry.queues.remove(uuid, actor);
    const queue = this.#queues.get(uuid);
    if (queue !== undefined) {
      queue.close();
      this.#queues.delete(uuid);
      this.#unsaved.delete(queue);
      this.#active.delete(queue);
      await this.#saving;
      await this.#registry.removeCursor(uuid);
      this.#announce();
    }
    return removed;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  unknown(key: string, address: string): void {
    const id = `${address} ${key}`;
    const count = (this.#unknown.get(id)?.count ?? 0) + 1;
    if (count === 1) this.#log.warn({ key, address }, 'a consumer asks for a queue that does not exist');
    this.#unknown.delete(id);
    this.#unknown.set(id, { key, address, count, lastAt: Date.now() });
    if (this.#unknown.size <= MAX_UNKNOWN_CONSUMERS) return;
    const [oldest] = this.#unknown.keys();
    if (oldest !== undefined) this.#unknown.delete(oldest);
  }

  unknownConsumers(): UnknownQueueConsumer[] {
    return [...this.#unknown.values()].reverse();
  }

  /** Saves all positions. Call after the consumers' sockets are closed. */
  async close(): Promise<void> {
    clearInterval(this.#releaseTimer);
    clearTimeout(this.#saveTimer);
    this.#stopWatching();
    for (const queue of this.#queues.values()) queue.close();
    await this.#saving;
    await this.#save();
  }

  #acceptedTopic(name: string): Topic {
    if (name === String(WIRE_TYPE.declared) || name === String(WIRE_TYPE.metaHeader)) {
      const message = `a queue of type ${name} would stay empty: name the meta type instead, e.g. maltrail`;
      throw new D4Error('D4_TYPE_NOT_ACCEPTED', message);
    }
    for (const [topic] of this.#registry.types.entries()) {
      if (topic.toLowerCase() === name.toLowerCase()) return topic;
    }
    throw new D4Error(
      'D4_TYPE_NOT_ACCEPTED',
      `type "${name}" is not accepted: accept it first with "d4 type add ${name}"`,
    );
  }

  async #openQueue(definition: QueueDefinition, saved: CursorState | undefined): Promise<JournalQueue> {
    const log = await this.#journal.open(definition.topic);
    const end: CursorState = { sequence: log.endSequence, record: 0, taken: 0, dropped: 0, flushed: 0, givenBack: [] };
    const cursor = saved ?? end;
    const ordinal = await log.ordinalOf(cursor);
    const queue: JournalQueue = new JournalQueue(definition, {
      log,
      format: this.#formats(definition.topic),
      cursor,
      ordinal,
      changed: () => this.#changed(queue),
    });
    this.#queues.set(definition.uuid, queue);
    queue.redefine(definition);
    return queue;
  }

  #changed(queue: JournalQueue): void {
    this.#active.add(queue);
    this.#unsaved.add(queue);
    this.#saveTimer ??= setTimeout(() => {
      this.#saveTimer = undefined;
      this.#saving = this.#saving.then(() => this.#save());
    }, SAVE_MS);
  }

  async #save(): Promise<void> {
    const queues = [...this.#unsaved];
    this.#unsaved.clear();
    if (queues.length === 0) return;
    try {
      const states = new Map<string, CursorState>();
      for (const queue of queues) states.set(queue.uuid, await queue.cursor());
      await this.#registry.saveCursors(states);
    } catch (error) {
      this.#log.error({ err: error }, 'cannot save the positions of queues: trying again');
      for (const queue of queues) {
        if (this.#queues.get(queue.uuid) === queue) this.#changed(queue);
      }
    }
  }

  #releaseIdle(): void {
    const active = this.#active;
    this.#active = new Set();
    for (const queue of this.#queues.values()) {
      if (!active.has(queue)) queue.release();
    }
  }

  #announce(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
