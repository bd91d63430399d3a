import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { D4Error } from '@d4ts/protocol';
import { readFileLedger } from './file-ledger.ts';
import type { LostRange } from './lost-ranges.ts';
import { readSegment, type SegmentContent, segmentIdentity } from './segment-format.ts';
import { listStreamFolders, spoolPath } from './spool-folder.ts';
import { lockSpool } from './spool-lock.ts';
import { listSegments, RECORD_FILE } from './spooled-stream.ts';
import type { StreamIdentity } from './stream-identity.ts';
import { readStreamRecord, type StreamEnd, type StreamRecord } from './stream-record.ts';

/** The name of the ledger of files, in the spool. */
export const LEDGER_FILE = 'files';

/** Something in a spool that is not as it was written. */
export interface SpoolDamage {
  /** The file, or the folder. */
  readonly path: string;
  readonly what: string;
  /** Whether it looks like a write that did not come to its end, as after a power loss. */
  readonly torn: boolean;
}

/** One stream's part of a spool. Offsets and lengths are in bytes of the stream. */
export interface SpooledStreamReport {
  readonly folder: string;
  readonly id: string;
  /** Undefined where the folder does not say what stream it holds: its bytes cannot be sent. */
  readonly identity: StreamIdentity | undefined;
  readonly segments: number;
  /** Of the files. */
  readonly fileBytes: number;
  /** What waits to be sent. */
  readonly waitingBytes: number;
  readonly from: number;
  readonly to: number;
  /** Ranges that are gone: dropped, or damaged. */
  readonly lost: readonly LostRange[];
  /** How it ended; undefined where the client was killed, or is running. */
  readonly end: StreamEnd | undefined;
}

/** What a configuration directory's spool holds. */
export interface SpoolReport {
  /** Whether there is one. */
  readonly exists: boolean;
  readonly path: string;
  /** A client is running on it: what it is writing just now may look torn. */
  readonly inUse: boolean;
  readonly streams: readonly SpooledStreamReport[];
  /** Files of a watched folder: delivered, and begun. */
  readonly files: { readonly done: number; readonly begun: number };
  readonly damage: readonly SpoolDamage[];
}

/** A segment as it was found. */
export interface FoundSegment {
  readonly path: string;
  readonly bytes: Buffer;
  readonly content: SegmentContent;
}

/** A stream's folder as it was found. */
export interface FoundStream {
  readonly folder: string;
  readonly id: string;
  readonly record: StreamRecord | 'missing' | undefined;
  readonly identity: StreamIdentity | undefined;
  readonly segments: readonly FoundSegment[];
}

/**
 * Reads a configuration directory's spool, every byte of it, and changes nothing.
 * @throws {D4Error} D4_CONFIG where there is no such directory; D4_SPOOL_FORMAT where a newer version wrote it; or the error of the file system
 */
export async function inspectSpool(configDirectory: string): Promise<SpoolReport> {
  if (!existsSync(configDirectory)) {
    throw new D4Error('D4_CONFIG', `there is no configuration directory ${configDirectory}`);
  }
  const path = spoolPath(configDirectory);
  const damage: SpoolDamage[] = [];
  const streams: SpooledStreamReport[] = [];
  const inUse = isInUse(path);
  for (const { name, id } of await listStreamFolders(path)) {
    const found = await findStream(join(path, name), id);
    damage.push(...damageOf(found));
    streams.push(reportOf(found));
  }
  const ledger = join(path, LEDGER_FILE);
  const { entries, damaged } = await readFileLedger(ledger);
  if (damaged > 0) damage.push({ path: ledger, what: `${damaged} damaged lines`, torn: false });
  const done = [...entries.values()].filter((entry) => entry.done).length;
  const files = { done, begun: entries.size - done };
  return { exists: existsSync(path), path, inUse, streams, files, damage };
}

function isInUse(path: string): boolean {
  if (!existsSync(join(path, 'lock'))) return false;
  try {
    lockSpool(path).release(false);
    return false;
  } catch (error) {
    if (error instanceof D4Error) return true;
    throw error;
  }
}

