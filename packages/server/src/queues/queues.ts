import { randomUUID, timingSafeEqual } from 'node:crypto';
import { D4Error, type SensorId, sensorIdFrom, WIRE_TYPE } from '@d4ts/protocol';
import type { Logger } from 'pino';
import type { Format } from '../formats/port.ts';
import { ENTRY_KIND, type Entry, type Journal, type Position, type Topic, type TopicLog } from '../journal/port.ts';
import type { Actor, CursorState, QueueDefinition, Registry, ReplayState, Versioned } from '../registry/port.ts';
import { newToken, tokenHash } from '../registry/tokens.ts';
import { JournalQueue } from './journal-queue.ts';
import type {
  ArchivedItemReader,
  NewQueue,
  Queue,
  QueueAccess,
  QueueChange,
  QueueInfo,
  QueuePlace,
  Queues,
  ReplayWish,
  Rewound,
  UnknownQueueConsumer,
} from './port.ts';
import { readReplay } from './replay-reader.ts';
import type { ReplayBatch } from './replays.ts';

/** A queue drops its oldest items beyond this many, unless it has a limit of its own (docs/journal.md, rule 23). */
const DEFAULT_QUEUE_LIMIT = 100_000_000;
/** Cursors are saved at most this long after a change, saving included less than 200 ms (rule 25). */
const SAVE_MS = 100;
/** While more than this is on its way to consumers, in bytes, a queue's older state stays: theirs would be written again and again. */
const MAX_KEPT_BYTES = 8 * 1024 * 1024;
/** Blocks of queues that nobody reads are let go after this. */
const RELEASE_MS = 30_000;
const MAX_UNKNOWN_CONSUMERS = 1000;
/** A change is tried again so often where others change the same queue. */
const ATTEMPTS = 5;

/** What queues need of the rest of the server. */
interface QueuesOptions {
  readonly registry: Registry;
  readonly journal: Journal;
  readonly formats: (topic: Topic) => Format;
  readonly log: Logger;
  /** Told of the items of sensors that consumers have taken out of any queue of a topic. */
  readonly onTaken?: (sensor: SensorId, topic: Topic, items: number) => void;
  /** For replays of what the journal does not have any more; without it they have the journal alone. */
  readonly archived?: ArchivedItemReader;
}

/** Opens all queues of the registry over the journal, at the positions that were saved. */
export async function openQueues(options: QueuesOptions): Promise<Queues & { close(): Promise<void> }> {
  const queues = new JournalQueues(options);
  await queues.open();
  return queues;
}

/** For the journal: a sequence above all that cursors, pushed items and filters have recorded, by topic (rule 12). */
export function recordedSequences(registry: Registry, formats: (topic: Topic) => Format): (topic: Topic) => number {
  const highest = new Map<Topic, number>();
  const cursors = registry.loadCursors();
  for (const [uuid, { value }] of registry.queues.entries()) {
    const topic = sourceTopic(value.topic, formats(value.topic));
    const { sequence = 1, record = 0, side = [] } = cursors.get(uuid) ?? {};
    // An entry of which items were taken must not come again under its sequence.
    const cursor = record > 0 ? sequence + 1 : sequence;
    const recorded = [cursor, side.at(-1)?.sequence ?? 1, value.filters.at(-1)?.from ?? 1];
    highest.set(topic, Math.max(highest.get(topic) ?? 1, ...recorded));
    for (const { topic: replayed, journalTo } of cursors.get(uuid)?.replays ?? []) {
      const source = sourceTopic(replayed, formats(replayed));
      highest.set(source, Math.max(highest.get(source) ?? 1, journalTo));
    }
  }
  return (topic) => highest.get(topic) ?? 1;
}

/** Whether retention has removed the file of an announcement about a topic. */
export function isRemoved(registry: Registry, topic: Topic, { kind, sequence, stream }: Entry): boolean {
  if (kind !== ENTRY_KIND.file) return false;
  return sequence < (registry.archive.holding(topic, stream.sensor)?.nextSequence ?? 0);
}

