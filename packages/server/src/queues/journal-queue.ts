import { D4Error } from '@d4ts/protocol';
import type { Format } from '../formats/port.ts';
import type { TopicLog } from '../journal/port.ts';
import type { CursorState, QueueDefinition } from '../registry/port.ts';
import { ItemReader } from './item-reader.ts';
import type { Queue, QueueInfo } from './port.ts';

/** Bounds of one answer to `range` and `peek` (docs/journal.md, rule 26). */
const MAX_RANGE_ITEMS = 10_000;
const MAX_RANGE_BYTES = 8 * 1024 * 1024;
/** Items are read backwards for `range` in steps of this many. */
const RANGE_STEP = 256;
/** What consumers may have given back at a time; they are saved with the cursor. */
const MAX_GIVEN_BACK_ITEMS = 100_000;
const MAX_GIVEN_BACK_BYTES = 64 * 1024 * 1024;

/** A queue: a cursor on a topic of the journal, and what was given back (docs/journal.md, rules 19 to 25). */
export class JournalQueue implements Queue {
  readonly uuid: string;
  readonly topic: string;
  readonly #log: TopicLog;
  readonly #format: Format;
  readonly #changed: () => void;
  readonly #listeners = new Set<() => void>();
  readonly #stopListening: () => void;
  #definition: QueueDefinition;
  #reader: ItemReader;
  /** The last one is served first. */
  #givenBack: Buffer[];
  #givenBackBytes: number;
  #taken: number;
  #dropped: number;
  #flushed: number;
  /** Pops that wait for the disk, in order. */
  #line: Promise<unknown> | undefined;
  #closed = false;

  /**
   * @param ordinal the ordinal of the cursor's position
   * @param changed called after each change of what `cursor` returns
   */
  constructor(
    definition: QueueDefinition,
    parts: { log: TopicLog; format: Format; cursor: CursorState; ordinal: number; changed: () => void },
  ) {
    this.uuid = definition.uuid;
    this.topic = definition.topic;
    this.#definition = definition;
    this.#log = parts.log;
    this.#format = parts.format;
    this.#changed = parts.changed;
    const { sequence, record, taken, dropped, flushed, givenBack } = parts.cursor;
    this.#reader = this.#readerAt(parts.ordinal, { sequence, record });
    this.#taken = taken;
    this.#dropped = dropped;
    this.#flushed = flushed;
    this.#givenBack = givenBack.map((item) => Buffer.from(item, 'base64')).reverse();
    this.#givenBackBytes = this.#givenBack.reduce((sum, item) => sum + item.length, 0);
    this.#stopListening = this.#log.onCommit(() => this.#committed());
  }

