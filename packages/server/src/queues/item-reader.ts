import type { SensorId } from '@d4ts/protocol';
import type { Format } from '../formats/port.ts';
import {
  type CountedEntry,
  ENTRY_FLAG,
  ENTRY_KIND,
  type Entry,
  type Position,
  type StreamDefinition,
} from '../journal/port.ts';
import { pathIn } from './file-item.ts';
import { type ItemRun, isRun } from './item-runs.ts';
import type { ItemSource } from './item-source.ts';

/** About how much is read from the journal at a time, in bytes; two such blocks are held while items are taken. */
const BLOCK_BYTES = 1024 * 1024;
const FRAGMENT = ENTRY_FLAG.first | ENTRY_FLAG.middle | ENTRY_FLAG.last;

/** Told of items that were taken from an entry, and of the place of the first of them. */
export type TakenListener = (sensor: SensorId, items: number, stream: StreamDefinition, place: Position) => void;

/**
 * Takes the items of a source one after another, from a position on. Taking is synchronous as far as blocks are in
 * memory; `load` brings the next one.
 */
export class ItemReader {
  readonly #source: ItemSource;
  readonly #format: Format;
  /** Items of the source before the next one to take. */
  #ordinal: number;
  /** The next item's place; undefined after a jump to an ordinal, until the next load. */
  #position: Position | undefined;
  /** The entry after the last one that was loaded. */
  #loadFrom = 0;
  #loadOrdinal = 0;
  #block: readonly CountedEntry[] = [];
  #blockAt = 0;
  /** In the current entry: byte position, and items taken. */
  #at = 0;
  #record = 0;
  /** The fragments so far of a record that is larger than an entry may be. */
  #fragments: Buffer[] = [];
  #ahead: readonly CountedEntry[] | undefined;
  #loading: Promise<void> | undefined;
  #lost = 0;
  readonly #onTaken: TakenListener | undefined;
  readonly #isGone: ((entry: Entry) => boolean) | undefined;

  /**
   * @param onTaken told of the items that are taken, entry by entry
   * @param isGone whether the file of an announcement was removed: then its path is no item any more
   */
  constructor(
    source: ItemSource,
    format: Format,
    start: { ordinal: number; position?: Position },
    onTaken?: TakenListener,
    isGone?: (entry: Entry) => boolean,
  ) {
    this.#onTaken = onTaken;
    this.#isGone = isGone;
    this.#source = source;
    this.#format = format;
    this.#ordinal = start.ordinal;
    this.#position = start.position;
  }

  /** Items of the source before the next one. */
  get ordinal(): number {
    return this.#ordinal;
  }

  /** Items that could not be read because the journal was damaged, since the last call. */
  takeLost(): number {
    const lost = this.#lost;
    this.#lost = 0;
    return lost;
  }

  /** Whether items are committed that have not been taken. */
  get behind(): boolean {
    return this.#ordinal < this.#source.endOrdinal;
  }

  /** Where the next item is, if that is known: not between a jump to an ordinal and the next load. */
  get knownPosition(): Position | undefined {
    return this.#position;
  }

