import type { Cutter, Format } from '../formats/port.ts';
import type { StreamState } from '../journal/port.ts';

/** What the writer of an acknowledged stream knows of it, and whom it tells. */
export interface AcknowledgedStream {
  /** 32 hexadecimal digits; named by the client. */
  readonly id: string;
  readonly previous: string | undefined;
  /** Its length in the journal, in bytes, and how it stands there; undefined where it begins. */
  readonly resumed: ResumedStream | undefined;
  /** Called when more is committed and synced, up to this offset. */
  readonly onCommitted: (offset: number) => void;
}

/** A stream that is in the journal already. */
export interface ResumedStream {
  readonly offset: number;
  readonly state: StreamState;
  /** Bytes before `offset` that are the journal's fragments of a record which has no last one. */
  readonly fragments?: Buffer | undefined;
  /** The client has nothing before this offset any more, and its CRC-32 of the stream up to there. */
  readonly lostTo?: { readonly offset: number; readonly crc: number } | undefined;
}

/** Why the bytes between the journal's end and the client's first are missing. */
export const SERVER_LOST = 'server-lost';

/**
 * A cutter for where a stream begins or goes on.
 * @param earlier what an earlier stream of the sensor and topic ended with as its preamble
 */
export function cutterFor(format: Format, earlier: Buffer | undefined, resumed: ResumedStream | undefined): Cutter {
  if (resumed === undefined) return format.newCutter(earlier);
  const { preamble, within } = resumed.state;
  // Without what a reader must have seen, it goes on like a stream that came without its beginning (rule 35).
  if (format.preambleAfter !== undefined && preamble.length === 0) return format.newCutter(earlier);
  return format.resumeCutter(preamble, within);
}