  get length(): number {
    return Math.max(0, this.#log.endOrdinal - this.#reader.ordinal) + this.#givenBack.length;
  }

  info(): QueueInfo {
    const { uuid, topic, description, limit, createdAt } = this.#definition;
    const counts = { length: this.length, taken: this.#taken, dropped: this.#dropped, flushed: this.#flushed };
    return { uuid, topic, description, limit, createdAt, ...counts };
  }

  pop(count: number): Buffer[] | Promise<Buffer[]> {
    if (this.#line !== undefined) return this.#wait(count);
    const items: Buffer[] = [];
    this.#take(count, items);
    if (items.length < count && this.#reader.behind) return this.#wait(count, items);
    return items;
  }

  giveBack(items: readonly Buffer[]): number {
    const bytes = items.reduce((sum, item) => sum + item.length, 0);
    if (
      this.#givenBack.length + items.length > MAX_GIVEN_BACK_ITEMS ||
      this.#givenBackBytes + bytes > MAX_GIVEN_BACK_BYTES
    ) {
      const bound = `${MAX_GIVEN_BACK_ITEMS} items or ${MAX_GIVEN_BACK_BYTES} bytes`;
      throw new D4Error('D4_QUEUE_FULL', `queue ${this.uuid} cannot take more than ${bound} back: pop some first`);
    }
    for (const item of items) this.#givenBack.push(Buffer.from(item));
    this.#givenBackBytes += bytes;
    this.#taken -= items.length;
    this.#changed();
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

  flush(): number {
    const { length } = this;
    this.#givenBack = [];
    this.#givenBackBytes = 0;
    this.#reader = this.#readerAt(this.#log.endOrdinal, { sequence: this.#log.endSequence, record: 0 });
    this.#flushed += length;
    this.#changed();
    return length;
  }

  onItems(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Takes over a definition, and enforces its limit. */
  redefine(definition: QueueDefinition): void {
    this.#definition = definition;
    this.#dropOverLimit();
  }

  /** The state to save: position, counts and what was given back, all of the same moment. */
  async cursor(): Promise<CursorState> {
    let position = this.#reader.knownPosition;
    while (position === undefined) {
      await this.#reader.position();
      position = this.#reader.knownPosition;
    }
    const givenBack = this.#givenBack.toReversed().map((item) => item.toString('base64'));
    return { ...position, taken: this.#taken, dropped: this.#dropped, flushed: this.#flushed, givenBack };
  }

  /** Lets go of the blocks in memory. */
  release(): void {
    if (this.#line === undefined) this.#reader.release();
  }

  /** Stops following the topic; waiting pops end empty. */
  close(): void {
    this.#closed = true;
    this.#stopListening();
    this.#listeners.clear();
  }

  #readerAt(ordinal: number, position?: { sequence: number; record: number }): ItemReader {
    return new ItemReader(this.#log, this.#format, position === undefined ? { ordinal } : { ordinal, position });
  }

  #wait(count: number, taken: Buffer[] = []): Promise<Buffer[]> {
    const work = (this.#line ?? Promise.resolve()).then(() => this.#popSlowly(count, taken));
    const line = work.then(
      () => undefined,
      () => undefined,
    );
    this.#line = line;
    void line.then(() => {
      if (this.#line === line) this.#line = undefined;
    });
    return work;
  }

  async #popSlowly(count: number, items: Buffer[]): Promise<Buffer[]> {
    this.#take(count - items.length, items);
    while (items.length < count && this.#reader.behind && !this.#closed) {
      await this.#reader.load();
      this.#take(count - items.length, items);
    }
    return items;
  }

  #take(count: number, items: Buffer[]): void {
    const before = items.length;
    let wanted = count;
    while (wanted > 0) {
      const item = this.#givenBack.pop();
      if (item === undefined) break;
      this.#givenBackBytes -= item.length;
      items.push(item);
      wanted -= 1;
    }
    this.#reader.take(wanted, items);
    const lost = this.#reader.takeLost();
    const taken = items.length - before;
    if (taken + lost === 0) return;
    this.#taken += taken;
    this.#dropped += lost;
    this.#changed();
  }

  /** Items counted from the oldest, without taking them. */
  async #oldest(from: number, count: number, maxBytes: number): Promise<Buffer[]> {
    const held = this.#givenBack.length;
    const items: Buffer[] = [];
    for (let i = from; i < Math.min(held, from + count); i++) items.push(this.#givenBack[held - 1 - i] as Buffer);
    const ordinal = this.#reader.ordinal + Math.max(0, from - held);
    const reader = this.#readerAt(ordinal);
    let bytes = items.reduce((sum, item) => sum + item.length, 0);
    while (items.length < count && bytes < maxBytes && reader.behind) {
      const before = items.length;
      await reader.load();
      reader.take(count - items.length, items);
      for (let i = before; i < items.length; i++) bytes += (items[i] as Buffer).length;
    }
    return items;
  }

  #committed(): void {
    this.#dropOverLimit();
    if (this.#reader.behind) this.#notify();
  }

  #dropOverLimit(): void {
    const over = this.length - this.#definition.limit;
    if (over <= 0) return;
    // What was given back is the oldest.
    const fromSide = Math.min(over, this.#givenBack.length);
    for (const item of this.#givenBack.splice(this.#givenBack.length - fromSide, fromSide)) {
      this.#givenBackBytes -= item.length;
    }
    if (over > fromSide) this.#reader = this.#readerAt(this.#reader.ordinal + over - fromSide);
    this.#dropped += over;
    this.#changed();
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
