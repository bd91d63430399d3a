import { D4Error, type SensorId } from '@d4ts/protocol';
import type { Format } from '../formats/port.ts';
import type { Entry, Position, TopicLog } from '../journal/port.ts';
import type { CursorState, QueueDefinition, QueueFilter, ReplayState } from '../registry/port.ts';
import { ClaimDesk } from './claim-desk.ts';
import { type Claim, type Claims, isBefore, MAX_CLAIMED } from './claims.ts';
import { ItemReader, type TakenListener } from './item-reader.ts';
import { type ItemRun, ItemRuns, itemsOf, type Taken } from './item-runs.ts';
import { currentFilters, type ItemSource, openSource } from './item-source.ts';
import { readPlaces } from './placed-items.ts';
import type { ClaimedItem, Queue, QueueInfo, Settled } from './port.ts';
import { Replays, type ReplaysOptions } from './replays.ts';
import { SideList } from './side-list.ts';

/** Bounds of one answer to `range` and `peek` (docs/journal.md, rule 26). */
const MAX_RANGE_ITEMS = 10_000;
const MAX_RANGE_BYTES = 8 * 1024 * 1024;
/** Items are read backwards for `range` in steps of this many. */
const RANGE_STEP = 256;
/** What consumers may have given back, and what may have been pushed from outside: both are saved with the cursor. */
const MAX_GIVEN_BACK = { items: 100_000, bytes: 64 * 1024 * 1024 };
const MAX_PUSHED = { items: 10_000, bytes: 8 * 1024 * 1024 };
/** Changes of the group that items may wait behind. */
const MAX_FILTERS = 100;

/** What a queue is made of. */
export interface QueueParts {
  /** The topic that holds its items: for paths that of the finished files. */
  readonly log: TopicLog;
  readonly format: Format;
  readonly cursor: CursorState;
  /** Called after each change of what `cursor` returns. */
  readonly changed: () => void;
  /** How often its definition has changed. */
  readonly revision: () => number;
  /** Told of the items of sensors that consumers have taken. */
  readonly onTaken?: (sensor: SensorId, items: number) => void;
  /** Whether the file of an announcement was removed. */
  readonly isGone?: (entry: Entry) => boolean;
  readonly readReplay: ReplaysOptions['read'];
  readonly replayFailed: ReplaysOptions['failed'];
}

/** Items taken together at the most before their bytes are looked at. */
const PIECE_ITEMS = 256;

/** A pop under way. */
interface Popped {
  readonly items: Buffer[];
  readonly count: number;
  readonly mostBytes: number;
  bytes: number;
}

function isWanting({ items, count, mostBytes, bytes }: Popped): boolean {
  return items.length < count && bytes < mostBytes;
}

/** A queue: a cursor on a topic of the journal, what was given back, and what was pushed (docs/journal.md, rules 19 to 25). */
export class JournalQueue implements Queue {
  readonly uuid: string;
  readonly topic: string;
  readonly #log: TopicLog;
  readonly #format: Format;
  readonly #changed: () => void;
  readonly #revision: () => number;
  readonly #onTaken: QueueParts['onTaken'];
  readonly #isGone: QueueParts['isGone'];
  readonly #listeners = new Set<() => void>();
  readonly #stopListening: () => void;
  #definition: QueueDefinition;
  #source: ItemSource;
  #reader: ItemReader;
  /** The last one is served first. */
  #givenBack: Buffer[];
  #givenBackBytes: number;
  #side = new SideList();
  /** What was popped and may not have left the server, the oldest first. */
  readonly #kept = new Set<Taken>();
  /** Whether a state was asked for that has some of it. */
  #keptIsSaved = false;
  readonly #desk: ClaimDesk;
  readonly #claims: Claims;
  readonly #replays: Replays;
  /** The item that was just read, while one is being claimed. */
  #claiming = false;
  #justRead: { sensor: SensorId; place: Position } | undefined;
  #rewound: number;
  /** Items of replays that have been staged and are not any more. */
  #replayed: number;
  #taken: number;
  #dropped: number;
  #flushed: number;
  /** Pops and changes of the filter that wait for the disk, in order. */
  #line: Promise<unknown> | undefined;
  #refiltering = false;
  /** Of the cursor that is saved: after a crash, reading goes on there. */
  #savedSequence: number;
  #closed = false;

