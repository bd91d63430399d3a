import { dnscapFormat } from './dnscap.ts';
import { filewatcherFormat } from './filewatcher.ts';
import { filewatcherjsonFormat } from './filewatcherjson.ts';
import { ja3JlFormat } from './ja3-jl.ts';
import { linesFormat } from './lines.ts';
import { metaLinesFormat } from './meta-lines.ts';
import { ndjsonFormat } from './ndjson.ts';
import { passivednsFormat } from './passivedns.ts';
import { pcapFormat } from './pcap.ts';
import { pcapngFormat } from './pcapng.ts';
import type { Format } from './port.ts';
import { rawFormat } from './raw.ts';
import { yafFormat } from './yaf.ts';

/** Topics that have a format of their own; a wire type stands under its number. */
const FORMATS: ReadonlyMap<string, Format> = new Map([
  ['1', pcapFormat],
  ['3', linesFormat()],
  ['4', dnscapFormat],
  ['5', pcapngFormat],
  ['6', ndjsonFormat],
  ['7', yafFormat],
  ['8', passivednsFormat],
  ['ja3-jl', ja3JlFormat],
  ['filewatcher', filewatcherFormat],
  ['filewatcherjson', filewatcherjsonFormat],
]);
const DIGITS = /^[0-9]+$/;

/** The format of a topic: other declared types are lines, other numbers are kept raw. */
export function formatFor(topic: string): Format {
  return FORMATS.get(topic) ?? (DIGITS.test(topic) ? rawFormat : metaLinesFormat);
}
