import { joinLines } from '../formats/line-run.ts';

/** How records become bytes of a stream. */
export type Framing = (records: readonly Buffer[]) => Buffer;

/** Each record with a newline behind it. */
export const lines: Framing = joinLines;

/** Each record with its length in front, as syslog over TCP and TLS counts octets (RFC 6587, section 3.4.1; RFC 5425). */
export function octetCounted(records: readonly Buffer[]): Buffer {
  return Buffer.concat(records.flatMap((record) => [Buffer.from(`${record.length} `), record]));
}

/** Runs of records of about `maxBytes` each; a larger record is a run of its own. */
export function* runsOf(records: readonly Buffer[], maxBytes: number): Generator<readonly Buffer[]> {
  let from = 0;
  let bytes = 0;
  for (let at = 0; at < records.length; at++) {
    const { length } = records[at] as Buffer;
    if (at > from && bytes + length > maxBytes) {
      yield records.slice(from, at);
      from = at;
      bytes = 0;
    }
    bytes += length;
  }
  if (from < records.length) yield from === 0 ? records : records.slice(from);
}
