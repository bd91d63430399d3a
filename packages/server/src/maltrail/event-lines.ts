import type { SensorId } from '@d4ts/protocol';
import type { Format } from '../formats/port.ts';
import { ENTRY_FLAG, ENTRY_KIND, type Entry } from '../journal/port.ts';

const FRAGMENT = ENTRY_FLAG.first | ENTRY_FLAG.middle | ENTRY_FLAG.last;

/** A line that a sensor has sent. */
export interface SentLine {
  readonly text: string;
  /** False where the stream ended within it, or it is larger than any event. */
  readonly isWhole: boolean;
  readonly sensor: SensorId;
  /** Of its arrival, ms since 1970. */
  readonly time: number;
  /** Where it is: the entry, and how many lines of it are before. */
  readonly sequence: number;
  readonly record: number;
}

/** The lines of an entry, those that are empty left out. */
export function* linesOf(
  { kind, flags, records, bytes, stream, time, sequence }: Entry,
  format: Format,
): Generator<SentLine> {
  if (kind !== ENTRY_KIND.data) return;
  const { sensor } = stream;
  if ((flags & FRAGMENT) !== 0) {
    if (records > 0) yield { text: '', isWhole: false, sensor, time, sequence, record: 0 };
    return;
  }
  let record = 0;
  for (let at = 0; at < bytes.length; ) {
    const end = format.recordEnd(bytes, at);
    const itemEnd = format.itemEnd(bytes, at, end);
    if (itemEnd > at) {
      const isWhole = itemEnd < end || (flags & ENTRY_FLAG.partial) === 0;
      yield { text: bytes.toString('utf8', at, itemEnd), isWhole, sensor, time, sequence, record };
      record += 1;
    }
    at = end;
  }
}
