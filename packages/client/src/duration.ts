const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ['ns', 1e-6],
  ['us', 1e-3],
  ['µs', 1e-3],
  ['μs', 1e-3],
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
]);
const PART = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/gy;

/** What a duration may look like, for error messages. */
export const DURATION_FORM = 'a number with a unit (ms, s, m or h), such as 200ms, 30s or 1m30s; or 0';

/**
 * Reads a duration as the Go client's flags write it (`30s`, `200ms`, `1m30s`, `0`).
 * @returns milliseconds; undefined where the text is not a duration that is zero or more
 */
export function parseDuration(text: string): number | undefined {
  if (/^\+?0$/.test(text)) return 0;
  const body = text.startsWith('+') ? text.slice(1) : text;
  let total = 0;
  let at = 0;
  for (const match of body.matchAll(PART)) {
    total += Number(match[1]) * (UNIT_MS.get(match[2] as string) as number);
    at = match.index + match[0].length;
  }
  return body !== '' && at === body.length && Number.isFinite(total) ? total : undefined;
}
