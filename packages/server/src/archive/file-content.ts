import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, lstat, open, realpath } from 'node:fs/promises';
import { isAbsolute, join, relative, sep } from 'node:path';
import { pipeline, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { Announcement } from './announcement.ts';

/**
 * What became of an announced file: `there`; `removed` by somebody, which is no error (docs/journal.md, rule 30);
 * `changed`: something else is in its place; `outside`: the archive's root is another one now.
 */
export const FILE_STATES = ['there', 'removed', 'changed', 'outside'] as const;
export type FileState = (typeof FILE_STATES)[number];

/** What an announcement says about its file on disk. */
export type AnnouncedFile = Pick<Announcement, 'path' | 'bytes'>;

/** Looks whether a file is what was announced, by its kind and length. Links are not followed. */
export async function fileState(root: string, file: AnnouncedFile): Promise<FileState> {
  const below = pathBelow(root, file.path);
  if (below === undefined) return 'outside';
  try {
    return await stateAt(root, below, file, await lstat(file.path, { bigint: true }));
  } catch (error) {
    return stateFor(error) ?? 'changed';
  }
}

/**
 * Opens a file that was announced and is still that: a regular one of the announced length, whose path leads through no
 * link, whatever is done to the folders meanwhile.
 * @returns what became of it where it is not there
 * @throws the system's error where it is there but cannot be read
 */
export async function openAnnounced(
  root: string,
  file: AnnouncedFile,
): Promise<FileHandle | Exclude<FileState, 'there'>> {
  const below = pathBelow(root, file.path);
  if (below === undefined) return 'outside';
  let handle: FileHandle | undefined;
  try {
    // A pipe that was put there would otherwise be waited for.
    handle = await open(file.path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const opened = await handle.stat({ bigint: true });
    const now = await lstat(file.path, { bigint: true });
    const isSame = opened.dev === now.dev && opened.ino === now.ino;
    const state = isSame ? await stateAt(root, below, file, opened) : 'changed';
    if (state === 'there') return handle;
    await handle.close();
    return state;
  } catch (error) {
    await handle?.close();
    const state = stateFor(error);
    if (state === undefined) throw error;
    return state;
  }
}

/**
 * Streams a file's content, and closes it in the end.
 * @param form as it is on disk, or decompressed where it is compressed
 */
export function contentStream(handle: FileHandle, path: string, form: 'stored' | 'decompressed'): Readable {
  const bytes = handle.createReadStream();
  if (form === 'stored' || !path.endsWith('.gz')) return bytes;
  const content = createGunzip();
  // The error of either comes out of `content`.
  pipeline(bytes, content, () => {});
  return content;
}

/** A path below the root, as segments that can be joined to another name of the root. */
function pathBelow(root: string, path: string): string | undefined {
  const below = relative(root, path);
  return below === '' || below === '..' || below.startsWith(`..${sep}`) || isAbsolute(below) ? undefined : below;
}

async function stateAt(
  root: string,
  below: string,
  file: AnnouncedFile,
  found: BigIntStats,
): Promise<'there' | 'changed'> {
  if (!found.isFile() || found.size !== BigInt(file.bytes)) return 'changed';
  const real = await realpath(file.path);
  return real === join(await realpath(root), below) ? 'there' : 'changed';
}

/** What an error of looking at a file, or of opening it, says about it. */
function stateFor(error: unknown): 'removed' | 'changed' | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'removed';
  return code === 'ELOOP' || code === 'ENOTDIR' || code === 'ENXIO' ? 'changed' : undefined;
}
