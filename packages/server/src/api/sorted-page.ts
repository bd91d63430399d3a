import { D4Error } from '@d4ts/protocol';
import type { Page } from './pages.ts';

const DEFAULT_LIMIT = 1_000;

/** An item with what it is sorted by; of equal values the keys decide, which are all different. */
export interface Sortable<S> {
  readonly item: S;
  readonly value: string | number;
  readonly key: string;
}

/**
 * Cuts a page out of a list that is sorted by a value that may change. The next page starts after where the last item
 * of this one would stand now: an item that has moved meanwhile may be seen twice, or not.
 * @throws {D4Error} D4_BAD_REQUEST where `after` is no cursor
 */
export function sortedPage<S, T>(
  all: Sortable<S>[],
  view: (item: S) => T,
  { after, limit = DEFAULT_LIMIT, descending }: { after?: string; limit?: number; descending: boolean },
): Page<T> {
  const direction = descending ? -1 : 1;
  const order = (a: Place, b: Place) => direction * (compare(a.value, b.value) || compare(a.key, b.key));
  const sorted = all.sort(order);
  const place = after === undefined ? undefined : placeOf(after);
  const found = place === undefined ? 0 : sorted.findIndex((each) => order(each, place) > 0);
  const start = found === -1 ? sorted.length : found;
  const cut = sorted.slice(start, start + limit);
  const last = cut.at(-1);
  const more = last !== undefined && start + limit < sorted.length;
  return { items: cut.map(({ item }) => view(item)), total: sorted.length, next: more ? cursorOf(last) : null };
}

type Place = Pick<Sortable<unknown>, 'value' | 'key'>;

function compare(a: string | number, b: string | number): number {
  if (typeof a !== typeof b) return typeof a === 'number' ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

function cursorOf({ value, key }: Place): string {
  return Buffer.from(JSON.stringify([value, key])).toString('base64url');
}

function placeOf(cursor: string): Place {
  try {
    const parts: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (Array.isArray(parts)) {
      const [value, key]: unknown[] = parts;
      if ((typeof value === 'string' || typeof value === 'number') && typeof key === 'string') return { value, key };
    }
  } catch {
    // Told below.
  }
  throw new D4Error('D4_BAD_REQUEST', 'querystring/after is not the `next` of an answer with the same order');
}
