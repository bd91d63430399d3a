/** One property that differs, written as JSON; undefined where it is not there. */
interface Change {
  readonly name: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** What differs between two documents, either of which may be missing. Pure. */
export function changesBetween(before: unknown, after: unknown): Change[] {
  const [was, is] = [propertiesOf(before), propertiesOf(after)];
  return [...new Set([...was.keys(), ...is.keys()])]
    .map((name) => ({ name, before: was.get(name), after: is.get(name) }))
    .filter((change) => change.before !== change.after);
}

function propertiesOf(document: unknown): ReadonlyMap<string, string> {
  if (document === null || document === undefined) return new Map();
  if (typeof document !== 'object' || Array.isArray(document)) return new Map([['value', JSON.stringify(document)]]);
  return new Map(Object.entries(document).map(([name, value]) => [name, JSON.stringify(value)]));
}