  /** Where the next item is. */
  async position(): Promise<Position> {
    if (this.#position !== undefined) return this.#position;
    const found = await this.#source.positionOf(this.#ordinal);
    // Another call may have found it first, and items may have been taken since.
    this.#position ??= found;
    return this.#position;
  }

  /** Drops what is in memory; it is read again when needed. */
  release(): void {
    this.#block = [];
    this.#blockAt = 0;
    this.#ahead = undefined;
    this.#loadFrom = 0;
    this.#fragments = [];
  }

  /** Takes up to `count` items from memory and adds them to `out`. */
  take(count: number, out: Buffer[]): void {
    let wanted = count;
    while (wanted > 0) {
      const loaded = this.#block[this.#blockAt];
      if (loaded === undefined) {
        if (!this.#swap()) return;
        continue;
      }
      const taken = this.#takeFrom(loaded, wanted, out);
      if (taken > 0) {
        const { sequence, stream } = loaded.entry;
        this.#onTaken?.(stream.sensor, taken, stream, { sequence, record: this.#ordinal - taken - loaded.ordinal });
      }
      wanted -= taken;
    }
  }

  /**
   * Takes the items of one entry as they lie there, where the next one is the first of its entry, the entry is in memory,
   * and they are lines. The listener is not told.
   * @param most they are no more than this
   * @returns undefined where it is not so: `take`, or `load`
   */
  takeRun(most: number): (ItemRun & { readonly stream: StreamDefinition }) | undefined {
    if (this.#format.isLines !== true) return undefined;
    for (;;) {
      const loaded = this.#block[this.#blockAt];
      if (loaded === undefined) {
        if (!this.#swap()) return undefined;
        continue;
      }
      const { entry } = loaded;
      const { bytes, records: count, stream } = entry;
      if (this.#at === 0) this.#enter(loaded);
      if (!hasWholeRecords(entry)) {
        // A path, or a part of a record.
        if (entry.kind === ENTRY_KIND.file || (entry.flags & FRAGMENT) !== 0) return undefined;
        this.#takeSpecial(entry, []);
        continue;
      }
      if (this.#at > 0 || count > most || !isRun(bytes)) return undefined;
      this.#ordinal += count;
      this.#leave(entry);
      return { bytes, count, stream };
    }
  }

  /** Items of the entry in memory that the next one is in, which were not taken; undefined where there is no such entry. */
  get leftInEntry(): number | undefined {
    const entry = this.#block[this.#blockAt]?.entry;
    return entry === undefined ? undefined : entry.records - this.#record;
  }

  /** Brings the next block into memory. @returns false where nothing more is committed */
  async load(): Promise<boolean> {
    if (this.#block[this.#blockAt] !== undefined) return true;
    this.#loading ??= this.#loadAhead();
    await this.#loading;
    return this.#swap();
  }

  #takeFrom(loaded: CountedEntry, wanted: number, out: Buffer[]): number {
    const { entry } = loaded;
    if (this.#at === 0) this.#enter(loaded);
    if (!hasWholeRecords(entry)) return this.#takeSpecial(entry, out);
    const { bytes } = entry;
    const format = this.#format;
    let at = this.#at;
    let taken = 0;
    while (taken < wanted && at < bytes.length) {
      const end = format.recordEnd(bytes, at);
      const itemEnd = format.itemEnd(bytes, at, end);
      if (itemEnd > at) {
        out.push(bytes.subarray(at, itemEnd));
        taken += 1;
      }
      at = end;
    }
    this.#at = at;
    this.#record += taken;
    this.#ordinal += taken;
    if (this.#record >= entry.records || at >= bytes.length) this.#leave(entry);
    else this.#position = { sequence: entry.sequence, record: this.#record };
    return taken;
  }

  /** Entries without items, and fragments. */
  #takeSpecial(entry: Entry, out: Buffer[]): number {
    if (entry.kind === ENTRY_KIND.file && entry.records > 0) return this.#takePath(entry, out);
    if (entry.kind !== ENTRY_KIND.data || (entry.flags & FRAGMENT) === 0) {
      // Items of what is no data any more were erased.
      const erased = entry.records - this.#record;
      this.#ordinal += erased;
      this.#lost += erased;
      this.#leave(entry);
      return 0;
    }
    if ((entry.flags & ENTRY_FLAG.first) !== 0) this.#fragments = [];
    this.#fragments.push(entry.bytes);
    if ((entry.flags & ENTRY_FLAG.last) === 0) {
      this.#next();
      return 0;
    }
    const whole = Buffer.concat(this.#fragments);
    this.#fragments = [];
    const item = whole.subarray(0, this.#format.itemEnd(whole, 0, whole.length));
    this.#ordinal += entry.records;
    this.#leave(entry);
    if (entry.records === 0) return 0;
    out.push(item);
    return 1;
  }

  #takePath(entry: Entry, out: Buffer[]): number {
    const path = this.#isGone?.(entry) ? undefined : pathIn(entry.bytes);
    this.#ordinal += entry.records;
    this.#leave(entry);
    if (path === undefined) this.#lost += entry.records;
    else out.push(path);
    return path === undefined ? 0 : 1;
  }

  /** On the first byte of an entry: items before it that were never seen are lost. */
  #enter(loaded: CountedEntry): void {
    const { entry, ordinal } = loaded;
    const position = this.#position;
    this.#record = 0;
    if (ordinal > this.#ordinal) {
      this.#lost += ordinal - this.#ordinal;
      this.#ordinal = ordinal;
    }
    if (position?.sequence !== entry.sequence || position.record === 0) return;
    if (entry.kind === ENTRY_KIND.gap) this.#record = position.record;
    else this.#skip(entry, position.record);
  }

  /** Goes behind the items of an entry that were taken earlier. */
  #skip(entry: Entry, records: number): void {
    while (this.#record < records && this.#at < entry.bytes.length) {
      const end = this.#format.recordEnd(entry.bytes, this.#at);
      if (this.#format.itemEnd(entry.bytes, this.#at, end) > this.#at) this.#record += 1;
      this.#at = end;
    }
  }

  #leave(entry: Entry): void {
    this.#position = { sequence: entry.sequence + 1, record: 0 };
    this.#next();
  }

  #next(): void {
    this.#blockAt += 1;
    this.#at = 0;
    this.#record = 0;
  }

  /** Goes over to the block that was read ahead, and reads on behind it. */
  #swap(): boolean {
    if (this.#ahead === undefined) return false;
    this.#block = this.#ahead;
    this.#blockAt = 0;
    this.#at = 0;
    this.#ahead = undefined;
    if (this.#loadFrom < this.#source.endSequence) this.#readAhead();
    return this.#block.length > 0;
  }

  /** Nobody waits for it: where it fails, the next load meets the same and says so. */
  #readAhead(): void {
    this.#loading ??= this.#loadAhead();
    this.#loading.catch(() => {});
  }

  async #loadAhead(): Promise<void> {
    try {
      if (this.#loadFrom === 0) await this.#findStart();
      const start = this.#loadFrom;
      const endSequence = this.#source.endSequence;
      if (start >= endSequence) {
        this.#catchUp();
        return;
      }
      const block = await this.#source.read({ sequence: start, ordinal: this.#loadOrdinal }, BLOCK_BYTES);
      if (start !== this.#loadFrom) return;
      const last = block.at(-1);
      if (last !== undefined) {
        this.#loadFrom = last.entry.sequence + 1;
        this.#loadOrdinal = last.ordinal + last.entry.records;
        this.#ahead = block;
      } else {
        this.#loadFrom = endSequence;
      }
    } finally {
      this.#loading = undefined;
    }
  }

  /** From the position, or for a record in fragments from the first of them. */
  async #findStart(): Promise<void> {
    const position = await this.position();
    let from = position.sequence;
    for (;;) {
      const [found] = await this.#source.read({ sequence: from, ordinal: 0 }, 1);
      const entry = found?.entry;
      const inside = entry !== undefined && entry.sequence === from && (entry.flags & FRAGMENT) !== 0;
      if (!inside || (entry.flags & ENTRY_FLAG.first) !== 0 || from <= this.#source.firstSequence) break;
      from -= 1;
    }
    this.#loadFrom = from;
    this.#loadOrdinal = this.#ordinal - position.record;
  }

  /** All entries have been seen: what should still be there is lost. */
  #catchUp(): void {
    if (this.#block[this.#blockAt] !== undefined || this.#ahead !== undefined) return;
    if (this.#loadFrom !== this.#source.endSequence || this.#ordinal >= this.#source.endOrdinal) return;
    this.#lost += this.#source.endOrdinal - this.#ordinal;
    this.#ordinal = this.#source.endOrdinal;
    this.#position = { sequence: this.#source.endSequence, record: 0 };
  }
}

function hasWholeRecords({ kind, flags, records }: Entry): boolean {
  return kind === ENTRY_KIND.data && records > 0 && (flags & FRAGMENT) === 0;
}
