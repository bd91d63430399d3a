/* How numbers and times are written everywhere in the pages. Pure: the tests run without a browser. */

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** Bytes in decimal units and three digits: `0 B`, `999 B`, `1.23 MB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? formatCount(value) : threeDigits(value)} ${UNITS[unit]}`;
}

/** A whole number with separators: `12,345`. */
export function formatCount(value: number): string {
  // Not by Intl: a browser takes 20 ms to load what it needs for that, before the first page is drawn.
  return Math.round(value)
    .toFixed(0)
    .replace(/\B(?=(?:\d{3})+$)/g, ',');
}

/** A number with three digits and `k`, `M`, `G`: for axes and narrow places. */
export function formatShort(value: number): string {
  for (const [size, unit] of [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const) {
    if (Math.abs(value) >= size * 0.9995) return `${threeDigits(value / size)} ${unit}`;
  }
  return Number.isInteger(value) ? String(value) : threeDigits(value);
}

/** So many a second, to a tenth: `12.5/s`, `3.20 k/s`. */
export function formatRate(perSecond: number): string {
  return `${formatShort(Math.round(perSecond * 10) / 10)}/s`;
}

/** A span of time by its largest unit: `just now` belongs to the caller; `5 s`, `3 min`, `4 h`, `12 d`. */
export function formatSpan(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 48 * 3_600) return `${Math.floor(seconds / 3_600)} h`;
  return `${formatCount(Math.floor(seconds / 86_400))} d`;
}

const TEN_YEARS_DAYS = 3_650;

/** When a disk is full at the present rate. @param days until then */
export function formatFull(days: number): string {
  if (days > TEN_YEARS_DAYS) return 'not full within ten years at this rate';
  return `full in ${days < 10 ? formatShort(Math.round(days * 10) / 10) : formatCount(days)} days at this rate`;
}

/** Moments so little ahead are now, ms. */
const AWRY_MS = 10_000;

/** How long ago something was. */
export function formatAgo(at: number, now: number): string {
  const span = now - at;
  // The server's clock and the page's second hand are never quite together.
  if (span < 0 && span > -AWRY_MS) return 'just now';
  if (span < 0) return `in ${formatSpan(-span)}`;
  return span < 2_000 ? 'just now' : `${formatSpan(span)} ago`;
}

/** A moment in UTC: `2026-11-22 09:15:00 UTC`. */
export function formatUtc(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** A moment in the reader's time zone, in the same order as in UTC: `2026-11-22 10:15:00`. */
export function formatLocal(at: number): string {
  const date = new Date(at);
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** What of a uuid tells it from others at a glance. */
export function shortUuid(uuid: string): string {
  return `${uuid.slice(0, 8)}…${uuid.slice(-4)}`;
}

/** Bytes that somebody typed: `500`, `1.5 MB`, `2GB`. @returns undefined where it is not that */
export function parseBytes(text: string): number | undefined {
  const match = /^([0-9]+(?:\.[0-9]+)?)\s*([kKMGTP]?)B?$/.exec(text.trim());
  if (match === null) return undefined;
  const unit = (match[2] ?? '').toUpperCase();
  const bytes = Number(match[1]) * 1000 ** ['', 'K', 'M', 'G', 'T', 'P'].indexOf(unit);
  return Number.isSafeInteger(Math.round(bytes)) ? Math.round(bytes) : undefined;
}

/** An amount of bytes exactly, as `parseBytes` takes it; nothing for null. */
export function writeBytes(bytes: number | null): string {
  if (bytes === null) return '';
  const short = formatBytes(bytes);
  return parseBytes(short) === bytes ? short : String(bytes);
}

/** What is wrong with an amount of bytes that may be left out. */
export function bytesOrNothing(text: string): string | null {
  return text.trim() === '' || (parseBytes(text) ?? 0) > 0 ? null : 'An amount such as 500 MB, or nothing';
}

const SPANS: readonly (readonly [unit: string, ms: number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
];

/** A span of time that somebody typed: `90 s`, `5 min`, `12h`, `30 d`. @returns ms; undefined where it is not that */
export function parseSpan(text: string): number | undefined {
  const [, count, unit] = /^([0-9]+)\s*(s|min|h|d)$/.exec(text.trim()) ?? [];
  const ms = SPANS.find(([name]) => name === unit)?.[1];
  return count === undefined || ms === undefined ? undefined : Number(count) * ms;
}

/** A span of time exactly, as `parseSpan` takes it: in the largest unit in which it is whole. */
export function writeSpan(ms: number): string {
  const [unit, size] = SPANS.find(([, each]) => ms >= each && ms % each === 0) ?? ['s', 1_000];
  return `${Math.round(ms / size)} ${unit}`;
}

/** What is wrong with a span of time that may be left out. */
export function spanOrNothing(text: string): string | null {
  return text.trim() === '' || (parseSpan(text) ?? 0) > 0 ? null : 'A time such as 10 min, 2 h or 30 d, or nothing';
}

function threeDigits(value: number): string {
  const digits = Math.abs(value) >= 99.95 ? 0 : Math.abs(value) >= 9.995 ? 1 : 2;
  return value.toFixed(digits);
}
