import type { SensorId } from '@d4ts/protocol';
import { type MaltrailEvent, parseMaltrailEvent, SEVERITIES, severityOf } from '../formats/maltrail-event.ts';
import type { Format } from '../formats/port.ts';
import type { Entry, TopicLog } from '../journal/port.ts';
import { linesOf, type SentLine } from './event-lines.ts';

const READ_BYTES = 256 * 1024;
/** Read of the journal for one page. */
const MAX_READ_BYTES = 32 * 1024 * 1024;

/** Which events are wanted. Times are those of the arrival, ms since 1970. */
export interface EventFilter {
  readonly from: number;
  readonly to: number;
  readonly source?: string;
  readonly trail?: string;
  /** Indexes in `SEVERITIES`. */
  readonly severities?: readonly number[];
  readonly sensor?: SensorId;
  /** Anywhere in the line, whatever the case. */
  readonly text?: string;
}

/** An event as it came. */
export interface FoundEvent {
  readonly line: string;
  readonly event: MaltrailEvent;
  /** Index in `SEVERITIES`. */
  readonly severity: number;
  readonly sensor: SensorId;
  readonly time: number;
}

/** Some events, the oldest first. */
export interface EventPage {
  readonly events: readonly FoundEvent[];
  /** Where the next page begins; undefined where everything in the time range was looked at. */
  readonly next: { readonly sequence: number; readonly record: number } | undefined;
  /** When the oldest entry came that the journal still has: what came before is in the archive. */
  readonly heldFrom: number | undefined;
}

/**
 * Looks for events in the journal. What it reads for one page is bounded: a page may be short, or empty, before the last
 * one is.
 * @param log undefined where there is nothing yet
 */
export async function searchEvents(
  log: TopicLog | undefined,
  format: Format,
  filter: EventFilter,
  limit: number,
  after: EventPage['next'],
): Promise<EventPage> {
  if (log === undefined) return { events: [], next: undefined, heldFrom: undefined };
  const [oldest] = await log.read(log.firstSequence, 1);
  const heldFrom = oldest?.time;
  const reader = await openReader(log, filter.sensor);
  const events: FoundEvent[] = [];
  const start = after ?? { ...(await log.positionAt(filter.from)), record: 0 };
  let { sequence } = start;
  const end = log.endSequence;
  try {
    for (let bytes = 0; bytes < MAX_READ_BYTES; ) {
      const entries = sequence < end ? await reader.read(sequence) : [];
      if (entries.length === 0) return { events, next: undefined, heldFrom };
      for (const entry of entries) {
        if (entry.time >= filter.to || entry.sequence >= end) return { events, next: undefined, heldFrom };
        for (const line of linesOf(entry, format)) {
          const isBefore = line.sequence === start.sequence && line.record < start.record;
          const found = isBefore ? undefined : foundEvent(line, filter);
          if (found === undefined) continue;
          if (events.length === limit)
            return { events, next: { sequence: line.sequence, record: line.record }, heldFrom };
          events.push(found);
        }
        sequence = entry.sequence + 1;
        bytes += entry.bytes.length;
      }
    }
    return { events, next: { sequence, record: 0 }, heldFrom };
  } finally {
    reader.close();
  }
}

async function openReader(
  log: TopicLog,
  sensor: SensorId | undefined,
): Promise<{ read(sequence: number): Promise<Entry[]>; close(): void }> {
  if (sensor === undefined) return { read: (sequence) => log.read(sequence, READ_BYTES), close: () => {} };
  const selection = await log.select([sensor]);
  return {
    read: async (sequence) => (await selection.read(sequence, READ_BYTES)).map(({ entry }) => entry),
    close: () => selection.close(),
  };
}

function foundEvent({ text, isWhole, sensor, time }: SentLine, filter: EventFilter): FoundEvent | undefined {
  if (!isWhole || time < filter.from) return undefined;
  if (filter.text !== undefined && !text.toLowerCase().includes(filter.text.toLowerCase())) return undefined;
  const event = parseMaltrailEvent(text);
  if (event === undefined) return undefined;
  const severity = SEVERITIES.indexOf(severityOf(event));
  const isWanted =
    (filter.source === undefined || event.sourceIp === filter.source) &&
    (filter.trail === undefined || event.trail === filter.trail) &&
    (filter.severities === undefined || filter.severities.includes(severity));
  return isWanted ? { line: text, event, severity, sensor, time } : undefined;
}
