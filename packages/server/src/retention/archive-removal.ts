import { rm, rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { SensorId } from '@d4ts/protocol';
import type { Logger } from 'pino';
import { type FileState, fileState } from '../archive/file-content.ts';
import type { RecordGate } from '../archive/record-gate.ts';
import type { Journal } from '../journal/port.ts';
import type { ArchiveBooks, ArchiveHolding, ArchiveRemoval } from '../registry/port.ts';
import { type CountedFile, countedFiles } from './announced-files.ts';
import { type CountedListener, countAnnounced, streamBytesOf } from './archive-count.ts';
import type { AgeStep, Amount, PairKey, RoomStep } from './archive-plan.ts';
import type { Losses, RemovalReason, RemovedEvent } from './port.ts';

/** Files that are counted as removed, and then removed, at a time. */
const BATCH = 256;
const DAY_MS = 86_400_000;
/** The folders of a day, and of a meta type below it. */
const DAY_FOLDER = /^(.*\/[0-9a-f]{32}\/[0-9]{1,3})\/([0-9]{4})\/([0-9]{2})\/([0-9]{2})(\/[^/]+)?(\/files)?$/;

/** What is needed to remove files of the archive. */
export interface RemovalParts {
  readonly root: string;
  readonly journal: Journal;
  readonly books: ArchiveBooks;
  readonly gate: RecordGate;
  readonly losses: Losses;
  /** Told of files that are counted meanwhile. */
  readonly onCounted: CountedListener;
  readonly log: Logger;
  readonly isStopping: () => boolean;
  /** ms since 1970 */
  readonly now: () => number;
}

/** A file that is to go, and what became of it already. */
interface Doomed {
  readonly file: CountedFile;
  readonly state: FileState;
}

/** Removes finished files: first counted and saved, then from the disk (docs/journal.md, rule 18). */
export class ArchiveRemover {
  readonly #parts: RemovalParts;

  constructor(parts: RemovalParts) {
    this.#parts = parts;
  }

  /** Removes what is too old. @returns what has become free */
  removeOld(steps: readonly AgeStep[]): Promise<Amount> {
    const limits = new Map(steps.map(({ pair, olderThan }) => [keyOf(pair), olderThan]));
    const young = new Set<string>();
    const step = {
      why: 'age',
      pairs: steps.map(({ pair }) => pair),
      isEnough: () => young.size === limits.size,
      skips: (file: CountedFile) => {
        const key = keyOf(file);
        if (young.has(key)) return true;
        if (file.lastTime < (limits.get(key) ?? 0)) return false;
        young.add(key);
        this.#noteOldest(file);
        return true;
      },
    } as const;
    return this.#remove(step);
  }

  /** Removes until there is room. @returns what has become free */
  async makeRoom({ why, classes, amount }: RoomStep): Promise<Amount> {
    const freed = { bytes: 0, inodes: 0 };
    for (const { pairs } of classes) {
      const left = { bytes: amount.bytes - freed.bytes, inodes: amount.inodes - freed.inodes };
      if (left.bytes <= 0 && left.inodes <= 0) break;
      const isEnough = (counted: Amount) => counted.bytes >= left.bytes && counted.inodes >= left.inodes;
      const got = await this.#remove({ why, pairs, isEnough, skips: () => false });
      freed.bytes += got.bytes;
      freed.inodes += got.inodes;
    }
    return freed;
  }

  /** Removes all files of a sensor. @returns what was removed */
  removeAll(pairs: readonly PairKey[]): Promise<Amount> {
    return this.#remove({ why: 'erased', pairs, isEnough: () => false, skips: () => false });
  }

  async #remove(step: {
    readonly why: RemovalReason;
    readonly pairs: readonly PairKey[];
    isEnough(freed: Amount): boolean;
    skips(file: CountedFile): boolean;
  }): Promise<Amount> {
    const { root, isStopping, books } = this.#parts;
    const removed = { bytes: 0, inodes: 0 };
    let batch: Doomed[] = [];
    const take = async (): Promise<void> => {
      if (batch.length > 0) await this.#removeBatch(batch, step.why);
      batch = [];
    };
    try {
      for await (const file of countedFiles(this.#parts, step.pairs)) {
        if (isStopping() || step.isEnough(removed)) break;
        if (step.skips(file)) continue;
        const state = await fileState(root, file);
        batch.push({ file, state });
        if (state === 'there') {
          removed.bytes += file.bytes;
          removed.inodes += 1;
        }
        if (batch.length === BATCH) await take();
      }
    } finally {
      await take();
    }
    if (books.unlinking().length > 0) books.save({ holdings: [], unlinking: [] });
    return removed;
  }

  async #removeBatch(batch: readonly Doomed[], why: RemovalReason): Promise<void> {
    const { gate } = this.#parts;
    const isShared = batch.some(({ file }) => file.kind === 'record');
    if (isShared) await gate.remove(() => this.#removeNow(batch, why));
    else await this.#removeNow(batch, why);
  }

  async #removeNow(batch: readonly Doomed[], why: RemovalReason): Promise<void> {
    const { journal, books, losses, now, log, onCounted } = this.#parts;
    // A record of the same content may have been announced since: then its file has to stay.
    const isShared = batch.some(({ file }) => file.kind === 'record');
    if (isShared) await countAnnounced(journal, books, () => false, onCounted);
    const at = now();
    const holdings = new Map<string, ArchiveHolding>();
    const removals = new Map<string, ArchiveRemoval>();
    const events = new Map<string, RemovedEvent>();
    const references: { path: string; change: -1 }[] = [];
    const unlinking: string[] = [];
    const names = new Map<string, number>();
    let others = 0;
    for (const { file, state } of batch) {
      const key = keyOf(file);
      const known = holdings.get(key) ?? books.holding(file.topic, file.sensor);
      if (known === undefined) continue;
      const isRemoved = state === 'there';
      holdings.set(key, withoutFile(known, file, isRemoved));
      if (file.kind === 'record') references.push({ path: file.path, change: -1 });
      if (!isRemoved) {
        others += 1;
        continue;
      }
      const left = file.kind === 'record' ? (names.get(file.path) ?? books.references(file.path)) - 1 : 0;
      names.set(file.path, left);
      if (left <= 0) unlinking.push(file.path);
      if (file.topic.match(/[^0-9]/) && file.kind !== 'rest' && file.kind !== 'record')
        unlinking.push(metaHeaderOf(file.path));
      removals.set(key, addedRemoval(removals.get(key), file, why, at));
      events.set(key, addedEvent(events.get(key), file, why, at));
    }
    if (others > 0)
      log.info({ files: others }, 'files that were to be removed had been removed, changed or moved by others');
    const change = { holdings: [...holdings.values()], removals: [...removals.values()], references, unlinking };
    await this.#saveAndUnlink(change);
    for (const event of events.values()) losses.onRemoved(event);
  }

  /** On a disk so full that nothing can be saved, there is no other way than to remove first. */
  async #saveAndUnlink(
    change: Parameters<ArchiveBooks['save']>[0] & { readonly unlinking: readonly string[] },
  ): Promise<void> {
    const { books, log, now } = this.#parts;
    try {
      books.save(change);
    } catch (error) {
      log.error({ err: error }, 'what is removed from the archive cannot be counted before: it is counted after');
      await unlinkAll(change.unlinking, now(), log);
      books.save({ ...change, unlinking: [] });
      return;
    }
    await unlinkAll(change.unlinking, now(), log);
  }

  #noteOldest({ topic, sensor, lastTime }: CountedFile): void {
    const { books } = this.#parts;
    const known = books.holding(topic, sensor);
    if (known !== undefined && known.oldest < lastTime) books.save({ holdings: [{ ...known, oldest: lastTime }] });
  }
}