/** Reads all of a stream's folder. @throws {D4Error} D4_SPOOL_FORMAT */
export async function findStream(folder: string, id: string): Promise<FoundStream> {
  const record = await readStreamRecord(join(folder, RECORD_FILE));
  const segments: FoundSegment[] = [];
  let identity = typeof record === 'object' && record.identity.id === id ? record.identity : undefined;
  for (const { path } of await listSegments(folder)) {
    const bytes = await readFile(path);
    const content = readSegment(bytes, id, path);
    segments.push({ path, bytes, content });
    const named = segmentIdentity(bytes, path);
    if (named?.id === id) identity ??= named;
  }
  const isOwn = typeof record !== 'object' || record.identity.id === id;
  return { folder, id, record: isOwn ? record : undefined, identity, segments };
}

/** What is damaged in a stream's folder. */
export function damageOf({ folder, record, identity, segments }: FoundStream): SpoolDamage[] {
  const found: SpoolDamage[] = [];
  if (record === undefined) found.push({ path: join(folder, RECORD_FILE), what: 'it cannot be read', torn: false });
  if (identity === undefined && (segments.length > 0 || record === undefined)) {
    found.push({ path: folder, what: 'nothing says what stream it holds: its bytes cannot be sent', torn: false });
  }
  for (const { path, content } of segments) {
    if (content.identity === undefined) found.push({ path, what: 'its header cannot be read', torn: false });
    for (const { at, bytes, torn, chunk } of content.damage) {
      const what = chunk === undefined ? '' : ` (offsets ${chunk.offset} to ${chunk.offset + chunk.length})`;
      found.push({ path, what: `${bytes} bytes at ${at} cannot be read${what}`, torn });
    }
  }
  return found;
}

/** What a stream has lost: what is written down, and the holes. */
export function lostOf({ record, segments }: FoundStream): LostRange[] {
  const known = typeof record === 'object' ? record : undefined;
  const lost: LostRange[] = [...(known?.lost ?? [])];
  let expected = known?.mark.offset ?? 0;
  for (const { content } of segments) {
    for (const { offset, length } of content.chunks) {
      for (const { from, to } of holes(expected, offset, lost)) lost.push({ from, to, cause: 'spool-damaged' });
      expected = Math.max(expected, offset + length);
    }
  }
  return lost.sort((a, b) => a.from - b.from);
}

/** What of a range is not known to be lost. */
function holes(from: number, to: number, lost: readonly LostRange[]): { from: number; to: number }[] {
  let at = from;
  const found: { from: number; to: number }[] = [];
  for (const range of [...lost].sort((a, b) => a.from - b.from)) {
    if (range.to <= at || range.from >= to) continue;
    if (range.from > at) found.push({ from: at, to: range.from });
    at = range.to;
  }
  if (at < to) found.push({ from: at, to });
  return found;
}

function reportOf(found: FoundStream): SpooledStreamReport {
  const { folder, id, record, identity, segments } = found;
  const known = typeof record === 'object' ? record : undefined;
  const chunks = segments.flatMap(({ content }) => content.chunks);
  const acknowledged = known?.mark.offset ?? 0;
  const lost = lostOf(found);
  const from = Math.max(acknowledged, chunks[0]?.offset ?? acknowledged);
  const to = chunks.reduce((end, chunk) => Math.max(end, chunk.offset + chunk.length), from);
  return {
    folder,
    id,
    identity,
    segments: segments.length,
    fileBytes: segments.reduce((sum, { bytes }) => sum + bytes.length, 0),
    waitingBytes: waitingBytes(chunks, acknowledged),
    from,
    to,
    lost,
    end: known?.end,
  };
}

function waitingBytes(chunks: readonly { offset: number; length: number }[], acknowledged: number): number {
  let at = acknowledged;
  let sum = 0;
  for (const { offset, length } of chunks) {
    const from = Math.max(at, offset);
    sum += Math.max(0, offset + length - from);
    at = Math.max(at, offset + length);
  }
  return sum;
}