/** The topic that the items of a queue are read from (rule 19). */
export function sourceTopic(topic: Topic, format: Format): Topic {
  return format.items === 'files' ? `files/${topic}` : topic;
}

class JournalQueues implements Queues {
  readonly #registry: Registry;
  readonly #journal: Journal;
  readonly #formats: (topic: Topic) => Format;
  readonly #log: Logger;
  readonly #onTaken: QueuesOptions['onTaken'];
  readonly #archived: QueuesOptions['archived'];
  readonly #queues = new Map<string, JournalQueue>();
  readonly #unsaved = new Set<JournalQueue>();
  readonly #listeners = new Set<() => void>();
  readonly #unknown = new Map<string, UnknownQueueConsumer>();
  /** Changes that do not hold yet, by queue. */
  readonly #redefining = new Map<string, Promise<void>>();
  readonly #stopWatching: () => void;
  readonly #releaseTimer: NodeJS.Timeout;
  #active = new Set<JournalQueue>();
  #saveTimer: NodeJS.Timeout | undefined;
  #saving: Promise<void> = Promise.resolve();
  #saveFailed = false;

  constructor(options: QueuesOptions) {
    this.#onTaken = options.onTaken;
    this.#archived = options.archived;
    this.#registry = options.registry;
    this.#journal = options.journal;
    this.#formats = options.formats;
    this.#log = options.log;
    this.#stopWatching = this.#registry.queues.watch(({ key, after }) => {
      if (after !== undefined) this.#redefine(key, after);
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

  async add(options: NewQueue, actor: Actor): Promise<Queue> {
    const topic = this.#acceptedTopic(options.topic);
    const uuid = options.uuid === undefined ? randomUUID() : sensorIdFrom(options.uuid);
    if (uuid === undefined) throw new D4Error('D4_BAD_UUID', `"${options.uuid}" is not a UUID`);
    // Before its cursor is saved: that of another queue must not be touched.
    if (this.#registry.queues.get(uuid) !== undefined) {
      throw new D4Error('D4_CONFLICT', `there is a queue ${uuid} already`);
    }
    const sensors = options.group === undefined ? 'all' : groupOf(options.group);
    const log = await this.#journal.open(sourceTopic(topic, this.#formats(topic)));
    const end: Position = { sequence: log.endSequence, record: 0 };
    const position = options.from === undefined ? end : await log.positionAt(options.from);
    const definition: QueueDefinition = {
      uuid,
      topic,
      description: options.description ?? '',
      limit: options.limit ?? DEFAULT_QUEUE_LIMIT,
      filters: [{ from: position.sequence, sensors }],
      createdAt: Date.now(),
    };
    const cursor: CursorState = { ...position, taken: 0, dropped: 0, flushed: 0, givenBack: [] };
    await this.#registry.saveCursors(new Map([[uuid, cursor]]));
    await this.#registry.queues.put(uuid, definition, actor, 0);
    const queue = await this.#openQueue(definition, cursor);
    this.#announce();
    return queue;
  }

  async edit(uuid: string, change: QueueChange, actor: Actor, expectedRevision?: number): Promise<Queue | undefined> {
    const { description, limit, add = [], remove = [] } = change;
    const changed = await this.#change(
      uuid,
      (definition, queue) => {
        const sensors = changedGroup(definition, add, remove);
        return {
          ...definition,
          ...(description !== undefined && { description }),
          ...(limit !== undefined && { limit }),
          ...(sensors !== undefined && { filters: queue.filtersWith(sensors) }),
        };
      },
      actor,
      expectedRevision,
    );
    return changed && this.#queues.get(uuid);
  }

  async issueCredential(uuid: string, rights: { push: boolean }, actor: Actor): Promise<string | undefined> {
    const secret = newToken();
    const credential = { hash: tokenHash(secret), push: rights.push, createdAt: Date.now() };
    const changed = await this.#change(uuid, (definition) => ({ ...definition, credential }), actor);
    return changed && secret;
  }

