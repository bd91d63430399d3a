import { formatLocal } from '../../parts/format.ts';

/** From where on things come again, if nobody says otherwise. */
export const HOUR_AGO_MS = 3_600_000;

/** A moment as a field for date and time has it: in the reader's time zone. @param at ms since 1970 */
export function writeMoment(at: number): string {
  return formatLocal(at).replace(' ', 'T');
}

/** @returns ms since 1970; undefined where it is none */
export function momentIn(text: string): number | undefined {
  const at = new Date(text).getTime();
  return Number.isNaN(at) ? undefined : at;
}

/** What is wrong with a moment that somebody typed. */
export function notAMoment(text: string): string | null {
  return momentIn(text) === undefined ? 'A date and a time' : null;
}
