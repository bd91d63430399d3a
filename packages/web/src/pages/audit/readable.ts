import { formatLocal, writeBytes, writeSpan } from '../../parts/format.ts';

/** What sensors and queues are called, by uuid. */
export type Names = ReadonlyMap<string, string>;

/** Elements of a list that are shown. */
const LIST_SHOWN = 20;
/** Numbers in this range can be moments: the years 2001 to 2100, ms. */
const MOMENTS = [1e12, 4.1e12] as const;

/** The name of a property in words: `archive.maxAgeMs` is `archive max age`; its unit stands with its value. Pure. */
export function readableName(name: string): string {
  return name
    .replace(/(?<=[a-z])(?:Ms|Seconds)$/, (unit, at: number) => (name.slice(0, at).endsWith('Per') ? unit : ''))
    .replaceAll('.', ' ')
    .replace(/(?<=[a-z])[A-Z](?=[a-z])/g, (letter) => ` ${letter.toLowerCase()}`);
}

/**
 * A value as people would write it: spans of time and bytes with their units, moments in the reader's time zone, sensors and
 * queues by name; the rest as JSON. Pure.
 * @param name the property's, which says what its value is
 */
export function readableValue(name: string, value: unknown, names: Names): string {
  if (Array.isArray(value)) return readableList(name, value, names);
  if (typeof value === 'string' && names.has(value)) return `${names.get(value)} (${value})`;
  if (typeof value !== 'number') return JSON.stringify(value);
  if (/Ms$/.test(name)) return span(value);
  if (/Seconds$/.test(name)) return span(value * 1_000);
  if (/bytes(?:Per\w+)?$/i.test(name)) return writeBytes(value);
  if (/(?:^|\.|[a-z])(?:at|from|to|until|time|since|wanted)$/i.test(name) && isMoment(value)) return formatLocal(value);
  return String(value);
}

function readableList(name: string, list: readonly unknown[], names: Names): string {
  if (list.length === 0) return 'none';
  const shown = list.slice(0, LIST_SHOWN).map((each) => readableValue(name, each, names));
  const more = list.length - shown.length;
  return `${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** Exactly: in the largest unit in which it is whole. */
function span(ms: number): string {
  return ms % 1_000 === 0 ? writeSpan(ms) : `${ms} ms`;
}

function isMoment(value: number): boolean {
  return value >= MOMENTS[0] && value <= MOMENTS[1];
}
