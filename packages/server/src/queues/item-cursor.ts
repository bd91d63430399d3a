import type { SensorId } from '@d4ts/protocol';
import type { Format } from '../formats/port.ts';
import type { Journal, Position, StreamDefinition, Topic, TopicLog } from '../journal/port.ts';
import type { Registry } from '../registry/port.ts';
import { ItemReader } from './item-reader.ts';
import type { ItemRun } from './item-runs.ts';
import { type ItemSource, openSource } from './item-source.ts';
import { isRemoved, sourceTopic } from './queues.ts';

/** Items are taken one by one at the most so many together. */
const MOST_SINGLE = 500;

/** Items, the streams that they came in, and the position behind them: as they lie in the journal, or one by one. */
export interface TakenItems {
  readonly run?: ItemRun & { readonly stream: StreamDefinition };
  readonly items: readonly Buffer[];
  readonly streams: readonly StreamDefinition[];
  readonly position: Position;
  /** Items before them that could not be read: damaged, erased, or no longer held. */
  readonly lost: number;
}

/** Opens places in the items of topics, of all sensors or of some. */
export class ItemCursors {
  readonly #registry: Registry;
  readonly #journal: Journal;
  readonly #formats: (topic: Topic) => Format;

  constructor(parts: { registry: Registry; journal: Journal; formats: (topic: Topic) => Format }) {
    this.#registry = parts.registry;
    this.#journal = parts.journal;
    this.#formats = parts.formats;
  }

  /** The topic of the journal that holds a type's items: `3`, or for paths `files/1`. */
  sourceOf(topic: Topic): Topic {
    return sourceTopic(topic, this.#formats(topic));
  }

  /** Where items begin: at the watermark, or with the first at or after a time (ms since 1970). */
  async start(topic: Topic, from?: number): Promise<Position> {
    const log = await this.#journal.open(this.sourceOf(topic));
    return from === undefined ? { sequence: log.endSequence, record: 0 } : log.positionAt(from);
  }

  /** @param from undefined for the watermark */
  async open(topic: Topic, sensors: 'all' | readonly SensorId[], from: Position): Promise<ItemCursor> {
    const log = await this.#journal.open(this.sourceOf(topic));
    const source = await openSource(log, [{ from: 1, sensors }], from);
    try {
      const start = { position: from, ordinal: await source.ordinalOf(from) };
      return new ItemCursor(log, source, this.#formats(topic), start, (entry) =>
        isRemoved(this.#registry, topic, entry),
      );
    } catch (error) {
      source.close();
      throw error;
    }
  }
}

/** A place in the items of a topic that moves on as they are taken. It follows the commits until it is closed. */
export class ItemCursor {
  readonly #log: TopicLog;
  readonly #source: ItemSource;
  readonly #reader: ItemReader;
  #streams: StreamDefinition[] = [];

  constructor(
    log: TopicLog,
    source: ItemSource,
    format: Format,
    start: { position: Position; ordinal: number },
    isGone: ConstructorParameters<typeof ItemReader>[4],
  ) {
    this.#log = log;
    this.#source = source;
    const onTaken = (_sensor: SensorId, items: number, stream: StreamDefinition) => {
      for (let i = 0; i < items; i++) this.#streams.push(stream);
    };
    this.#reader = new ItemReader(source, format, start, onTaken, isGone);
  }

  /** Items that are committed and were not taken. */
  get waiting(): number {
    return Math.max(0, this.#source.endOrdinal - this.#reader.ordinal);
  }

  /** Takes up to `count` items; none where none are committed. */
  async take(count: number): Promise<TakenItems> {
    const items: Buffer[] = [];
    let run = this.#take(count, items);
    while (run === undefined && items.length === 0 && this.#reader.behind) {
      await this.#reader.load();
      run = this.#take(count, items);
    }
    const lost = this.#reader.takeLost();
    return { ...(run && { run }), items, streams: this.#streams, position: await this.position(), lost };
  }

  #take(count: number, items: Buffer[]): TakenItems['run'] {
    const run = this.#reader.takeRun(count);
    this.#streams = [];
    if (run === undefined) this.#reader.take(Math.min(count, MOST_SINGLE), items);
    return run;
  }

  /** Where the next item is. One that has taken everything moves on with the end. */
  position(): Promise<Position> {
    if (this.#reader.behind) return this.#reader.position();
    return Promise.resolve({ sequence: this.#source.endSequence, record: 0 });
  }

  /** Lets go of what is in memory; it is read again when needed. */
  release(): void {
    this.#reader.release();
  }

  /** Calls `listener` after each commit. @returns how to stop that */
  onCommit(listener: () => void): () => void {
    return this.#log.onCommit(listener);
  }

  close(): void {
    this.#source.close();
  }
}
