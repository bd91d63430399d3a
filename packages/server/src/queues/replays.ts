import { randomUUID } from 'node:crypto';
import { D4Error } from '@d4ts/protocol';
import type { ReplayState } from '../registry/port.ts';

/** Items are read ahead of who takes them until there are so many; those of the last read come on top. */
const STAGED = 500;
/** Replays of one queue that are not over. */
const MAX_RUNNING = 16;
/** Those that are over are shown until others are. */
const MAX_OVER = 5;

/** An item on its way into a queue, and where it was read. */
export interface ReplayedItem {
  readonly item: Buffer;
  readonly sequence: number;
  readonly record: number;
}

/** Items in their order, and what was missing before them. */
export interface ReplayBatch {
  readonly source: ReplayState['source'];
  readonly items: readonly ReplayedItem[];
  readonly lost: number;
  readonly missingFiles: number;
}

/** What a replay needs of the queue that it belongs to. */
export interface ReplaysOptions {
  /** Reads on from where a replay stands. */
  readonly read: (replay: ReplayState) => AsyncGenerator<ReplayBatch, void>;
  /** How many items the queue can take before it drops some. */
  readonly room: () => number;
  /** Items have come. */
  readonly arrived: () => void;
  /** What `saved` returns has changed. */
  readonly changed: () => void;
  readonly failed: (replay: ReplayState, error: unknown) => void;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface StagedItem extends ReplayedItem {
  readonly replay: Mutable<ReplayState>;
  readonly source: ReplayState['source'];
  readonly lost: number;
  readonly missingFiles: number;
}

interface Feed {
  readonly replay: Mutable<ReplayState>;
  readonly batches: AsyncGenerator<ReplayBatch, void>;
  done: boolean;
}

/**
 * The replays of a queue, one after the other. Items are read some way ahead of who takes them and count as the queue's
 * from then on; a replay's place is that of the first item that nobody has taken, so a crash loses none (docs/journal.md,
 * rule 47).
 */
export class Replays {
  readonly #options: ReplaysOptions;
  readonly #replays: Mutable<ReplayState>[];
  /** They count as the queue's. */
  #staged: StagedItem[] = [];
  #stagedAt = 0;
  /** Read, but the queue has no room. */
  #fetched: StagedItem[] = [];
  #feed: Feed | undefined;
  #pumping = false;
  #closed = false;

  constructor(states: readonly ReplayState[], options: ReplaysOptions) {
    this.#replays = states.map((state) => ({ ...state }));
    this.#options = options;
  }

  /** Items that wait to be taken. */
  get staged(): number {
    return this.#staged.length - this.#stagedAt;
  }

  list(): readonly ReplayState[] {
    return this.#replays.map((replay) => ({ ...replay }));
  }

  /**
   * Begins a replay, behind those that are not over.
   * @throws {D4Error} D4_QUEUE_FULL where there are 16 of those
   */
  add(replay: Omit<ReplayState, 'id' | 'state' | 'delivered' | 'lost' | 'missingFiles' | 'journalDone'>): ReplayState {
    if (this.#replays.filter(({ state }) => state === 'running').length >= MAX_RUNNING) {
      throw new D4Error('D4_QUEUE_FULL', `${MAX_RUNNING} replays wait in this queue already: cancel one first`);
    }
    const begun: Mutable<ReplayState> = {
      ...replay,
      id: randomUUID(),
      state: 'running',
      delivered: 0,
      lost: 0,
      missingFiles: 0,
      journalDone: 0,
    };
    this.#replays.push(begun);
    this.#options.changed();
    this.pump();
    return { ...begun };
  }

  /**
   * Ends a replay; what nobody has taken of it is gone.
   * @returns undefined where there is none
   * @throws {D4Error} D4_CONFLICT where it is over already
   */
  cancel(id: string): ReplayState | undefined {
    const replay = this.#replays.find((each) => each.id === id);
    if (replay === undefined) return undefined;
    if (replay.state !== 'running') {
      throw new D4Error('D4_CONFLICT', `replay ${id} is over already (${replay.state}): there is nothing to cancel`);
    }
    this.#staged = this.#staged.slice(this.#stagedAt).filter((item) => item.replay !== replay);
    this.#stagedAt = 0;
    this.#end(replay, 'cancelled');
    this.pump();
    return { ...replay };
  }

