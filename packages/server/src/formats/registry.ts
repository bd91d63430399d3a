import { linesFormat } from './lines.ts';
import type { Format } from './port.ts';
import { rawFormat } from './raw.ts';

const lines = linesFormat();

/** Topics whose format is known by name; a wire type stands under its number. */
const FORMATS: ReadonlyMap<string, Format> = new Map([
  ['1', rawFormat],
  ['3', lines],
  ['4', rawFormat],
  ['5', rawFormat],
  ['6', lines],
  ['7', rawFormat],
  ['8', lines],
  ['maltrail', lines],
  ['suricata-eve', lines],
  ['d4-telemetry', lines],
  ['fascia', lines],
  ['ja3-jl', rawFormat],
  ['filewatcher', rawFormat],
  ['filewatcherjson', rawFormat],
]);
const DIGITS = /^[0-9]+$/;

/** The format of a topic: declared types that are not known are lines, numbers that are not known are kept raw. */
export function formatFor(topic: string): Format {
  return FORMATS.get(topic) ?? (DIGITS.test(topic) ? rawFormat : lines);
}
