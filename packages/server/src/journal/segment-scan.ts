import type { FileHandle } from 'node:fs/promises';
import { checkEntry, ENTRY_HEADER_BYTES, type EntryHeader, MAX_ENTRY_SPAN, nextMagic } from './entry-format.ts';
import type { Damage } from './segment-index.ts';

const WINDOW_BYTES = 4 * 1024 * 1024;

/** What a scan hands out: each valid entry in order, with its place and body (a view valid during the call). */
export type EntryVisitor = (header: EntryHeader, position: number, body: Buffer) => void;

/** What a scan of a segment's bytes found. */
export interface ScanResult {
  /** The end of the last valid entry: nothing valid follows. */
  readonly end: number;
  /** Bytes between valid entries (docs/journal.md, rule 12). */
  readonly damage: Damage[];
}

/**
 * Reads all entries of a segment file from `start` to `size`. At a damaged entry it looks for the next valid one.
 * Sequences must grow: an entry whose sequence does not is damage too.
 */
export async function scanEntries(
  file: FileHandle,
  start: number,
  size: number,
  salt: number,
  visit: EntryVisitor,
): Promise<ScanResult> {
  const damage: Damage[] = [];
  const window = Buffer.allocUnsafe(WINDOW_BYTES + MAX_ENTRY_SPAN);
  let filePosition = start;
  let filled = 0;
  let at = 0;
  let lastEnd = start;
  let lastSequence = -1;
  for (;;) {
    if (filled - at < MAX_ENTRY_SPAN && filePosition + filled < size) {
      window.copyWithin(0, at, filled);
      filePosition += at;
      filled -= at;
      at = 0;
      const wanted = Math.min(window.length - filled, size - filePosition - filled);
      const { bytesRead } = await file.read(window, filled, wanted, filePosition + filled);
      if (bytesRead === 0) size = filePosition + filled;
      filled += bytesRead;
      continue;
    }
    if (at >= filled) break;
    const check = checkEntry(window, at, filled, salt);
    if (typeof check === 'object' && check.found.sequence > lastSequence) {
      const position = filePosition + at;
      if (position > lastEnd) damage.push({ from: lastEnd, to: position });
      const bodyAt = at + ENTRY_HEADER_BYTES;
      at = bodyAt + check.found.length;
      visit(check.found, position, window.subarray(bodyAt, at));
      lastEnd = filePosition + at;
      lastSequence = check.found.sequence;
    } else {
      at = nextMagic(window, at + 1, filled);
    }
  }
  return { end: lastEnd, damage };
}
