import type { PageQuery } from './schema-parts.ts';

const DEFAULT_LIMIT = 1_000;

/** One page of a list that is sorted by its keys, and where the next one starts. */
export interface Page<T> {
  items: T[];
  total: number;
  next: string | null;
}

/**
 * Cuts a page out of a list. A key that was removed in the meantime does not matter: the page starts after where it
 * would stand.
 */
export function pageOf<S, T>(
  all: Iterable<S>,
  keyOf: (item: S) => string,
  view: (item: S) => T,
  query: PageQuery,
): Page<T> {
  const sorted = Array.from(all, (item) => ({ item, key: keyOf(item) })).sort((a, b) => compare(a.key, b.key));
  const { after, limit = DEFAULT_LIMIT } = query;
  const found = after === undefined ? 0 : sorted.findIndex(({ key }) => compare(key, after) > 0);
  const start = found === -1 ? sorted.length : found;
  const cut = sorted.slice(start, start + limit);
  const last = cut.at(-1);
  const more = last !== undefined && start + limit < sorted.length;
  return { items: cut.map(({ item }) => view(item)), total: sorted.length, next: more ? last.key : null };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
