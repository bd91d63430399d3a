import type { SensorId } from '@d4ts/protocol';
import type { Format } from '../formats/port.ts';
import type { Entry, Position } from '../journal/port.ts';
import { ItemReader } from './item-reader.ts';
import type { ItemSource } from './item-source.ts';

/** Places that lie further apart than this many entries are looked up one by one. */
const MAX_APART = 64;
/** Items read at a time. */
const STEP = 256;

/**
 * Reads items by their places in a source, in the order of `places`, which ascend.
 * @returns for each its bytes and sensor; undefined where it is not there any more
 */
export async function readPlaces(
  source: ItemSource,
  format: Format,
  places: readonly Position[],
  isGone: ((entry: Entry) => boolean) | undefined,
): Promise<({ item: Buffer; sensor: SensorId } | undefined)[]> {
  const found: ({ item: Buffer; sensor: SensorId } | undefined)[] = [];
  for (let at = 0; at < places.length; ) {
    let end = at + 1;
    while (end < places.length && (places[end]?.sequence ?? 0) - (places[end - 1]?.sequence ?? 0) <= MAX_APART) end++;
    const group = places.slice(at, end);
    const items = await readRange(source, format, group, isGone);
    for (const place of group) found.push(items.get(keyOf(place)));
    at = end;
  }
  return found;
}

async function readRange(
  source: ItemSource,
  format: Format,
  places: readonly Position[],
  isGone: ((entry: Entry) => boolean) | undefined,
): Promise<Map<string, { item: Buffer; sensor: SensorId }>> {
  const found = new Map<string, { item: Buffer; sensor: SensorId }>();
  const [first] = places;
  const last = places.at(-1);
  if (first === undefined || last === undefined) return found;
  const wanted = new Set(places.map(keyOf));
  let passed = false;
  const read: Buffer[] = [];
  let begin = 0;
  const reader = new ItemReader(
    source,
    format,
    { ordinal: await source.ordinalOf(first), position: first },
    (sensor, items, _stream, place) => {
      for (let i = 0; i < items; i++) {
        const key = keyOf({ sequence: place.sequence, record: place.record + i });
        const item = read[begin + i];
        if (wanted.has(key) && item !== undefined) found.set(key, { item: Buffer.from(item), sensor });
      }
      begin += items;
      const behind = place.record + items > last.record;
      passed ||= place.sequence > last.sequence || (place.sequence === last.sequence && behind);
    },
    isGone,
  );
  while (!passed && found.size < wanted.size && reader.behind) {
    read.length = 0;
    begin = 0;
    reader.take(STEP, read);
    if (read.length === 0 && !(await reader.load()) && !reader.behind) break;
  }
  return found;
}

function keyOf({ sequence, record }: Position): string {
  return `${sequence}.${record}`;
}
