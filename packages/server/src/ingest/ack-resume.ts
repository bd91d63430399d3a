import type { AckOpen, RefusalCode } from '@d4ts/protocol';

/** What the server has of a stream: so much, or all of it; undefined where it knows nothing. */
export type ServerPart =
  | { readonly kind: 'open'; readonly offset: number; readonly crc: number | undefined }
  | { readonly kind: 'ended'; readonly total: number };

/** What becomes of an OPEN. */
export type ResumeDecision =
  /** The client goes on from `offset`; the bytes before it that the server has not (`lost`) are a gap. */
  | { readonly kind: 'resume'; readonly offset: number; readonly lost: number }
  /** All of it was committed before. */
  | { readonly kind: 'ended'; readonly offset: number }
  | { readonly kind: 'refuse'; readonly code: RefusalCode };

/**
 * Decides where a stream goes on (docs/journal.md, rule 41). Where the server has more than the client's first byte, the
 * CRC of the client's RESUME decides later whether it is the same stream.
 */
export function decideResume(
  server: ServerPart | undefined,
  client: Pick<AckOpen, 'from' | 'end' | 'crc'>,
): ResumeDecision {
  const { from, end, crc } = client;
  if (server?.kind === 'ended') {
    if (end === server.total) return { kind: 'ended', offset: end };
    return { kind: 'refuse', code: end > server.total ? 'stream-ended' : 'stream-ahead' };
  }
  const { offset, crc: known } = server ?? { offset: 0, crc: 0 };
  if (offset > end) return { kind: 'refuse', code: 'stream-ahead' };
  if (offset < from) return { kind: 'resume', offset: from, lost: from - offset };
  if (offset === from && known !== undefined && known !== crc) return { kind: 'refuse', code: 'stream-forked' };
  return { kind: 'resume', offset, lost: 0 };
}
