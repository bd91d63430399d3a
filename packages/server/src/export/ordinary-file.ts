import { constants } from 'node:fs';
import { lstat, open, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { D4Error } from '@d4ts/protocol';

/** An authority takes about 2 KiB; all those that a system trusts, 250. */
const MOST_AUTHORITY_BYTES = 1024 * 1024;

/**
 * Reads a file of authorities (PEM). Pipes and devices are not even opened: reading one may take for ever.
 * @throws {D4Error} D4_EXPORT_CA where it cannot be read, is no file, or has more than 1 MiB
 */
export async function readAuthorities(path: string): Promise<string> {
  const wrong = (why: string, cause?: unknown) =>
    new D4Error('D4_EXPORT_CA', `the authorities in ${path} cannot be read: ${why}`, cause);
  try {
    if (!(await stat(path)).isFile()) throw wrong('it is not an ordinary file');
    // Whatever has taken its place meanwhile.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const { size } = await file.stat();
      if (size > MOST_AUTHORITY_BYTES) throw wrong(`it has ${size} bytes, and may have ${MOST_AUTHORITY_BYTES}`);
      const bytes = Buffer.alloc(MOST_AUTHORITY_BYTES);
      const { bytesRead } = await file.read(bytes, 0, bytes.length);
      return bytes.toString('utf8', 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw error instanceof D4Error ? error : wrong(error instanceof Error ? error.message : String(error), error);
  }
}

/**
 * Looks whether a server may append records to a path: to an ordinary file, or one that is not there yet, outside of its home.
 * @param home the server's folder
 * @throws {D4Error} D4_EXPORT_FILE where it may not
 */
export async function checkOutputFile(path: string, home: string): Promise<void> {
  const wrong = (why: string) => new D4Error('D4_EXPORT_FILE', `records cannot be written to ${path}: ${why}`);
  const there = await stat(path).catch(() => undefined);
  if (there !== undefined && !there.isFile()) throw wrong('it is not an ordinary file');
  const isDangling = there === undefined && (await lstat(path).catch(() => undefined)) !== undefined;
  if (isDangling) throw wrong('it is a link to what is not there');
  const folder = await realOf(home);
  const places = [resolve(path), await realOf(path), join(await realOf(dirname(path)), basename(path))];
  if (places.some((place) => isWithin(place, folder) || isWithin(place, resolve(home)))) {
    throw wrong("it lies in the server's home; choose a path outside of it");
  }
}

/** A path without links, as far as it is there. */
async function realOf(path: string): Promise<string> {
  return await realpath(path).catch(() => resolve(path));
}

function isWithin(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way !== '..' && !way.startsWith(`..${sep}`);
}
