import type { SensorId } from '@d4ts/protocol';
import { type Announcement, announcementOf, filesTopic } from '../archive/announcement.ts';
import type { Entry, Journal } from '../journal/port.ts';
import type { ArchiveBooks } from '../registry/port.ts';
import type { PairKey } from './archive-plan.ts';

const READ_BYTES = 256 * 1024;
/** More sensors than that are not looked for one by one. */
const MAX_SELECTED = 256;

/** A finished file that the books still count. */
export interface CountedFile extends Announcement {
  readonly topic: string;
  readonly sequence: number;
  /** ms since 1970 */
  readonly announcedAt: number;
}

/** Where announced files are looked for. */
interface Announced {
  readonly journal: Journal;
  readonly books: ArchiveBooks;
}

/** The files of some sensors and topics that the books still count, those that were finished first before the others. */
export async function* countedFiles(from: Announced, pairs: readonly PairKey[]): AsyncGenerator<CountedFile> {
  const readers = [...Map.groupBy(pairs, ({ topic }) => topic)].map(([topic, members]) =>
    filesOfTopic(
      from,
      topic,
      members.map(({ sensor }) => sensor),
    ),
  );
  try {
    const heads = await Promise.all(readers.map(async (reader) => ({ reader, file: await nextOf(reader) })));
    for (;;) {
      const oldest = heads.reduce(
        (a, b) => ((b.file?.announcedAt ?? Infinity) < (a.file?.announcedAt ?? Infinity) ? b : a),
        heads[0] ?? NONE,
      );
      if (oldest.file === undefined) return;
      yield oldest.file;
      oldest.file = await nextOf(oldest.reader);
    }
  } finally {
    for (const reader of readers) await reader.return(undefined);
  }
}

type Reader = AsyncGenerator<CountedFile, void>;
const NONE: { reader: Reader | undefined; file: CountedFile | undefined } = { reader: undefined, file: undefined };

async function nextOf(reader: Reader | undefined): Promise<CountedFile | undefined> {
  const next = await reader?.next();
  return next === undefined || next.done === true ? undefined : next.value;
}

async function* filesOfTopic({ journal, books }: Announced, topic: string, sensors: readonly SensorId[]): Reader {
  const log = journal.get(filesTopic(topic));
  if (log === undefined) return;
  const wanted = new Set(sensors);
  const starts = sensors.map((sensor) => books.holding(topic, sensor)?.nextSequence ?? log.endSequence);
  const selection = sensors.length > MAX_SELECTED ? undefined : await log.select(sensors);
  const read = async (sequence: number): Promise<readonly Entry[]> =>
    selection === undefined
      ? log.read(sequence, READ_BYTES)
      : (await selection.read(sequence, READ_BYTES)).map(({ entry }) => entry);
  try {
    for (let at = Math.min(...starts); at < log.endSequence; ) {
      const entries = await read(at);
      const last = entries.at(-1);
      if (last === undefined) return;
      at = last.sequence + 1;
      for (const entry of entries) {
        const file = announcementOf(entry);
        if (file === undefined || !wanted.has(file.sensor)) continue;
        // What is not counted yet cannot be counted as removed.
        const isCounted = entry.sequence < books.countedBefore(topic);
        const isLeft = entry.sequence >= (books.holding(topic, file.sensor)?.nextSequence ?? 0);
        if (isCounted && isLeft) yield { ...file, topic, sequence: entry.sequence, announcedAt: entry.time };
      }
    }
  } finally {
    selection?.close();
  }
}
