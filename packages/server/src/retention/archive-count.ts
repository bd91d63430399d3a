import { type Announcement, announcementOf, filesTopic } from '../archive/announcement.ts';
import type { Journal } from '../journal/port.ts';
import type { ArchiveBooks, ArchiveHolding } from '../registry/port.ts';

const READ_BYTES = 1024 * 1024;
const FILES = filesTopic('');

/** What is told of each file that is counted. */
export type CountedListener = (topic: string, file: Announcement) => void;

/** Counts the files that were announced since it was last done. @param isStopping asked now and then */
export async function countAnnounced(
  journal: Journal,
  books: ArchiveBooks,
  isStopping: () => boolean,
  onCounted: CountedListener,
): Promise<void> {
  for (const name of journal.topics()) {
    if (name.startsWith(FILES)) await countTopic(journal, books, name.slice(FILES.length), isStopping, onCounted);
  }
}

async function countTopic(
  journal: Journal,
  books: ArchiveBooks,
  topic: string,
  isStopping: () => boolean,
  onCounted: CountedListener,
): Promise<void> {
  const log = journal.get(filesTopic(topic));
  for (let at = books.countedBefore(topic); log !== undefined && at < log.endSequence && !isStopping(); ) {
    const entries = await log.read(at, READ_BYTES);
    const last = entries.at(-1);
    if (last === undefined) return;
    const holdings = new Map<string, ArchiveHolding>();
    const references: { path: string; change: 1 }[] = [];
    const counted: Announcement[] = [];
    for (const entry of entries) {
      const file = announcementOf(entry);
      if (file === undefined) continue;
      const known = holdings.get(file.sensor) ?? books.holding(topic, file.sensor);
      holdings.set(file.sensor, withFile(known, topic, file, entry.sequence));
      if (file.kind === 'record') references.push({ path: file.path, change: 1 });
      counted.push(file);
    }
    at = last.sequence + 1;
    books.save({ holdings: [...holdings.values()], counted: { topic, before: at }, references });
    for (const file of counted) onCounted(topic, file);
  }
}

function withFile(
  known: ArchiveHolding | undefined,
  topic: string,
  file: Announcement,
  sequence: number,
): ArchiveHolding {
  const { sensor, bytes, lastTime } = file;
  const streamBytes = streamBytesOf(file);
  if (known === undefined) {
    const removed = { removedFiles: 0, removedBytes: 0 };
    return { sensor, topic, files: 1, bytes, streamBytes, nextSequence: sequence, oldest: lastTime, ...removed };
  }
  return {
    ...known,
    files: known.files + 1,
    bytes: known.bytes + bytes,
    streamBytes: known.streamBytes + streamBytes,
    oldest: known.files === 0 ? lastTime : Math.min(known.oldest, lastTime),
  };
}

/** Bytes of the stream that are in a file and in none before it. */
export function streamBytesOf({ streamBytes, from, to }: Announcement): number {
  return streamBytes ?? to - from;
}