  /** Ends them all; counts what waits as gone through. @returns how many items that were */
  cancelAll(): number {
    const { staged } = this;
    this.take(staged, []);
    for (const replay of this.#replays) if (replay.state === 'running') this.#end(replay, 'cancelled');
    return staged;
  }

  /** Takes up to `count` items. @returns how many */
  take(count: number, items: Buffer[]): number {
    let taken = 0;
    for (; taken < count; taken++) {
      const next = this.#staged[this.#stagedAt];
      if (next === undefined) break;
      this.#stagedAt += 1;
      items.push(next.item);
      passed(next);
    }
    if (taken === 0) return 0;
    if (this.#stagedAt * 2 > this.#staged.length) {
      this.#staged.splice(0, this.#stagedAt);
      this.#stagedAt = 0;
    }
    queueMicrotask(() => this.pump());
    return taken;
  }

  /** The queue may have room again. */
  roomMade(): void {
    if (this.#fetched.length > 0) queueMicrotask(() => this.pump());
  }

  /** The next items, without taking them. */
  peek(from: number, count: number): Buffer[] {
    const start = this.#stagedAt + from;
    return this.#staged.slice(start, start + count).map(({ item }) => item);
  }

  /** Reads on where items are wanted. */
  pump(): void {
    this.#stage();
    if (this.#pumping || this.#closed) return;
    this.#pumping = true;
    void this.#pump().finally(() => {
      this.#pumping = false;
    });
  }

  close(): void {
    this.#closed = true;
    this.#stopReading();
  }

  async #pump(): Promise<void> {
    while (!this.#closed && this.#fetched.length === 0 && this.staged < STAGED) {
      const replay = this.#replays.find(({ state }) => state === 'running');
      if (replay === undefined) return;
      this.#feed ??= { replay, batches: this.#options.read({ ...replay }), done: false };
      const feed = this.#feed;
      if (feed.done) {
        if (this.staged > 0) return;
        this.#end(replay, 'done');
        continue;
      }
      try {
        const { value } = await feed.batches.next();
        if (feed !== this.#feed) continue;
        if (value === undefined) feed.done = true;
        else this.#fetch(feed.replay, value);
      } catch (error) {
        if (feed !== this.#feed) continue;
        replay.error = error instanceof Error ? error.message : String(error);
        this.#end(replay, 'failed');
        this.#options.failed({ ...replay }, error);
      }
      this.#stage();
    }
  }

  #fetch(replay: Mutable<ReplayState>, { source, items, lost, missingFiles }: ReplayBatch): void {
    if (items.length === 0) {
      replay.lost += lost;
      if (source === 'journal') replay.journalDone += lost;
      replay.missingFiles += missingFiles;
      return;
    }
    for (const [i, item] of items.entries()) {
      const missing = i === 0 ? { lost, missingFiles } : { lost: 0, missingFiles: 0 };
      this.#fetched.push({ ...item, ...missing, replay, source });
    }
  }

  /** Moves what was read into the queue, as far as that has room. */
  #stage(): void {
    if (this.#fetched.length === 0) return;
    const items = this.#fetched.splice(0, Math.max(0, this.#options.room()));
    if (items.length === 0) return;
    for (const item of items) this.#staged.push(item);
    this.#options.arrived();
  }

  #end(replay: Mutable<ReplayState>, state: 'done' | 'cancelled' | 'failed'): void {
    replay.state = state;
    replay.finishedAt = Date.now();
    if (this.#feed?.replay === replay) this.#stopReading();
    let over = this.#replays.filter((each) => each.state !== 'running').length - MAX_OVER;
    for (const each of [...this.#replays]) {
      if (over <= 0) break;
      if (each.state === 'running') continue;
      this.#replays.splice(this.#replays.indexOf(each), 1);
      over -= 1;
    }
    this.#options.changed();
  }

  #stopReading(): void {
    this.#fetched = [];
    const feed = this.#feed;
    this.#feed = undefined;
    // One that is within a read ends behind it.
    void feed?.batches.return().catch(() => {});
  }
}

/** A replay's place moves behind an item. */
function passed({ replay, source, sequence, record, lost, missingFiles }: StagedItem): void {
  replay.source = source;
  replay.sequence = sequence;
  replay.record = record + 1;
  replay.delivered += 1;
  replay.lost += lost;
  replay.missingFiles += missingFiles;
  if (source === 'journal') replay.journalDone += 1 + lost;
}
