import type { SensorId } from '@d4ts/protocol';
import type { Position, StreamDefinition, Topic } from '../journal/port.ts';
import type { Outstanding, RecordBatch, RecordSource } from './port.ts';
import { RecordLines } from './record-lines.ts';

/** Records taken at a time at the most. */
const MAX_TAKE = 100_000;
const MAX_OUTSTANDING: Outstanding = { records: 200_000, bytes: 32 * 1024 * 1024 };

/** A place in the items of a topic of the journal, as the queues read them. */
export interface JournalItems {
  readonly waiting: number;
  take(count: number): Promise<{
    /** Records one behind the other, with a newline behind each and none in them; then there are no `items`. */
    readonly run?: { readonly bytes: Buffer; readonly count: number; readonly stream: StreamDefinition };
    readonly items: readonly Buffer[];
    readonly streams: readonly StreamDefinition[];
    readonly position: Position;
    readonly lost: number;
  }>;
  position(): Promise<Position>;
  release(): void;
  onCommit(listener: () => void): () => void;
  close(): void;
}

/** Opens places in the journal. The composition root gives the queues' own. */
export interface OpenJournalItems {
  sourceOf(topic: Topic): Topic;
  start(topic: Topic, from?: number): Promise<Position>;
  open(topic: Topic, sensors: 'all' | readonly SensorId[], from: Position): Promise<JournalItems>;
}

/** What a source was made from: enough to open it again. */
interface Place {
  readonly topic: Topic;
  readonly sensors: 'all' | readonly SensorId[];
}

/** The records of a topic from a cursor on, which moves when they are delivered. */
export class JournalSource implements RecordSource {
  readonly name: string;
  readonly maxOutstanding = MAX_OUTSTANDING;
  readonly #items: JournalItems;
  readonly #journal: OpenJournalItems;
  readonly #place: Place;
  readonly #onMoved: (lost: number) => void;
  /** Behind the last record of each batch: how many were taken then, and the position. */
  #checkpoints: { readonly taken: number; readonly position: Position }[] = [];
  #taken = 0;
  #delivered = 0;
  /** How many were delivered at `#position`, which is saved. */
  #settled = 0;
  #position: Position;
  #closed = false;

  private constructor(
    items: JournalItems,
    journal: OpenJournalItems,
    place: Place,
    from: Position,
    onMoved: (lost: number) => void,
  ) {
    this.#items = items;
    this.#journal = journal;
    this.#place = place;
    this.#position = from;
    this.#onMoved = onMoved;
    this.name = `the records of type ${place.topic}`;
  }

  /** @param onMoved called when the position has moved, or records were lost (how many) */
  static async open(
    journal: OpenJournalItems,
    place: Place,
    from: Position,
    onMoved: (lost: number) => void,
  ): Promise<JournalSource> {
    const items = await journal.open(place.topic, place.sensors, from);
    return new JournalSource(items, journal, place, from, onMoved);
  }

  /** Records that are not delivered. */
  get lag(): number {
    return this.#items.waiting + this.#taken - this.#delivered;
  }

  /** What the next start begins with: behind what is delivered, to the batch. */
  async position(): Promise<Position> {
    // One that has delivered everything moves on with the end, so that it does not hold what others have sent.
    if (!this.#closed && this.lag === 0) return this.#items.position();
    return this.#position;
  }

  async take(signal: AbortSignal): Promise<RecordBatch> {
    while (!signal.aborted) {
      const committed = this.#commit(signal);
      try {
        const { run, items, streams, position, lost } = await this.#items.take(MAX_TAKE);
        if (lost > 0) this.#onMoved(lost);
        const count = run?.count ?? items.length;
        if (count > 0) {
          this.#taken += count;
          this.#checkpoints.push({ taken: this.#taken, position });
          if (run === undefined) return { records: items, streams };
          return new RecordLines(run.bytes, run.count, undefined, run.stream);
        }
        await committed.promise;
      } finally {
        committed.stop();
      }
    }
    return { records: [] };
  }

  delivered(count: number): void {
    this.#delivered += count;
    let passed = 0;
    while ((this.#checkpoints[passed]?.taken ?? Number.POSITIVE_INFINITY) <= this.#delivered) passed++;
    const last = this.#checkpoints[passed - 1];
    if (last !== undefined) {
      this.#position = last.position;
      this.#settled = last.taken;
      this.#checkpoints.splice(0, passed);
    }
    this.#onMoved(0);
  }

  async waiting(): Promise<number> {
    return this.#items.waiting;
  }

  release(): void {
    this.#items.release();
  }

  async close(): Promise<void> {
    await this.#settle();
    this.#position = await this.position();
    this.#closed = true;
    this.#items.close();
    this.#onMoved(0);
  }

  /** Finds the position behind the last delivered record, within the batch that it was in. */
  async #settle(): Promise<void> {
    const more = this.#delivered - this.#settled;
    if (more === 0) return;
    const items = await this.#journal.open(this.#place.topic, this.#place.sensors, this.#position);
    try {
      for (let left = more; left > 0; ) {
        const taken = await items.take(left);
        const count = taken.run?.count ?? taken.items.length;
        if (count === 0) break;
        left -= count;
        this.#position = taken.position;
      }
      this.#settled = this.#delivered;
    } finally {
      items.close();
    }
  }

  /** Resolved after the next commit, or with the signal. */
  #commit(signal: AbortSignal): { readonly promise: Promise<void>; stop(): void } {
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = () => resolve();
    const stopListening = this.#items.onCommit(wake);
    signal.addEventListener('abort', wake, { once: true });
    if (signal.aborted) wake();
    const stop = () => {
      stopListening();
      signal.removeEventListener('abort', wake);
    };
    return { promise, stop };
  }
}
