import { readFile } from 'node:fs/promises';
import { isStreamId } from '@d4ts/protocol';
import { checkedLine, parseCheckedLine } from './checked-line.ts';
import { replaceDurably } from './durable-file.ts';
import type { LostRange } from './lost-ranges.ts';
import { identityFromJson, identityToJson, type StreamIdentity } from './stream-identity.ts';

/** How a stream ends. */
export interface StreamEnd {
  /** Its length in bytes. */
  readonly total: number;
  /** Whether its source came to its end. */
  readonly complete: boolean;
}

/** A place in a stream up to which its CRC-32 is known. */
export interface StreamMark {
  readonly offset: number;
  readonly crc: number;
}

/**
 * The server refused to go on with the stream as it was (rule 41): from `base` on it is another one. `mark.offset` and
 * all other offsets stay those of the bytes that the source gave.
 */
export interface Rebirth {
  /** The id that the stream has with the server now. */
  readonly id: string;
  /** The id before that one. */
  readonly previous: string;
  /** Where it begins, and the CRC-32 of the stream up to there. */
  readonly base: StreamMark;
}

/** What is known of a stream besides its bytes: `stream.json` in its folder. Only the identity is indispensable. */
export interface StreamRecord {
  readonly identity: StreamIdentity;
  /** The stream's first bytes that a reader must have seen. */
  readonly preamble: Buffer;
  readonly rebirth?: Rebirth;
  /** Acknowledged in any case. */
  readonly mark: StreamMark;
  readonly lost: readonly LostRange[];
  readonly end?: StreamEnd;
}

/** Nothing of a stream. */
export const START_MARK: StreamMark = { offset: 0, crc: 0 };

/** @throws where it cannot be written */
export async function writeStreamRecord(path: string, record: StreamRecord): Promise<void> {
  const { identity, preamble, ...rest } = record;
  const json = { ...identityToJson(identity), preamble: preamble.toString('base64'), ...rest };
  await replaceDurably(path, checkedLine(json));
}

/**
 * Reads a record; 'missing' where there is none, undefined where it is damaged.
 * @throws {D4Error} D4_SPOOL_FORMAT where a newer version wrote it
 */
export async function readStreamRecord(path: string): Promise<StreamRecord | 'missing' | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'missing' : undefined;
  }
  const value = parseCheckedLine(text);
  const identity = identityFromJson(value, path);
  if (identity === undefined) return undefined;
  const { mark, lost, end, preamble, rebirth } = value as Record<string, unknown>;
  return {
    identity,
    preamble: Buffer.from(typeof preamble === 'string' ? preamble : '', 'base64'),
    ...(isRebirth(rebirth) ? { rebirth } : {}),
    mark: isMark(mark) ? mark : START_MARK,
    lost: Array.isArray(lost) ? lost.filter(isLostRange) : [],
    ...(isEnd(end) ? { end } : {}),
  };
}

function isMark(value: unknown): value is StreamMark {
  const { offset, crc } = (value ?? {}) as Partial<StreamMark>;
  return isOffset(offset) && isOffset(crc);
}

/** Whether a value is a rebirth. */
export function isRebirth(value: unknown): value is Rebirth {
  const { id, previous, base } = (value ?? {}) as Partial<Rebirth>;
  return (
    typeof id === 'string' && isStreamId(id) && typeof previous === 'string' && isStreamId(previous) && isMark(base)
  );
}

function isLostRange(value: unknown): value is LostRange {
  const { from, to, cause } = (value ?? {}) as Partial<LostRange>;
  return isOffset(from) && isOffset(to) && from < to && (cause === 'spool-full' || cause === 'spool-damaged');
}

function isEnd(value: unknown): value is StreamEnd {
  const { total, complete } = (value ?? {}) as Partial<StreamEnd>;
  return isOffset(total) && typeof complete === 'boolean';
}

function isOffset(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