/** Removes what a crash has left, which is counted already. To be called before the archive writes. */
export async function finishEarlierRemovals(books: ArchiveBooks, log: Logger): Promise<void> {
  const paths = books.unlinking();
  if (paths.length === 0) return;
  await unlinkAll(paths, Date.now(), log);
  books.save({ holdings: [], unlinking: [] });
}

/** Unlinks files, and removes the folders that are empty then and will stay so. */
async function unlinkAll(paths: readonly string[], now: number, log: Logger): Promise<void> {
  const folders = new Set<string>();
  for (const path of paths) {
    try {
      await rm(path, { force: true });
      folders.add(dirname(path));
    } catch (error) {
      log.error({ err: error, path }, 'a file of the archive cannot be removed: remove it by hand');
    }
  }
  for (const folder of folders) for (const empty of emptiable(folder, now)) await rmdir(empty).catch(() => undefined);
}

function keyOf({ topic, sensor }: { topic: string; sensor: SensorId }): string {
  return `${topic} ${sensor}`;
}

function withoutFile(known: ArchiveHolding, file: CountedFile, isRemoved: boolean): ArchiveHolding {
  const files = known.files - 1;
  return {
    ...known,
    files,
    bytes: known.bytes - file.bytes,
    streamBytes: known.streamBytes - streamBytesOf(file),
    nextSequence: file.sequence + 1,
    oldest: files === 0 ? 0 : Math.max(known.oldest, file.firstTime),
    removedFiles: known.removedFiles + (isRemoved ? 1 : 0),
    removedBytes: known.removedBytes + (isRemoved ? file.bytes : 0),
  };
}

