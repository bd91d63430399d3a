import type { FileHandle } from 'node:fs/promises';
import {
  checkEntry,
  ENTRY_HEADER_BYTES,
  type EntryHeader,
  MAX_ENTRY_SPAN,
  nextMagic,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
} from './entry-format.ts';
import { ENTRY_KIND, type StreamDefinition } from './port.ts';
import { definitionFrom, type OpenStream, SegmentIndex } from './segment-index.ts';
import { StreamTrails } from './stream-trail.ts';

const WINDOW_BYTES = 4 * 1024 * 1024;

/** Bytes `[from, to)` of a segment that hold no valid entry. */
export interface Damage {
  readonly from: number;
  readonly to: number;
}

/** What a scan of a segment's bytes found. */
export interface SegmentScan {
  readonly index: SegmentIndex;
  /** The end of the last valid entry, in bytes: nothing valid follows. */
  readonly end: number;
  /** Bytes between valid entries (docs/journal.md, rule 12). */
  readonly damage: readonly Damage[];
  /** Where the acknowledged streams stand that have entries here, by id; also those that have ended. */
  readonly acknowledged: ReadonlyMap<string, OpenStream>;
}

/** Looks at an entry of a segment: its header, its bytes, which are the scan's own, and where in the file it stands. */
export type EntryVisitor = (header: EntryHeader, body: Buffer, position: number) => void;

/**
 * Makes a segment's index from the first `size` bytes of its file. At a damaged entry it looks for the next valid one.
 * @param voidFrom entries from this sequence on do not count: the next segment has taken them over after a failed sync
 * @param visit is called for each valid entry, in order
 */
export async function scanSegment(
  file: FileHandle,
  segment: SegmentHeader,
  size: number,
  voidFrom: number = Number.POSITIVE_INFINITY,
  visit?: EntryVisitor,
): Promise<SegmentScan> {
  const index = new SegmentIndex(segment.firstSequence);
  const damage: Damage[] = [];
  const trails = new StreamTrails();
  const window = Buffer.allocUnsafeSlow(Math.min(WINDOW_BYTES, size) + MAX_ENTRY_SPAN);
  let filePosition = SEGMENT_HEADER_BYTES;
  let filled = 0;
  let at = 0;
  let end = filePosition;
  let fileEnd = size;
  for (;;) {
    if (filled - at < MAX_ENTRY_SPAN && filePosition + filled < fileEnd) {
      window.copyWithin(0, at, filled);
      filePosition += at;
      filled -= at;
      at = 0;
      const wanted = Math.min(window.length - filled, fileEnd - filePosition - filled);
      const { bytesRead } = await file.read(window, filled, wanted, filePosition + filled);
      if (bytesRead === 0) fileEnd = filePosition + filled;
      filled += bytesRead;
      continue;
    }
    if (at >= filled) break;
    const position = filePosition + at;
    const check = checkEntry(window, at, filled, { salt: segment.salt, position });
    if (typeof check === 'string' || check.found.sequence < index.endSequence) {
      at = nextMagic(window, at + 1, filled);
      continue;
    }
    if (check.found.sequence >= voidFrom) break;
    if (position > end) damage.push({ from: end, to: position });
    const body = at + ENTRY_HEADER_BYTES;
    at = body + check.found.length;
    const bytes = window.subarray(body, at);
    const definition = definitionIn(check.found, bytes);
    index.add(check.found, position, definition);
    trails.take(check.found, bytes, definition);
    visit?.(check.found, bytes, position);
    end = filePosition + at;
  }
  return { index, end, damage, acknowledged: trails.ends() };
}

function definitionIn(header: EntryHeader, body: Buffer): StreamDefinition | undefined {
  return header.kind === ENTRY_KIND.define ? definitionFrom(JSON.parse(body.toString('utf8'))) : undefined;
}
