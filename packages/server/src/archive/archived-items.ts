import type { FileHandle } from 'node:fs/promises';
import type { SensorId } from '@d4ts/protocol';
import type { Logger } from 'pino';
import type { CutSink, Format } from '../formats/port.ts';
import type { Entry, Journal, Position, Topic, TopicLog } from '../journal/port.ts';
import { type Announcement, announcementOf, filesTopic } from './announcement.ts';
import { contentStream, openAnnounced } from './file-content.ts';

/** Announcements read at a time, in bytes. */
const READ_BYTES = 256 * 1024;
const BATCH = 256;
/** Streams of which it is known where they begin in the journal. */
const MAX_STREAMS = 10_000;

/** Which items are wanted. Times are ms since 1970. */
interface WantedItems {
  readonly topic: Topic;
  readonly sensors: 'all' | readonly SensorId[];
  /** Whole files are read that have bytes of that time: nothing in them says when each record came. */
  readonly from: number;
  readonly to: number;
  /** The announcement to go on with, and how many items of its file are not wanted. */
  readonly start: Position;
  /** What is in the journal from there on is left out; when that came, at the earliest. */
  readonly journal: { readonly sequence: number; readonly time: number };
}

/** Items with their places: the announcement of their file, and their number in it. */
interface ItemsOfFiles {
  readonly source: 'archive';
  readonly items: readonly { readonly item: Buffer; readonly sequence: number; readonly record: number }[];
  readonly lost: 0;
  readonly missingFiles: number;
}

/** What reading files needs. */
export interface ArchivedItemsParts {
  /** The archive's folder, absolute. */
  readonly root: string;
  readonly journal: Journal;
  readonly formats: (topic: Topic) => Format;
  readonly log: Logger;
}

/**
 * Reads the items of finished files, in the order in which the files were announced; of a file that is in part in the
 * journal, what is not. Little more than one chunk of a file is in memory.
 */
export async function* archivedItems(
  parts: ArchivedItemsParts,
  wanted: WantedItems,
): AsyncGenerator<ItemsOfFiles, void> {
  const { topic, from, to, start, journal, sensors } = wanted;
  if (!parts.journal.topics().includes(filesTopic(topic))) return;
  const files = await parts.journal.open(filesTopic(topic));
  const log = await parts.journal.open(topic);
  const begins = new StreamStarts(log, journal.sequence);
  const only = sensors === 'all' ? undefined : new Set(sensors);
  // A file is announced after its last bytes came.
  const first = start.sequence > 0 ? start.sequence : (await files.positionAt(from)).sequence;
  const end = files.endSequence;
  for await (const entry of entriesOf(files, first, end)) {
    const file = only === undefined || only.has(entry.stream.sensor) ? announcementOf(entry) : undefined;
    if (file === undefined || file.kind !== 'stream' || file.lastTime < from || file.firstTime >= to) continue;
    const keep = file.lastTime < journal.time ? file.to : Math.min(file.to, await begins.of(file));
    if (keep <= file.from) continue;
    const skip = entry.sequence === start.sequence ? start.record : 0;
    yield* itemsOf(parts, {
      file,
      topic,
      sequence: entry.sequence,
      skip,
      bytes: keep < file.to ? keep - file.from : undefined,
    });
  }
}

async function* entriesOf(files: TopicLog, first: number, end: number): AsyncGenerator<Entry, void> {
  for (let next = first; next < end; ) {
    const entries = await files.read(next, READ_BYTES);
    if (entries.length === 0) return;
    for (const entry of entries) {
      if (entry.sequence >= end) return;
      yield entry;
      next = entry.sequence + 1;
    }
  }
}

interface FilePart {
  readonly file: Announcement;
  readonly topic: Topic;
  readonly sequence: number;
  /** Items that are not wanted. */
  readonly skip: number;
  /** What is wanted of its content; all of it if not given. */
  readonly bytes: number | undefined;
}

async function* itemsOf(
  { root, formats, log }: ArchivedItemsParts,
  part: FilePart,
): AsyncGenerator<ItemsOfFiles, void> {
  const { file, topic, sequence, skip } = part;
  const missing = { source: 'archive', items: [], lost: 0, missingFiles: 1 } as const;
  let record = 0;
  try {
    const handle = await openAnnounced(root, file);
    if (typeof handle === 'string') {
      log.warn({ file: file.path, state: handle }, 'a file that is replayed is not there any more');
      yield missing;
      return;
    }
    for await (const found of cutItems(formats(topic), handle, file.path, part.bytes)) {
      const items = found.map((item) => ({ item, sequence, record: record++ })).filter((each) => each.record >= skip);
      for (let at = 0; at < items.length; at += BATCH) {
        yield { source: 'archive', items: items.slice(at, at + BATCH), lost: 0, missingFiles: 0 };
      }
    }
  } catch (error) {
    log.error({ err: error, file: file.path }, 'a file that is replayed cannot be read to its end');
    yield missing;
  }
}

async function* cutItems(
  format: Format,
  handle: FileHandle,
  path: string,
  limit = Number.POSITIVE_INFINITY,
): AsyncGenerator<Buffer[], void> {
  const cutter = format.newCutter();
  let items: Buffer[] = [];
  const sink: CutSink = {
    records(pieces) {
      const bytes = Buffer.concat(pieces);
      const { preamble } = cutter;
      for (let at = 0; at < bytes.length; ) {
        const end = format.recordEnd(bytes, at, preamble);
        const itemEnd = format.itemEnd(bytes, at, end, preamble);
        if (itemEnd > at) items.push(bytes.subarray(at, itemEnd));
        at = end;
      }
    },
    cut() {},
    skipped() {},
  };
  let left = limit;
  for await (const chunk of contentStream(handle, path, 'decompressed') as AsyncIterable<Buffer>) {
    const bytes = chunk.length > left ? chunk.subarray(0, left) : chunk;
    left -= bytes.length;
    const refusal = cutter.push(bytes, sink);
    if (refusal !== undefined) throw new Error(`its content is not of the format ${format.name}: ${refusal}`);
    if (items.length > 0) yield items;
    items = [];
    if (left <= 0) break;
  }
  cutter.end(sink);
  if (items.length > 0) yield items;
}

/** Where streams begin in what the journal has. */
class StreamStarts {
  readonly #log: TopicLog;
  readonly #sequence: number;
  readonly #known = new Map<string, number>();

  constructor(log: TopicLog, sequence: number) {
    this.#log = log;
    this.#sequence = sequence;
  }

  /** The offset of the first of a file's stream that is in the journal; infinite where nothing is. */
  async of({ stream, sensor }: Announcement): Promise<number> {
    const known = this.#known.get(stream);
    if (known !== undefined) return known;
    const found = await this.#find(stream, sensor);
    if (this.#known.size >= MAX_STREAMS) this.#known.clear();
    this.#known.set(stream, found);
    return found;
  }

  async #find(stream: string, sensor: SensorId): Promise<number> {
    const selection = await this.#log.select([sensor]);
    try {
      for (let next = this.#sequence; ; ) {
        const found = await selection.read(next, READ_BYTES);
        const entry = found.find((each) => each.entry.stream.id === stream)?.entry;
        if (entry !== undefined) return entry.offset;
        const last = found.at(-1);
        if (last === undefined) return Number.POSITIVE_INFINITY;
        next = last.entry.sequence + 1;
      }
    } finally {
      selection.close();
    }
  }
}
