import { isVersion4, type SensorId, sensorIdFrom } from '@d4ts/protocol';
import { InvalidArgumentError } from 'commander';

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

const AGO = /^(\d{1,9})([smhdw])$/;
const DATE_TIME = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)(Z|[+-]\d{2}:?\d{2})?)?$/i;

/**
 * Reads a time: ISO 8601, UTC where it names no offset, or how long ago (`30m`, `24h`, `7d`).
 * @param now ms since 1970
 * @returns ms since 1970
 */
export function timeArgument(text: string, now: number): number {
  const ago = AGO.exec(text);
  const time = ago === null ? dateTime(text) : now - Number(ago[1]) * (UNIT_MS[ago[2] ?? ''] ?? Number.NaN);
  if (Number.isNaN(time)) {
    throw new InvalidArgumentError('Expected a time such as 2026-10-01, 2026-10-01T08:30Z, 24h (ago) or 7d (ago).');
  }
  return Math.max(0, time);
}

function dateTime(text: string): number {
  const [, date, time = '00:00', offset = 'Z'] = DATE_TIME.exec(text) ?? [];
  if (date === undefined || !isCalendarDate(date)) return Number.NaN;
  return Date.parse(`${date}T${time}${offset.toUpperCase()}`);
}

/** JavaScript takes the 30th of February for the 2nd of March. */
function isCalendarDate(date: string): boolean {
  const time = Date.parse(`${date}T00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(date);
}

/** Reads a UUID, with or without dashes. */
export function uuidArgument(text: string): SensorId {
  const uuid = sensorIdFrom(text);
  if (uuid === undefined)
    throw new InvalidArgumentError('Expected a UUID: 32 hexadecimal digits, with or without dashes.');
  return uuid;
}

/** Reads UUIDs with commas between them. */
export function uuidListArgument(text: string): SensorId[] {
  return text.split(',').map((part) => uuidArgument(part.trim()));
}

/** Reads a sensor's UUID, which is of version 4. */
export function sensorUuidArgument(text: string): SensorId {
  const uuid = uuidArgument(text);
  if (!isVersion4(uuid)) throw new InvalidArgumentError('Expected a UUID of version 4, such as "uuidgen -r" makes.');
  return uuid;
}

const SIZE = /^(\d{1,15}(?:\.\d{1,6})?)(?:([kMGT])i?)?B?$/i;
const SIZE_UNITS = ['', 'K', 'M', 'G', 'T'];

/** Reads a size in bytes: `500`, `64kB`, `10MB`, `1.5GiB` (units of 1,000, with an `i` of 1,024), or `none`. */
export function sizeArgument(text: string): number | 'none' {
  if (text === 'none') return text;
  const [, number = '', unit = ''] = SIZE.exec(text) ?? [];
  const base = /i/i.test(text) ? 1_024 : 1_000;
  const bytes =
    number === '' ? Number.NaN : Math.round(Number(number) * base ** SIZE_UNITS.indexOf(unit.toUpperCase()));
  if (!(bytes >= 1 && bytes <= Number.MAX_SAFE_INTEGER)) {
    throw new InvalidArgumentError('Expected a size such as 500, 64kB, 10MB or 1GiB, or none.');
  }
  return bytes;
}

/** Makes a reader of whole numbers in a range. */
export function countArgument(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const count = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!(count >= minimum && count <= maximum)) {
      const range = maximum === Number.MAX_SAFE_INTEGER ? `from ${minimum} on` : `from ${minimum} to ${maximum}`;
      throw new InvalidArgumentError(`Expected a whole number ${range}.`);
    }
    return count;
  };
}
