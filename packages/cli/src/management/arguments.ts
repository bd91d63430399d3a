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

/**
 * Reads a time to come: ISO 8601, UTC where it names no offset, or in how long (`90d`, `2h`).
 * @param now ms since 1970
 * @returns ms since 1970
 */
export function futureArgument(text: string, now: number): number {
  const ago = AGO.exec(text);
  const time = ago === null ? dateTime(text) : now + Number(ago[1]) * (UNIT_MS[ago[2] ?? ''] ?? Number.NaN);
  if (!(time > now)) {
    throw new InvalidArgumentError('Expected a time to come, such as 2027-01-31, 90d (from now) or 2h (from now).');
  }
  return time;
}

/** Reads a length of time (`30m`, `24h`, `7d`, `0`). @returns seconds */
export function secondsArgument(text: string): number {
  const [, count, unit] = AGO.exec(text === '0' ? '0s' : text) ?? [];
  if (count === undefined) throw new InvalidArgumentError('Expected a length of time, such as 30m, 24h, 7d or 0.');
  return (Number(count) * (UNIT_MS[unit ?? ''] ?? 0)) / 1_000;
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

/** Reads a length of time (`30m`, `24h`, `7d`), or `none`. @returns ms */
export function ageArgument(text: string): number | 'none' {
  if (text === 'none') return text;
  const [, number, unit = ''] = AGO.exec(text) ?? [];
  const ms = Number(number) * (UNIT_MS[unit] ?? Number.NaN);
  if (!(ms >= 1)) throw new InvalidArgumentError('Expected a length of time such as 30m, 24h, 7d or 4w, or none.');
  return ms;
}

const YEAR_SECONDS = 31_536_000;

/** Reads a length of time in seconds: `90s`, `10m`, `24h`, at most a year; or `none`. */
export function intervalArgument(text: string): number | 'none' {
  if (text === 'none') return text;
  const [, number, unit = ''] = AGO.exec(text) ?? [];
  const seconds = (Number(number) * (UNIT_MS[unit] ?? Number.NaN)) / 1_000;
  if (!(seconds >= 1 && seconds <= YEAR_SECONDS)) {
    throw new InvalidArgumentError('Expected a length of time such as 90s, 10m, 24h or 7d, at most a year, or none.');
  }
  return seconds;
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

/** Reads a priority of the archive, which may be negative. */
export function priorityArgument(text: string): number {
  const priority = /^-?\d{1,4}$/.test(text) ? Number(text) : Number.NaN;
  if (!(Math.abs(priority) <= 1_000)) throw new InvalidArgumentError('Expected a whole number from -1000 to 1000.');
  return priority;
}

/** A limit as the HTTP interface takes it: null takes it away. */
export function limitIn(limit: number | 'none' | undefined): number | null | undefined {
  return limit === 'none' ? null : limit;
}

/** Yes or no. */
export function yesNoArgument(value: string): boolean {
  if (value === 'yes' || value === 'no') return value === 'yes';
  throw new InvalidArgumentError('Expected yes or no.');
}