  /** @param ordinal the source's, of the cursor's position */
  private constructor(definition: QueueDefinition, parts: QueueParts, source: ItemSource, ordinal: number) {
    this.uuid = definition.uuid;
    this.topic = definition.topic;
    this.#definition = definition;
    this.#log = parts.log;
    this.#format = parts.format;
    this.#changed = parts.changed;
    this.#revision = parts.revision;
    this.#onTaken = parts.onTaken;
    this.#isGone = parts.isGone;
    const { sequence, record, taken, dropped, flushed, givenBack } = parts.cursor;
    this.#savedSequence = oldestOf(parts.cursor).sequence;
    this.#desk = new ClaimDesk(parts.cursor.claims, {
      read: (places) => readPlaces(this.#source, this.#format, places, this.#isGone),
      taken: (sensor) => this.#onTaken?.(sensor, 1),
      lost: () => {
        this.#dropped += 1;
      },
      changed: () => this.#claimsChanged(),
    });
    this.#claims = this.#desk.claims;
    this.#rewound = parts.cursor.rewound ?? 0;
    this.#replayed = parts.cursor.replayed ?? 0;
    this.#replays = new Replays(parts.cursor.replays ?? [], {
      read: parts.readReplay,
      failed: parts.replayFailed,
      changed: () => this.#changed(),
      room: () => this.#definition.limit - this.length,
      arrived: () => {
        this.#changed();
        this.#notify();
      },
    });
    this.#source = source;
    this.#reader = this.#readerAt(ordinal, { sequence, record });
    this.#taken = taken;
    this.#dropped = dropped;
    this.#flushed = flushed;
    this.#givenBack = givenBack.map((item) => Buffer.from(item, 'base64')).reverse();
    this.#givenBackBytes = this.#givenBack.reduce((sum, item) => sum + item.length, 0);
    this.#stopListening = this.#log.onCommit(() => this.#committed());
  }

  static async open(definition: QueueDefinition, parts: QueueParts): Promise<JournalQueue> {
    const { log, cursor } = parts;
    const source = await openSource(log, definition.filters, oldestOf(cursor));
    try {
      const side = await placed(cursor.side ?? [], source);
      const queue = new JournalQueue(definition, parts, source, await source.ordinalOf(cursor));
      queue.#side = side;
      queue.#dropOverLimit();
      queue.#replays.pump();
      return queue;
    } catch (error) {
      source.close();
      throw error;
    }
  }

  get length(): number {
    const held = this.#givenBack.length + this.#claims.returned + this.#replays.staged;
    return Math.max(0, this.#source.endOrdinal - this.#reader.ordinal) + this.#side.length + held;
  }

  /** The topic of the journal that holds its items. */
  get source(): string {
    return this.#log.topic;
  }

  /** Of the cursor that is saved. */
  get savedSequence(): number {
    return this.#savedSequence;
  }

  /**
   * The filters of a group that holds from the watermark on (rule 20). Those before stay as long as items that they let
   * in may wait.
   */
  filtersWith(sensors: QueueFilter['sensors']): readonly QueueFilter[] {
    const from = this.#log.endSequence;
    const current = currentFilters(this.#definition.filters, this.#savedSequence);
    const before = current.filter((filter) => filter.from < from);
    if (before.length >= MAX_FILTERS) {
      throw new D4Error(
        'D4_QUEUE_FULL',
        `the group of queue ${this.uuid} was changed ${before.length} times while items waited: pop some first`,
      );
    }
    return [...before, { from, sensors }];
  }

  info(): QueueInfo {
    const { uuid, topic, description, limit, filters, credential, createdAt } = this.#definition;
    const counts = {
      length: this.length,
      taken: this.#taken,
      dropped: this.#dropped,
      flushed: this.#flushed,
      claimed: this.#claims.held,
      rewound: this.#rewound,
      replayed: this.#replayed + this.#replays.staged,
      replays: this.#replays.list(),
    };
    const group = filters.at(-1)?.sensors ?? 'all';
    const access = credential && { credential: { push: credential.push, createdAt: credential.createdAt } };
    return { uuid, topic, description, limit, group, ...access, createdAt, revision: this.#revision(), ...counts };
  }

  pop(count: number, mostBytes = Number.POSITIVE_INFINITY): Buffer[] | Promise<Buffer[]> {
    const popped: Popped = { items: [], count, mostBytes, bytes: 0 };
    if (this.#line !== undefined || this.#claims.returned > 0) return this.#popLater(popped);
    this.#takePieces(popped);
    if (isWanting(popped) && this.#reader.behind) return this.#popLater(popped);
    this.keep(popped.items);
    return popped.items;
  }

  popRuns(count: number, mostBytes: number): ItemRuns | Promise<ItemRuns> {
    const runs = this.#line === undefined ? this.#takeRuns(count, mostBytes) : undefined;
    if (runs !== undefined) return runs;
    return this.#wait(async () => {
      if (this.#hasOnlyJournal && this.#reader.behind && !this.#closed) await this.#reader.load();
      const loaded = this.#takeRuns(count, mostBytes);
      if (loaded !== undefined) return loaded;
      // To the end of its entry, so that the next one can be had as it lies there.
      const left = (this.#hasOnlyJournal && this.#reader.leftInEntry) || count;
      const items = await this.#popSlowly({ items: [], count: Math.min(count, left), mostBytes, bytes: 0 });
      const together = ItemRuns.of(items);
      this.keep(together);
      return together;
    });
  }

  keep(taken: Taken): void {
    const count = taken instanceof ItemRuns ? taken.count : taken.length;
    if (count > 0) this.#kept.add(taken);
  }

  letGo(taken: Taken): void {
    if (this.#kept.delete(taken) && this.#keptIsSaved) this.#changed();
  }

  /** Bytes of what is kept: they are in every state that is saved. */
  get keptBytes(): number {
    let bytes = 0;
    for (const taken of this.#kept) {
      if (taken instanceof ItemRuns) bytes += taken.bytes;
      else for (const item of taken) bytes += item.length;
    }
    return bytes;
  }

  giveBack(items: readonly Buffer[]): number {
    const bytes = items.reduce((sum, item) => sum + item.length, 0);
    if (
      this.#givenBack.length + items.length > MAX_GIVEN_BACK.items ||
      this.#givenBackBytes + bytes > MAX_GIVEN_BACK.bytes
    ) {
      throw this.#full('take back', MAX_GIVEN_BACK);
    }
    for (const item of items) this.#givenBack.push(Buffer.from(item));
    this.#givenBackBytes += bytes;
    this.#taken -= items.length;
    this.#changed();
    this.#notify();
    return this.length;
  }

  push(items: readonly Buffer[]): number {
    const bytes = items.reduce((sum, item) => sum + item.length, 0);
    if (this.#side.length + items.length > MAX_PUSHED.items || this.#side.bytes + bytes > MAX_PUSHED.bytes) {
      throw this.#full('hold from outside', MAX_PUSHED);
    }
    const place = { sequence: this.#source.endSequence, ordinal: this.#source.endOrdinal };
    for (const item of items) {
      this.#side.push({ ...place, item: Buffer.from(item), saved: item.toString('base64') });
    }
    this.#changed();
    this.#dropOverLimit();
    this.#notify();
    return this.length;
  }

  async range(start: number, stop: number): Promise<Buffer[]> {
    const { length } = this;
    const first = Math.max(0, start < 0 ? start + length : start);
    const last = Math.min(length - 1, stop < 0 ? stop + length : stop, first + MAX_RANGE_ITEMS - 1);
    const items: Buffer[] = [];
    let bytes = 0;
    // Index i from the newest is the item (length - 1 - i) from the oldest.
    for (let newest = first; newest <= last; newest += RANGE_STEP) {
      const to = length - 1 - newest;
      const from = Math.max(length - 1 - last, to - RANGE_STEP + 1);
      const step = await this.#oldest(from, to - from + 1, MAX_RANGE_BYTES);
      for (const item of step.reverse()) {
        bytes += item.length;
        if (bytes > MAX_RANGE_BYTES && items.length > 0) return items;
        items.push(item);
      }
    }
    return items;
  }

  peek(count: number): Promise<Buffer[]> {
    return this.#oldest(0, Math.min(count, MAX_RANGE_ITEMS), MAX_RANGE_BYTES);
  }

  claim(count: number, ms: number): Promise<ClaimedItem[]> {
    return this.#wait(async () => {
      const claimed = await this.#desk.holdReturned(count, ms);
      while (claimed.length < count && this.#claims.hasRoom) {
        const item = await this.#claimNext(ms, claimed.length > 0);
        if (item === undefined) break;
        claimed.push(item);
      }
      this.#changed();
      if (claimed.length === 0 && this.length > 0 && !this.#claims.hasRoom) {
        throw new D4Error(
          'D4_TOO_MANY_CLAIMED',
          `consumers of queue ${this.uuid} have ${MAX_CLAIMED.items} items or ${MAX_CLAIMED.bytes} bytes that are not acknowledged: acknowledge some first`,
        );
      }
      return claimed;
    });
  }

  isClaimed(id: string): boolean {
    return this.#claims.isHeld(id);
  }

  acknowledge(ids: readonly string[]): Settled {
    const result = this.#desk.acknowledge(ids);
    this.#taken += result.settled;
    if (result.settled > 0) this.#claimsChanged();
    return result;
  }

  release(ids: readonly string[]): Settled {
    const result = this.#desk.release(ids);
    if (result.settled > 0) this.#claimsChanged();
    return result;
  }

  /** Begins a replay; see `Replays`. */
  replay(replay: Parameters<Replays['add']>[0]): ReplayState {
    return this.#replays.add(replay);
  }

  cancelReplay(id: string): ReplayState | undefined {
    return this.#replays.cancel(id);
  }

  /**
   * Moves the position back, if it is behind that place. Nothing is popped meanwhile.
   * @returns how many items come again
   */
  rewindTo(place: Position): Promise<number> {
    return this.#wait(() => this.#reopen(this.#definition.filters, place));
  }

  flush(): number {
    const length = this.length + this.#claims.held;
    this.#replayed += this.#replays.cancelAll();
    this.#claims.clear();
    this.#givenBack = [];
    this.#givenBackBytes = 0;
    this.#side = new SideList();
    this.#reader = this.#readerAt(this.#source.endOrdinal, { sequence: this.#source.endSequence, record: 0 });
    this.#flushed += length;
    this.#changed();
    return length;
  }

  onItems(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Takes over a definition: its limit at once, its filter before the next pop; resolved when both hold. */
  async redefine(definition: QueueDefinition): Promise<void> {
    const before = this.#definition;
    this.#definition = definition;
    if (JSON.stringify(before.filters) === JSON.stringify(definition.filters)) this.#dropOverLimit();
    else await this.#wait(() => this.#reopen(definition.filters));
  }

  /**
   * The state to save: position, counts, what was given back, kept and pushed, all of the same moment. Never of one
   * within a pop: what it has taken so far is not kept yet, and would be lost with a crash.
   */
  cursor(): Promise<CursorState> {
    return this.#line === undefined ? this.#cursor() : this.#wait(() => this.#cursor());
  }

  async #cursor(): Promise<CursorState> {
    let position = this.#positionNow();
    while (position === undefined) {
      await this.#reader.position();
      position = this.#positionNow();
    }
    const { runs: claims, items: unplaced } = this.#claims.saved();
    const kept = [...this.#kept].flatMap(itemsOf);
    this.#keptIsSaved = kept.length > 0;
    const givenBack = [...kept, ...unplaced, ...this.#givenBack.toReversed()].map((item) => item.toString('base64'));
    const side = this.#side.items.map(({ sequence, saved: item }) => ({ sequence, item }));
    const counts = { taken: this.#taken - kept.length, dropped: this.#dropped, flushed: this.#flushed };
    const replays = this.#replays.list();
    return {
      ...position,
      ...counts,
      givenBack,
      ...(side.length > 0 && { side }),
      ...(claims.length > 0 && { claims }),
      ...(this.#rewound > 0 && { rewound: this.#rewound }),
      ...(this.#replayed > 0 && { replayed: this.#replayed }),
      ...(replays.length > 0 && { replays }),
    };
  }

  /**
   * Gives up what waits before a sequence: the items are counted as dropped (docs/journal.md, rule 17). What was pushed or
   * given back stays.
   * @returns the items that were given up, by sensor
   */
  giveUpBefore(sequence: number): Promise<ReadonlyMap<SensorId, number>> {
    return this.#wait(async () => {
      const claimed = this.#giveUpClaims(sequence);
      const position = await this.#reader.position();
      if (position.sequence >= sequence) return claimed;
      const lost = await this.#waitingBetween(position, sequence);
      for (const [sensor, items] of claimed) lost.set(sensor, (lost.get(sensor) ?? 0) + items);
      const ordinal = await this.#source.ordinalOf({ sequence, record: 0 });
      // A flush, or the limit, may have come in between.
      const given = ordinal - this.#reader.ordinal;
      if (given <= 0) return claimed;
      this.#reader = this.#readerAt(ordinal, { sequence, record: 0 });
      this.#dropped += given;
      this.#changed();
      return lost;
    });
  }

  /** Those whose place is given up are dropped, also where somebody has them. @returns how many, by sensor */
  #giveUpClaims(sequence: number): Map<SensorId, number> {
    const counts = new Map<SensorId, number>();
    const given = this.#claims.forgetBefore(sequence);
    for (const { sensor } of given) if (sensor !== undefined) counts.set(sensor, (counts.get(sensor) ?? 0) + 1);
    this.#dropped += given.length;
    if (given.length > 0) this.#changed();
    return counts;
  }

  /** Items of this queue from a position to a sequence, by sensor. */
  async #waitingBetween(from: Position, to: number): Promise<Map<SensorId, number>> {
    const counts = new Map<SensorId, number>();
    const filters = currentFilters(this.#definition.filters, from.sequence);
    for (const [i, { from: start, sensors }] of filters.entries()) {
      const begin = start > from.sequence ? { sequence: start, record: 0 } : from;
      const end = Math.min(to, filters[i + 1]?.from ?? to);
      if (begin.sequence >= end) continue;
      const group = sensors === 'all' ? undefined : new Set(sensors);
      for (const [sensor, items] of await this.#log.itemsBetween(begin, end)) {
        if (group === undefined || group.has(sensor)) counts.set(sensor, (counts.get(sensor) ?? 0) + items);
      }
    }
    return counts;
  }

  /** A state that `cursor` gave is durable. */
  saved(state: CursorState): void {
    this.#savedSequence = oldestOf(state).sequence;
  }

  /** Lets go of the blocks in memory. */
  forgetBlocks(): void {
    if (this.#line === undefined) this.#reader.release();
  }

  /** Stops following the topic; waiting pops end empty. */
  close(): void {
    this.#closed = true;
    this.#desk.close();
    this.#replays.close();
    this.#stopListening();
    this.#listeners.clear();
    this.#source.close();
  }

  #readerAt(ordinal: number, position?: Position): ItemReader {
    const start = position === undefined ? { ordinal } : { ordinal, position };
    const onTaken: TakenListener = (sensor, items, _stream, place) => {
      if (this.#claiming) this.#justRead = { sensor, place };
      else this.#onTaken?.(sensor, items);
    };
    return new ItemReader(this.#source, this.#format, start, onTaken, this.#isGone);
  }

  /** A cursor that has taken everything moves on with the end, so that it does not hold what others have sent. */
  #positionNow(): Position | undefined {
    if (this.#reader.behind || this.#refiltering) return this.#reader.knownPosition;
    return { sequence: this.#source.endSequence, record: 0 };
  }

  #wait<T>(work: () => Promise<T>): Promise<T> {
    const done = (this.#line ?? Promise.resolve()).then(work);
    const line = done.then(
      () => undefined,
      () => undefined,
    );
    this.#line = line;
    void line.then(() => {
      if (this.#line === line) this.#line = undefined;
    });
    return done;
  }

  #popLater(popped: Popped): Promise<Buffer[]> {
    return this.#wait(async () => {
      const items = await this.#popSlowly(popped);
      this.keep(items);
      return items;
    });
  }

  /** What it takes is to be kept before anybody waits for anything. */
  async #popSlowly(popped: Popped): Promise<Buffer[]> {
    const { items, count } = popped;
    await this.#popReturned(count, items);
    popped.bytes = items.reduce((sum, item) => sum + item.length, 0);
    this.#takePieces(popped);
    while (isWanting(popped) && this.#reader.behind && !this.#closed) {
      try {
        await this.#reader.load();
      } catch (error) {
        // What was taken would be lost with the error; the next pop meets it again.
        if (items.length > 0) break;
        throw error;
      }
      this.#takePieces(popped);
    }
    return items;
  }

  /** Whether there are no items beside those of the journal. */
  get #hasOnlyJournal(): boolean {
    const others = this.#givenBack.length + this.#side.length + this.#replays.staged + this.#claims.returned;
    return others === 0;
  }

  /** Takes whole entries that are in memory. @returns undefined where the next items cannot be had so */
  #takeRuns(count: number, mostBytes: number): ItemRuns | undefined {
    if (!this.#hasOnlyJournal) return undefined;
    const runs: ItemRun[] = [];
    let wanted = count;
    for (let bytes = 0; wanted > 0 && bytes < mostBytes; ) {
      const run = this.#reader.takeRun(wanted);
      if (run === undefined) break;
      runs.push(run);
      this.#onTaken?.(run.stream.sensor, run.count);
      wanted -= run.count;
      bytes += run.bytes.length;
    }
    const lost = this.#reader.takeLost();
    this.#dropped += lost;
    if (runs.length === 0 && lost === 0) return undefined;
    this.#changed();
    if (runs.length === 0) return undefined;
    const taken = new ItemRuns(runs);
    this.#taken += taken.count;
    this.keep(taken);
    return taken;
  }

  /** Takes what is in memory, in pieces, so that it is known in time that the items are many bytes. */
  #takePieces(popped: Popped): void {
    const { items, count } = popped;
    while (isWanting(popped)) {
      const before = items.length;
      this.#take(Math.min(PIECE_ITEMS, count - before), items);
      if (items.length === before) return;
      for (let at = before; at < items.length; at++) popped.bytes += items[at]?.length ?? 0;
    }
  }

  /** Takes items that have come back from consumers. */
  async #popReturned(count: number, items: Buffer[]): Promise<void> {
    if (this.#claims.returned === 0) return;
    await this.#desk.takeReturned(count, ({ sensor }, item) => {
      items.push(item);
      this.#taken += 1;
      if (sensor !== undefined) this.#onTaken?.(sensor, 1);
      this.#changed();
    });
  }

  /**
   * Claims an item that nobody had before.
   * @param hasSome whether an error would lose others
   * @returns undefined where none is left
   */
  async #claimNext(ms: number, hasSome: boolean): Promise<ClaimedItem | undefined> {
    while (!this.#closed) {
      const items: Buffer[] = [];
      this.#claiming = true;
      this.#takeUncounted(1, items);
      this.#claiming = false;
      const { place, sensor } = this.#justRead ?? {};
      this.#justRead = undefined;
      const [item] = items;
      if (item !== undefined) return this.#desk.hold({ item, place, sensor }, ms);
      if (!this.#reader.behind) return undefined;
      try {
        await this.#reader.load();
      } catch (error) {
        if (hasSome) return undefined;
        throw error;
      }
    }
    return undefined;
  }

  #claimsChanged(): void {
    this.#changed();
    this.#notify();
  }

  /**
   * Goes over to other filters, or back to an earlier place. Nothing is popped meanwhile; a flush may come in between.
   * @returns how many items come again
   */
  async #reopen(filters: readonly QueueFilter[], place?: Position): Promise<number> {
    this.#refiltering = true;
    try {
      for (;;) {
        const reader = this.#reader;
        const position = await reader.position();
        const start = place !== undefined && isBefore(place, position) ? place : position;
        const first = this.#claims.first;
        const oldest = first !== undefined && isBefore(first, start) ? first : start;
        const source = await openSource(this.#log, filters, oldest);
        const ordinal = await source.ordinalOf(start);
        const again = (await source.ordinalOf(position)) - ordinal;
        const pushed = this.#side;
        const { length } = pushed;
        const side = await placed(
          pushed.items.map(({ sequence, saved: item }) => ({ sequence, item })),
          source,
        );
        if (reader !== this.#reader || pushed !== this.#side || length !== pushed.length || this.#closed) {
          source.close();
          if (this.#closed) return 0;
          continue;
        }
        this.#source.close();
        this.#source = source;
        this.#side = side;
        this.#reader = this.#readerAt(ordinal, start);
        if (start === position) return 0;
        const items = again - this.#claims.forgetFrom(start);
        this.#rewound += items;
        this.#changed();
        return items;
      }
    } finally {
      this.#refiltering = false;
      if (!this.#closed) {
        this.#dropOverLimit();
        this.#notify();
      }
    }
  }

  #take(count: number, items: Buffer[]): void {
    this.#taken += this.#takeUncounted(count, items);
  }

  /** @returns how many were taken */
  #takeUncounted(count: number, items: Buffer[]): number {
    const before = items.length;
    let wanted = count;
    while (wanted > 0) {
      const item = this.#givenBack.pop();
      if (item === undefined) break;
      this.#givenBackBytes -= item.length;
      items.push(item);
      wanted -= 1;
    }
    const replayed = this.#replays.take(wanted, items);
    this.#replayed += replayed;
    this.#takeMerged(wanted - replayed, items);
    const lost = this.#reader.takeLost();
    const taken = items.length - before;
    this.#replays.roomMade();
    if (taken + lost === 0) return 0;
    this.#dropped += lost;
    this.#changed();
    return taken;
  }

  /** What the journal has in memory, and what was pushed, in their order. */
  #takeMerged(count: number, items: Buffer[]): void {
    const reader = this.#reader;
    for (let wanted = count; wanted > 0; ) {
      const pushed = this.#side.first;
      if (pushed !== undefined && pushed.ordinal <= reader.ordinal) {
        items.push(pushed.item);
        this.#side.shift(1);
        wanted -= 1;
        continue;
      }
      const { ordinal } = reader;
      const before = items.length;
      reader.take(pushed === undefined ? wanted : Math.min(wanted, pushed.ordinal - ordinal), items);
      wanted -= items.length - before;
      if (reader.ordinal === ordinal || pushed === undefined) return;
    }
  }

  /** Those of the oldest items that do not wait at the position. */
  async #oldestHeld(from: number, count: number): Promise<Buffer[]> {
    const held = [
      ...this.#claims.listReturned(from + count),
      ...this.#givenBack.toReversed(),
      ...this.#replays.peek(0, Math.max(0, from + count)),
    ].slice(from, from + count);
    const returned = await this.#desk.read(held.filter((each): each is Claim => !Buffer.isBuffer(each)));
    let next = 0;
    return held.flatMap((each) => (Buffer.isBuffer(each) ? each : (returned[next++] ?? [])));
  }

  /** Items counted from the oldest, without taking them. */
  async #oldest(from: number, count: number, maxBytes: number): Promise<Buffer[]> {
    const items = await this.#oldestHeld(from, count);
    const held = this.#claims.returned + this.#givenBack.length + this.#replays.staged;
    const skipped = Math.max(0, from - held);
    const skippedPushed = this.#side.within(skipped, this.#reader.ordinal);
    const pushed = this.#side.items.slice(skippedPushed);
    const ordinal = this.#reader.ordinal + skipped - skippedPushed;
    const reader = new ItemReader(this.#source, this.#format, { ordinal }, undefined, this.#isGone);
    let bytes = items.reduce((sum, item) => sum + item.length, 0);
    for (let next = 0; items.length < count && bytes < maxBytes; ) {
      const before = items.length;
      const side = pushed[next];
      if (side !== undefined && side.ordinal <= reader.ordinal) {
        items.push(side.item);
        next += 1;
      } else if (reader.behind) {
        const wanted = count - items.length;
        await reader.load();
        reader.take(side === undefined ? wanted : Math.min(wanted, side.ordinal - reader.ordinal), items);
      } else {
        break;
      }
      for (let i = before; i < items.length; i++) bytes += (items[i] as Buffer).length;
    }
    return items;
  }

  #committed(): void {
    this.#dropOverLimit();
    if (this.#reader.behind) this.#notify();
  }

  #dropOverLimit(): void {
    if (this.#refiltering) return;
    const over = this.length - this.#definition.limit;
    if (over <= 0) return;
    // What came back from consumers, or was given back, is the oldest.
    const returned = this.#claims.dropReturned(over);
    const fromSide = Math.min(over - returned, this.#givenBack.length);
    for (const item of this.#givenBack.splice(this.#givenBack.length - fromSide, fromSide)) {
      this.#givenBackBytes -= item.length;
    }
    const replayed = this.#replays.take(over - returned - fromSide, []);
    this.#replayed += replayed;
    const { ordinal } = this.#reader;
    const waiting = over - returned - fromSide - replayed;
    const pushed = this.#side.within(waiting, ordinal);
    this.#side.shift(pushed);
    const fromJournal = waiting - pushed;
    if (fromJournal > 0) this.#reader = this.#readerAt(ordinal + fromJournal);
    this.#dropped += over;
    this.#changed();
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  #full(what: string, { items, bytes }: { items: number; bytes: number }): D4Error {
    return new D4Error(
      'D4_QUEUE_FULL',
      `queue ${this.uuid} cannot ${what} more than ${items} items or ${bytes} bytes: pop some first`,
    );
  }
}

/** Pushed items with their places in a source. */
async function placed(saved: NonNullable<CursorState['side']>, source: ItemSource): Promise<SideList> {
  const side = new SideList();
  let sequence: number | undefined;
  let ordinal = 0;
  for (const each of saved) {
    if (each.sequence !== sequence) {
      sequence = each.sequence;
      ordinal = await source.ordinalOf({ sequence, record: 0 });
    }
    side.push({ sequence, ordinal, item: Buffer.from(each.item, 'base64'), saved: each.item });
  }
  return side;
}

/** The first place that a queue is not done with. */
function oldestOf({ sequence, record, claims = [] }: CursorState): Position {
  let oldest: Position = { sequence, record };
  for (const claim of claims) if (isBefore(claim, oldest)) oldest = claim;
  return oldest;
}
