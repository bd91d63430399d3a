import type { SensorId } from '@d4ts/protocol';
import type { Format } from '../formats/port.ts';
import type { Entry, Position, TopicLog } from '../journal/port.ts';
import type { ReplayState } from '../registry/port.ts';
import { ItemReader } from './item-reader.ts';
import { openSource } from './item-source.ts';
import type { ArchivedItemReader } from './port.ts';
import type { ReplayBatch, ReplayedItem } from './replays.ts';

/** Items read at a time. */
const BATCH = 256;

/** Where a replay reads. */
export interface ReplaySources {
  readonly log: TopicLog;
  readonly format: Format;
  readonly isGone: (entry: Entry) => boolean;
  /** Items of finished files. */
  readonly archived: ArchivedItemReader | undefined;
}

/** A part of a topic's journal. */
interface JournalRange {
  readonly sensors: 'all' | readonly SensorId[];
  readonly start: Position;
  /** The sequence behind it. */
  readonly end: number;
  /** Items that were there when the replay began. */
  readonly expected: number;
}

/** Reads a replay's items on from where it stands: what the journal does not have from the archive, then the journal. */
export async function* readReplay(
  replay: ReplayState,
  { log, format, isGone, archived }: ReplaySources,
): AsyncGenerator<ReplayBatch, void> {
  const { source, topic, sensors, from, to, sequence, record, journalFrom, journalTime } = replay;
  if (source === 'archive' && archived !== undefined) {
    const journal = { sequence: journalFrom, time: journalTime };
    yield* archived({ topic, sensors, from, to, start: { sequence, record }, journal });
  }
  const start = source === 'journal' ? { sequence, record } : { sequence: journalFrom, record: 0 };
  const expected = replay.journalItems - (source === 'journal' ? replay.journalDone : 0);
  yield* readJournal(log, format, { sensors, start, end: replay.journalTo, expected }, isGone);
}

async function* readJournal(
  log: TopicLog,
  format: Format,
  range: JournalRange,
  isGone: (entry: Entry) => boolean,
): AsyncGenerator<ReplayBatch, void> {
  const { sensors, start, end, expected } = range;
  const source = await openSource(log, [{ from: 1, sensors }], start);
  try {
    const ordinal = await source.ordinalOf(start);
    const stop = await source.ordinalOf({ sequence: end, record: 0 });
    // What retention took before this.
    const missing = expected - (stop - ordinal);
    if (missing > 0) yield { source: 'journal', items: [], lost: missing, missingFiles: 0 };
    let read: Buffer[] = [];
    let items: ReplayedItem[] = [];
    const reader = new ItemReader(
      source,
      format,
      { ordinal, position: start },
      (_sensor, count, _stream, place) => {
        if (place.sequence >= end) return;
        for (let i = 0; i < count; i++) {
          const item = read[read.length - count + i];
          if (item !== undefined) items.push({ item, sequence: place.sequence, record: place.record + i });
        }
      },
      isGone,
    );
    // What retention has taken meanwhile, or damage, is met as lost.
    while (reader.ordinal < stop && reader.behind) {
      read = [];
      items = [];
      const before = reader.ordinal;
      reader.take(Math.min(BATCH, stop - before), read);
      const lost = Math.min(reader.takeLost(), stop - before);
      if (items.length > 0 || lost > 0) yield { source: 'journal', items, lost, missingFiles: 0 };
      if (read.length === 0) await reader.load();
    }
  } finally {
    source.close();
  }
}
