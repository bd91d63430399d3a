import type { AuditEntry, AuditPage } from '@d4ts/server';
import { durationText, sizeText, terminalText, timeText } from './terminal-text.ts';

type Names = AuditPage['names'];

/** Longest description of a change, in characters. */
const MAX_CHANGE_LENGTH = 120;
/** Numbers in this range can be moments: the years 2001 to 2100, ms. */
const MOMENTS = [1e12, 4.1e12] as const;

/** What a record is about: a sensor or a queue by its name too. */
export function subjectText({ key }: AuditEntry, names: Names): string {
  return terminalText(nameWith(key, names));
}

/** What differs, or what is known of an event. */
export function changeText({ action, before, after }: AuditEntry, names: Names): string {
  if (action === 'removed' || action === 'added') return '';
  const old: Record<string, unknown> = { ...before };
  const changes = Object.entries({ ...old, ...after })
    .map(([name]) => [name, old[name], Reflect.get(after ?? {}, name)] as const)
    .filter(([, was, is]) => JSON.stringify(was) !== JSON.stringify(is))
    .map(([name, was, is]) => {
      const now = valueText(name, is, names);
      return action === 'event' ? `${name}: ${now}` : `${name}: ${valueText(name, was, names)} -> ${now}`;
    });
  const text = terminalText(changes.join(', '));
  return text.length > MAX_CHANGE_LENGTH ? `${text.slice(0, MAX_CHANGE_LENGTH - 1)}…` : text;
}

/** Spans of time and bytes with their units, moments as times, by what the property is called. */
function valueText(name: string, value: unknown, names: Names): string {
  if (value === undefined) return '-';
  if (typeof value === 'string') return nameWith(value, names);
  if (Array.isArray(value)) return `[${value.map((each) => valueText(name, each, names)).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).map(([field, each]) => `${field}: ${valueText(field, each, names)}`);
    return `{${fields.join(', ')}}`;
  }
  if (typeof value !== 'number') return JSON.stringify(value);
  if (/Ms$/.test(name)) return value % 1_000 === 0 ? durationText(value / 1_000) : `${value} ms`;
  if (/Seconds$/.test(name)) return durationText(value);
  if (/bytes(?:Per\w+)?$/i.test(name)) return sizeText(value);
  const isMoment = value >= MOMENTS[0] && value <= MOMENTS[1];
  return isMoment && /(?:at|from|to|until|time|since|wanted)$/i.test(name) ? timeText(value) : String(value);
}

function nameWith(key: string, names: Names): string {
  return Object.hasOwn(names, key) ? `${names[key]} (${key})` : key;
}
