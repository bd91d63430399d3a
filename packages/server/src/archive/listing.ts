import { resolve } from 'node:path';
import { D4Error, type SensorId, sensorIdFrom } from '@d4ts/protocol';
import type { Entry, Journal, Topic, TopicLog } from '../journal/port.ts';
import { type Announcement, announcementOf, filesTopic } from './announcement.ts';
import { NewestFirst } from './newest-first.ts';

/** Announcements that one call looks at: its cost is bounded, however few of them are wanted. */
const MAX_LOOKED_AT = 20_000;
const FILES = filesTopic('');
const FILE_ID = /^([A-Za-z0-9][A-Za-z0-9_-]{0,63}):([1-9][0-9]{0,15})$/;
const CURSOR = /^([0-9]{1,16})@(.*)$/;
/** In the path of a file of one sensor: its folders down to the day (docs/drop-in.md, Files on disk). */
const SENSOR_FOLDERS = /.*\/([0-9a-f]{32})\/([0-9]{1,3})\/([0-9]{4})\/([0-9]{2})\/([0-9]{2})\/(?:([^/]+)\/)?/;
const SHARED_FOLDERS = /.*\/datas\/([^/]+)\//;

/** A finished file, as it was announced. */
export interface ListedFile extends Announcement {
  /** Its topic and the sequence of its announcement, `3:17`; never given to another file. */
  readonly id: string;
  readonly topic: Topic;
  /** ms since 1970 */
  readonly announcedAt: number;
}

/** Which files are wanted; all of them where nothing is said. */
export interface FileFilter {
  readonly sensor?: SensorId;
  readonly topic?: Topic;
  /** Files with bytes that came at or after this time (ms since 1970). */
  readonly from?: number;
  /** Files with bytes that came before this time (ms since 1970). */
  readonly to?: number;
  /** The file of this path, absolute or below the archive's root. */
  readonly path?: string;
}

/** Some files, and where to go on. */
export interface FilePage {
  readonly files: readonly ListedFile[];
  /** What to give for the next page, which may be empty before the last one is; undefined on the last. */
  readonly next: string | undefined;
}

/** A place in the list: an announcement. */
interface Place {
  readonly time: number;
  readonly topic: Topic;
  readonly sequence: number;
}

/** One topic's announcements, from the newest on. */
interface TopicReader {
  readonly topic: Topic;
  readonly entries: NewestFirst;
  close(): void;
}

/**
 * The finished files that the journal knows of, whether or not they are still there (docs/journal.md, rules 29 and
 * 30): those announced last come first.
 */
export class ArchivedFiles {
  readonly root: string;
  readonly #journal: Journal;

  /** @param root the archive's folder, absolute */
  constructor(root: string, journal: Journal) {
    this.root = root;
    this.#journal = journal;
  }

  /**
   * Lists files. Nothing of other sensors or types is read, and nothing that was announced before `filter.from`.
   * @param limit at most so many
   * @param after the `next` of the page before
   * @throws {D4Error} D4_BAD_REQUEST where `after` is none
   */
  async list(filter: FileFilter, limit: number, after?: string): Promise<FilePage> {
    const wanted = this.#narrowed(filter);
    const start = after === undefined ? undefined : placeFrom(after);
    const topics = this.#journal.topics().filter((topic) => topic.startsWith(FILES));
    const readers: TopicReader[] = [];
    try {
      for (const name of topics) {
        const topic = name.slice(FILES.length);
        const log = this.#journal.get(name);
        if (log === undefined || (wanted.topic !== undefined && wanted.topic !== topic)) continue;
        readers.push(await openReader(topic, log, wanted, start));
      }
      return await takePage(readers, wanted, limit);
    } finally {
      for (const reader of readers) reader.close();
    }
  }