  async revokeCredential(uuid: string, actor: Actor): Promise<boolean | undefined> {
    const current = this.#registry.queues.get(uuid);
    if (current?.value.credential === undefined) return current && false;
    const changed = await this.#change(uuid, ({ credential: _, ...definition }) => definition, actor);
    return changed && true;
  }

  accessBy(secret: string, uuid?: string): QueueAccess | undefined {
    const hash = Buffer.from(tokenHash(secret));
    let found: QueueAccess | undefined;
    for (const [queue, { value }] of this.#registry.queues.entries()) {
      const known = value.credential;
      if (known === undefined || (uuid !== undefined && uuid !== queue)) continue;
      if (!timingSafeEqual(hash, Buffer.from(known.hash))) continue;
      const isCurrent = () => this.#registry.queues.get(queue)?.value.credential?.hash === known.hash;
      found = { queue, push: known.push, isCurrent };
    }
    return found;
  }

  async rewind(uuid: string, from: number, actor: Actor): Promise<Rewound | undefined> {
    const definition = this.#registry.queues.get(uuid)?.value;
    if (definition === undefined || this.#queues.get(uuid) === undefined) return undefined;
    const log = await this.#journal.open(sourceTopic(definition.topic, this.#formats(definition.topic)));
    const place = await log.positionAt(from);
    const began = await firstTime(log);
    if (place.sequence < (definition.filters[0]?.from ?? 0)) {
      // What came before the queue was made is let in by the group that it was made with.
      const earlier = ({ filters: [first, ...rest], ...others }: QueueDefinition): QueueDefinition => ({
        ...others,
        filters: first === undefined ? rest : [{ ...first, from: Math.min(first.from, place.sequence) }, ...rest],
      });
      await this.#change(uuid, earlier, actor);
    }
    const queue = this.#queues.get(uuid);
    if (queue === undefined) return undefined;
    const items = await queue.rewindTo(place);
    const complete = log.firstSequence === 1 || (began !== undefined && from >= began);
    const rewound = { items, from: complete ? from : (began ?? Date.now()), complete };
    await this.#registry.audit.record({
      kind: 'queue-rewound',
      key: uuid,
      actor,
      details: { wanted: from, ...rewound },
    });
    return rewound;
  }

  async replay(uuid: string, wish: ReplayWish, actor: Actor): Promise<ReplayState | undefined> {
    const queue = this.#queues.get(uuid);
    if (queue === undefined) return undefined;
    const topic = wish.topic === undefined ? queue.topic : this.#acceptedTopic(wish.topic);
    const startedAt = Date.now();
    const { from, to = startedAt } = wish;
    if (from >= to) {
      throw new D4Error('D4_BAD_REQUEST', 'nothing lies between these times: the first has to be the earlier one');
    }
    const own = topic === queue.topic ? queue.info().group : 'all';
    const sensors = wish.sensors === undefined ? own : groupOf(wish.sensors);
    const format = this.#formats(topic);
    const log = await this.#journal.open(sourceTopic(topic, format));
    const began = await firstTime(log);
    const start = await log.positionAt(from);
    const journalTo = (await log.positionAt(to)).sequence;
    const journalFrom = Math.min(start.sequence, journalTo);
    const counts = await log.itemsBetween({ sequence: journalFrom, record: 0 }, journalTo);
    let journalItems = 0;
    for (const [sensor, items] of counts) if (sensors === 'all' || sensors.includes(sensor)) journalItems += items;
    // Paths are announced in the journal, which has them as long as there are the files.
    const isOlder = log.firstSequence > 1 && (began === undefined || from < began) && format.items === 'records';
    const fromArchive = isOlder && this.#archived !== undefined;
    const replay = queue.replay({
      topic,
      sensors,
      from,
      to,
      startedAt,
      source: fromArchive ? 'archive' : 'journal',
      sequence: fromArchive ? 0 : journalFrom,
      record: 0,
      journalFrom,
      journalTo,
      journalItems,
      journalTime: began ?? startedAt,
    });
    // Who was told of a replay finds it after a crash.
    this.#unsaved.add(queue);
    this.#saving = this.#saving.then(() => this.#save());
    await this.#saving;
    const details = { replay: replay.id, topic, sensors, from, to };
    await this.#registry.audit.record({ kind: 'replay-started', key: uuid, actor, details });
    return replay;
  }

  async cancelReplay(uuid: string, id: string, actor: Actor): Promise<ReplayState | undefined> {
    const cancelled = this.#queues.get(uuid)?.cancelReplay(id);
    if (cancelled === undefined) return undefined;
    await this.#registry.audit.record({ kind: 'replay-cancelled', key: uuid, actor, details: { replay: id } });
    return cancelled;
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

  async places(): Promise<QueuePlace[]> {
    // A queue that has nothing left moves with the end of its topic, unsaved.
    const moved = new Map<string, CursorState>();
    for (const queue of this.#queues.values()) {
      if (queue.keptBytes > MAX_KEPT_BYTES) continue;
      const state = await queue.cursor();
      if (state.sequence !== queue.savedSequence) moved.set(queue.uuid, state);
    }
    try {
      await this.#saving;
      await this.#registry.saveCursors(moved);
      for (const [uuid, state] of moved) this.#queues.get(uuid)?.saved(state);
    } catch (error) {
      this.#log.error({ err: error }, 'cannot save the positions of queues: nothing behind the saved ones is given up');
    }
    return [...this.#queues.values()].map(({ uuid, source, savedSequence: sequence }) => ({ uuid, source, sequence }));
  }

  async giveUpBefore(uuid: string, sequence: number): Promise<ReadonlyMap<SensorId, number>> {
    const queue = this.#queues.get(uuid);
    const given = (await queue?.giveUpBefore(sequence)) ?? new Map();
    if (queue !== undefined) {
      // Counted and saved before anything is removed (rule 18).
      await this.#saving;
      const state = await queue.cursor();
      await this.#registry.saveCursors(new Map([[uuid, state]]));
      queue.saved(state);
    }
    return given;
  }

  forgetBlocks(source: string): void {
    for (const queue of this.#queues.values()) if (queue.source === source) queue.forgetBlocks();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  unknown(key: string, address: string): void {
    const id = `${address} ${key}`;
    const count = (this.#unknown.get(id)?.count ?? 0) + 1;
    // The list is full of others: one more would be one of many, and lines are not to be had for the asking.
    if (count === 1 && this.#unknown.size < MAX_UNKNOWN_CONSUMERS)
      this.#log.warn({ key, address }, 'a consumer asks for a queue that does not exist');
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

  /** Changes a definition; made again on what somebody else left, unless a revision is insisted on. */
  async #change(
    uuid: string,
    change: (definition: QueueDefinition, queue: JournalQueue) => QueueDefinition,
    actor: Actor,
    expectedRevision?: number,
  ): Promise<Versioned<QueueDefinition> | undefined> {
    for (let attempt = 1; ; attempt++) {
      const current = this.#registry.queues.get(uuid);
      const queue = this.#queues.get(uuid);
      if (current === undefined || queue === undefined) return undefined;
      const revision = expectedRevision ?? current.revision;
      try {
        const changed = await this.#registry.queues.put(uuid, change(current.value, queue), actor, revision);
        await this.#redefining.get(uuid);
        return changed;
      } catch (error) {
        const conflict = error instanceof D4Error && error.code === 'D4_CONFLICT';
        if (!conflict || expectedRevision !== undefined || attempt === ATTEMPTS) throw error;
      }
    }
  }

  #redefine(uuid: string, definition: QueueDefinition): void {
    const queue = this.#queues.get(uuid);
    if (queue === undefined) return;
    const redefined = queue.redefine(definition).catch((error: unknown) => {
      this.#log.error({ err: error, queue: uuid }, 'the changed group of a queue cannot be read: restart the server');
    });
    this.#redefining.set(uuid, redefined);
    void redefined.then(() => {
      if (this.#redefining.get(uuid) === redefined) this.#redefining.delete(uuid);
    });
    this.#changed(queue);
    this.#announce();
  }

  async #openQueue(definition: QueueDefinition, saved: CursorState | undefined): Promise<JournalQueue> {
    const { uuid, topic } = definition;
    const format = this.#formats(topic);
    const log = await this.#journal.open(sourceTopic(topic, format));
    const end: CursorState = { sequence: log.endSequence, record: 0, taken: 0, dropped: 0, flushed: 0, givenBack: [] };
    let opened: JournalQueue | undefined;
    const tell = this.#onTaken;
    const readOn = (replay: ReplayState) => this.#readReplay(replay);
    const queue = await JournalQueue.open(definition, {
      ...(tell !== undefined && { onTaken: (sensor, items) => tell(sensor, topic, items) }),
      isGone: (entry) => isRemoved(this.#registry, topic, entry),
      readReplay: readOn,
      replayFailed: ({ id }, error) => {
        this.#log.error({ err: error, queue: uuid, replay: id }, 'a replay has failed: begin another one');
      },
      log,
      format,
      cursor: saved ?? end,
      changed: () => opened && this.#changed(opened),
      revision: () => this.#registry.queues.get(uuid)?.revision ?? 0,
    });
    opened = queue;
    this.#queues.set(uuid, queue);
    this.#changed(queue);
    return queue;
  }

  async *#readReplay(replay: ReplayState): AsyncGenerator<ReplayBatch, void> {
    const { topic } = replay;
    const format = this.#formats(topic);
    yield* readReplay(replay, {
      log: await this.#journal.open(sourceTopic(topic, format)),
      format,
      isGone: (entry) => isRemoved(this.#registry, topic, entry),
      archived: this.#archived,
    });
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
      for (const queue of queues) {
        if (queue.keptBytes > MAX_KEPT_BYTES) this.#changed(queue);
        else states.set(queue.uuid, await queue.cursor());
      }
      await this.#registry.saveCursors(states);
      for (const queue of queues) {
        const state = states.get(queue.uuid);
        if (state !== undefined) queue.saved(state);
      }
      if (this.#saveFailed) this.#log.info('the positions of queues are saved again');
      this.#saveFailed = false;
    } catch (error) {
      if (!this.#saveFailed) this.#log.error({ err: error }, 'cannot save the positions of queues: trying again');
      this.#saveFailed = true;
      for (const queue of queues) {
        if (this.#queues.get(queue.uuid) === queue) this.#changed(queue);
      }
    }
  }

  #releaseIdle(): void {
    const active = this.#active;
    this.#active = new Set();
    for (const queue of this.#queues.values()) {
      if (!active.has(queue)) queue.forgetBlocks();
    }
  }

  #announce(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

/** The time of the first entry that the journal has of a topic, ms since 1970. */
async function firstTime(log: TopicLog): Promise<number | undefined> {
  const [first] = await log.read(log.firstSequence, 1);
  return first?.time;
}

/** Sensors of a group: each once, in order. */
function groupOf(sensors: readonly SensorId[]): readonly SensorId[] {
  const group = [...new Set(sensors)].sort();
  if (group.length === 0) throw new D4Error('D4_BAD_GROUP', 'a group needs at least one sensor');
  return group;
}

/** @returns undefined where it stays as it is */
function changedGroup(
  { uuid, filters }: QueueDefinition,
  add: readonly SensorId[],
  remove: readonly SensorId[],
): readonly SensorId[] | undefined {
  if (add.length === 0 && remove.length === 0) return undefined;
  const current = filters.at(-1)?.sensors ?? 'all';
  if (current === 'all') {
    throw new D4Error('D4_BAD_GROUP', `queue ${uuid} takes the records of all sensors: make another one with a group`);
  }
  const group = groupOf([...current.filter((sensor) => !remove.includes(sensor)), ...add]);
  const same = group.length === current.length && group.every((sensor, i) => sensor === current[i]);
  return same ? undefined : group;
}
