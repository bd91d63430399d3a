/** One property that differs; undefined where it is not there. */
interface Change {
  /** Names from the outside in, with dots: `archive.maxAgeMs`. */
  readonly name: string;
  readonly before: unknown;
  readonly after: unknown;
}

/** What differs between two documents, either of which may be missing, down to single values and lists of them. Pure. */
export function changesBetween(before: unknown, after: unknown): Change[] {
  const [was, is] = [new Map(propertiesOf(before)), new Map(propertiesOf(after))];
  return [...new Set([...was.keys(), ...is.keys()])]
    .map((name) => ({ name, before: was.get(name), after: is.get(name) }))
    .filter((change) => JSON.stringify(change.before) !== JSON.stringify(change.after));
}

function* propertiesOf(value: unknown, name = ''): Generator<[name: string, value: unknown]> {
  if (value === undefined || (value === null && name === '')) return;
  const parts = partsOf(value);
  if (parts.length === 0) yield [name || 'value', value];
  for (const [part, inner] of parts) yield* propertiesOf(inner, name === '' ? part : `${name}.${part}`);
}

/** The properties of an object, and the elements of a list of objects, by number from 1; none where it is a value. */
function partsOf(value: unknown): [name: string, value: unknown][] {
  if (typeof value !== 'object' || value === null) return [];
  if (!Array.isArray(value)) return Object.entries(value);
  if (!value.some((each) => typeof each === 'object')) return [];
  return value.map((each: unknown, at) => [String(at + 1), each]);
}