function addedRemoval(known: ArchiveRemoval | undefined, file: CountedFile, why: string, at: number): ArchiveRemoval {
  const { sensor, topic, sequence, bytes } = file;
  return {
    sensor,
    topic,
    why,
    at,
    before: sequence + 1,
    files: (known?.files ?? 0) + 1,
    bytes: (known?.bytes ?? 0) + bytes,
  };
}

function addedEvent(known: RemovedEvent | undefined, file: CountedFile, why: RemovalReason, at: number): RemovedEvent {
  const { sensor, topic } = file;
  return {
    store: 'archive',
    why,
    sensor,
    topic,
    files: (known?.files ?? 0) + 1,
    bytes: (known?.bytes ?? 0) + file.bytes,
    streamBytes: (known?.streamBytes ?? 0) + streamBytesOf(file),
    records: undefined,
    at,
  };
}

/** The meta header that stands beside a file of a declared stream. */
function metaHeaderOf(path: string): string {
  const name = path.lastIndexOf('/') + 1;
  return `${path.slice(0, name)}${path.slice(name).replace(/\..*$/, '')}.json`;
}

/** The folders of a day, a month and a year that may be empty now, if they are so old that no file can come into them. */
function emptiable(folder: string, now: number): string[] {
  const [, top, year = '', month = '', day = '', meta = '', files = ''] = DAY_FOLDER.exec(folder) ?? [];
  if (top === undefined) return [];
  const [thisYear = '', thisMonth = '', thisDay = ''] = new Date(now - 2 * DAY_MS)
    .toISOString()
    .slice(0, 10)
    .split('-');
  const [ofYear, ofMonth, ofDay] = [`${top}/${year}`, `${top}/${year}/${month}`, `${top}/${year}/${month}/${day}`];
  if (`${year}-${month}-${day}` >= `${thisYear}-${thisMonth}-${thisDay}`) return [];
  const inner = [
    ...(files === '' ? [] : [`${ofDay}${meta}${files}`]),
    ...(meta === '' ? [] : [`${ofDay}${meta}`]),
    ofDay,
  ];
  const isPastMonth = `${year}-${month}` < `${thisYear}-${thisMonth}`;
  return [...inner, ...(isPastMonth ? [ofMonth] : []), ...(year < thisYear ? [ofYear] : [])];
}