  /** The file with this id. */
  async get(id: string): Promise<ListedFile | undefined> {
    const [, topic = '', digits] = FILE_ID.exec(id) ?? [];
    const sequence = Number(digits);
    const [entry] = (await this.#journal.get(filesTopic(topic))?.read(sequence, 1)) ?? [];
    return entry?.sequence === sequence ? listedFile(topic, entry) : undefined;
  }

  /** What a path says about its file, so that no others have to be looked at. */
  #narrowed(filter: FileFilter): FileFilter {
    if (filter.path === undefined) return filter;
    const path = resolve(this.root, filter.path);
    const [, shared] = SHARED_FOLDERS.exec(path) ?? [];
    const [, hex = '', type, year, month, day, name] = SENSOR_FOLDERS.exec(path) ?? [];
    const sensor = sensorIdFrom(hex);
    if (sensor === undefined)
      return { ...filter, path, ...(shared !== undefined && { topic: filter.topic ?? shared }) };
    const from = Date.UTC(Number(year), Number(month) - 1, Number(day));
    const topic = type === '254' && name !== undefined ? name : (type ?? '');
    return { sensor, topic, ...filter, path, from: Math.max(from, filter.from ?? 0) };
  }
}

async function openReader(
  topic: Topic,
  log: TopicLog,
  filter: FileFilter,
  after: Place | undefined,
): Promise<TopicReader> {
  const lowest = filter.from === undefined ? log.firstSequence : (await log.positionAt(filter.from)).sequence;
  const range = { lowest, before: await firstSequenceNotAfter(topic, log, after) };
  if (filter.sensor === undefined) {
    const entries = new NewestFirst((sequence, maxBytes) => log.read(sequence, maxBytes), range);
    return { topic, entries, close: () => {} };
  }
  const selection = await log.select([filter.sensor]);
  const read = async (sequence: number, maxBytes: number) =>
    (await selection.read(sequence, maxBytes)).map(({ entry }) => entry);
  return { topic, entries: new NewestFirst(read, range), close: () => selection.close() };
}

/** Entries before this sequence come after a place in the list. */
async function firstSequenceNotAfter(topic: Topic, log: TopicLog, place: Place | undefined): Promise<number> {
  if (place === undefined) return log.endSequence;
  if (place.topic === topic) return Math.min(place.sequence, log.endSequence);
  // Of one time, the topics are listed in their order backward.
  const time = topic < place.topic ? place.time + 1 : place.time;
  return (await log.positionAt(time)).sequence;
}

async function takePage(readers: readonly TopicReader[], filter: FileFilter, limit: number): Promise<FilePage> {
  const files: ListedFile[] = [];
  let last: Place | undefined;
  for (let looked = 0; looked < MAX_LOOKED_AT && files.length < limit; looked++) {
    const newest = await newestOf(readers);
    if (newest === undefined) return { files, next: undefined };
    const { reader, entry } = newest;
    reader.entries.take();
    last = { time: entry.time, topic: reader.topic, sequence: entry.sequence };
    const file = listedFile(reader.topic, entry);
    if (file !== undefined && isWanted(file, filter)) files.push(file);
  }
  const isLast = last === undefined || (await newestOf(readers)) === undefined;
  return { files, next: isLast || last === undefined ? undefined : textOf(last) };
}

async function newestOf(readers: readonly TopicReader[]): Promise<{ reader: TopicReader; entry: Entry } | undefined> {
  let newest: { reader: TopicReader; entry: Entry } | undefined;
  for (const reader of readers) {
    const entry = await reader.entries.peek();
    if (entry === undefined) continue;
    const isNewer =
      newest === undefined ||
      entry.time > newest.entry.time ||
      (entry.time === newest.entry.time && reader.topic > newest.reader.topic);
    if (isNewer) newest = { reader, entry };
  }
  return newest;
}

function listedFile(topic: Topic, entry: Entry): ListedFile | undefined {
  const announcement = announcementOf(entry);
  if (announcement === undefined) return undefined;
  return { ...announcement, id: `${topic}:${entry.sequence}`, topic, announcedAt: entry.time };
}

function isWanted(file: ListedFile, { from = 0, to = Number.POSITIVE_INFINITY, path, sensor }: FileFilter): boolean {
  if (path !== undefined && file.path !== path) return false;
  return file.lastTime >= from && file.firstTime < to && (sensor === undefined || file.sensor === sensor);
}

function textOf({ time, topic, sequence }: Place): string {
  return `${time}@${topic}:${sequence}`;
}

function placeFrom(text: string): Place {
  const [, time, id = ''] = CURSOR.exec(text) ?? [];
  const [, topic, sequence] = FILE_ID.exec(id) ?? [];
  if (topic === undefined) throw new D4Error('D4_BAD_REQUEST', `after=${text}: expected the \`next\` of a page before`);
  return { time: Number(time), topic, sequence: Number(sequence) };
}
