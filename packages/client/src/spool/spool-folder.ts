import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isStreamId } from '@d4ts/protocol';
import { readSegment, segmentIdentity } from './segment-format.ts';
import type { SpoolSpace } from './spool-space.ts';
import { listSegments, RECORD_FILE, SpooledStream } from './spooled-stream.ts';
import { readStreamRecord, START_MARK, type StreamRecord } from './stream-record.ts';

/** A stream's folder within a spool: its number, by which streams are in order, and its id. */
export interface StreamFolder {
  readonly name: string;
  readonly number: number;
  readonly id: string;
}

const FOLDER_NAME = /^(\d{8})-([0-9a-f]{32})$/;

/** The folder of the spool, in a configuration directory. */
export function spoolPath(configDirectory: string): string {
  return join(configDirectory, 'spool');
}

export function streamFolderName(number: number, id: string): string {
  return `${String(number).padStart(8, '0')}-${id}`;
}

/** The streams' folders of a spool, oldest first; none where there is no spool. */
export async function listStreamFolders(spool: string): Promise<StreamFolder[]> {
  const names = await readdir(spool).catch((error) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names.sort().flatMap((name) => {
    const match = FOLDER_NAME.exec(name);
    const [, number, id] = match ?? [];
    return id !== undefined && isStreamId(id) ? [{ name, number: Number(number), id }] : [];
  });
}

/** What was found of a stream when its folder was opened. */
export interface OpenedStream {
  /** Undefined where nothing says what stream it is: neither its record nor any segment. */
  readonly stream: SpooledStream | undefined;
  /** What is damaged, for people. Damage in the middle is found only when it is read (or by `inspectSpool`). */
  readonly damage: readonly string[];
}

/**
 * Opens what an earlier client left of a stream; only its last segment is read.
 * @throws {D4Error} D4_SPOOL_FORMAT where a newer version wrote it; or the error of the file system
 */
export async function openStreamFolder(spool: string, found: StreamFolder, space: SpoolSpace): Promise<OpenedStream> {
  const folder = join(spool, found.name);
  const damage: string[] = [];
  const segments = await listSegments(folder);
  const bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
  space.add(bytes);
  const record = await recordOf(folder, found.id, segments, damage);
  if (record === undefined && bytes === 0) {
    // The client was killed before anything was in it.
    await rm(folder, { recursive: true, force: true });
    return { stream: undefined, damage };
  }
  if (record === undefined) {
    damage.push(`${folder} does not say what stream it holds; its ${bytes} bytes cannot be sent`);
    return { stream: undefined, damage };
  }
  const last = segments.at(-1);
  const lost = [...record.lost];
  if (last !== undefined) {
    const content = readSegment(await readFile(last.path), found.id, last.path);
    last.to = content.chunks.reduce((to, { offset, length }) => Math.max(to, offset + length), last.from);
    const torn = content.damage.find((range) => range.torn);
    if (torn !== undefined) {
      const known = torn.chunk;
      if (known !== undefined) {
        lost.push({ from: known.offset, to: known.offset + known.length, cause: 'spool-damaged' });
      }
      const what = known === undefined ? '' : `, among them ${known.length} bytes of data`;
      damage.push(`${last.path} ends in ${torn.bytes} bytes that were not completely written${what}`);
    }
  }
  return { stream: new SpooledStream(folder, space, { ...record, lost }, segments), damage };
}

async function recordOf(
  folder: string,
  id: string,
  segments: readonly { readonly path: string }[],
  damage: string[],
): Promise<StreamRecord | undefined> {
  const path = join(folder, RECORD_FILE);
  const record = await readStreamRecord(path);
  if (record !== undefined && record !== 'missing' && record.identity.id === id) return record;
  if (record !== 'missing') damage.push(`${path} is damaged`);
  for (const segment of segments) {
    const identity = segmentIdentity(await readFile(segment.path), segment.path);
    if (identity?.id === id) return { identity, preamble: Buffer.alloc(0), mark: START_MARK, lost: [] };
  }
  return undefined;
}
