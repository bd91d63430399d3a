import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { D4Error } from '@d4ts/protocol';
import { Parser, type ReadEntry } from 'tar';
import { BACKUP_FORMAT, type BackupManifest, MANIFEST_NAME, manifestFrom } from './manifest.ts';

const MAX_MANIFEST_BYTES = 256 * 1024 * 1024;

/** Takes the bytes of a file of a backup; resolved when they are taken. */
export type EntryTaker = (name: string, content: AsyncIterable<Buffer>) => Promise<void>;

/**
 * Reads a backup to its end, and compares each file with what the manifest says of it.
 * @param take gets each file before it is known whether it is right
 * @throws {D4Error} D4_BACKUP: it is none, is cut off, is damaged, or was made by a newer version
 */
export async function readBackup(file: string, take: EntryTaker): Promise<BackupManifest> {
  const found = new Map<string, { bytes: number; sha256: string }>();
  let manifest: string | undefined;
  let failure: unknown;
  let working: Promise<void> = Promise.resolve();
  const parser = new Parser({
    strict: true,
    onReadEntry: (entry) => {
      working = working
        .then(async () => {
          if (failure !== undefined) return;
          if (manifest !== undefined) throw damaged(file, `${entry.path} stands behind its manifest`);
          if (entry.type !== 'File' || !isBelow(entry.path))
            throw damaged(file, `it holds ${JSON.stringify(entry.path)}, which is no file of a home`);
          if (entry.path === MANIFEST_NAME) manifest = await textOf(entry);
          else if (found.has(entry.path)) throw damaged(file, `it holds ${entry.path} twice`);
          else found.set(entry.path, await measured(entry, (content) => take(entry.path, content)));
        })
        .catch((error: unknown) => {
          failure ??= error;
        })
        .finally(() => entry.resume());
    },
  });
  const ended = once(parser, 'end');
  ended.catch(() => {});
  const gunzip = createGunzip();
  pipeline(createReadStream(file), gunzip, () => {});
  try {
    for await (const chunk of gunzip) {
      if (failure !== undefined) break;
      if (!parser.write(chunk)) await Promise.race([once(parser, 'drain'), ended]);
    }
    if (failure === undefined) {
      parser.end();
      await ended;
    }
  } catch (error) {
    failure ??= error;
  } finally {
    gunzip.destroy();
  }
  if (failure === undefined) await working;
  if (failure instanceof D4Error) throw failure;
  if (failure !== undefined) throw damaged(file, reasonOf(failure), failure);
  return compared(file, manifest, found);
}

function compared(
  file: string,
  text: string | undefined,
  found: ReadonlyMap<string, { bytes: number; sha256: string }>,
): BackupManifest {
  if (text === undefined) throw damaged(file, 'it ends before its manifest: it is not whole');
  const format: unknown = formatIn(text);
  if (typeof format === 'number' && format > BACKUP_FORMAT) {
    throw new D4Error(
      'D4_BACKUP',
      `${file} has format ${format}, and this version of the program knows formats up to ${BACKUP_FORMAT}: use the newer version that made it`,
    );
  }
  const manifest = manifestFrom(text);
  if (manifest === undefined) throw damaged(file, 'its manifest cannot be read');
  for (const { path, bytes, sha256 } of manifest.files) {
    const there = found.get(path);
    if (there === undefined) throw damaged(file, `it lacks ${path}`);
    if (there.bytes !== bytes || there.sha256 !== sha256) throw damaged(file, `${path} is not what was put into it`);
  }
  if (found.size !== manifest.files.length) throw damaged(file, 'it holds files that its manifest does not name');
  return manifest;
}

/** In words of our own where the system's or zlib's would puzzle. */
function reasonOf(failure: unknown): string {
  if (!(failure instanceof Error)) return String(failure);
  const code = 'code' in failure ? String(failure.code) : '';
  return REASONS[code] ?? failure.message;
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'it cannot be read: permission is denied',
  EISDIR: 'it is a folder; "d4 backup" makes one file',
  Z_DATA_ERROR: 'it is damaged, or no backup that "d4 backup" has made',
  Z_BUF_ERROR: 'it is cut off: not whole',
  TAR_BAD_ARCHIVE: 'it is no backup that "d4 backup" has made',
};

function formatIn(text: string): unknown {
  try {
    return (JSON.parse(text) as { format?: unknown } | null)?.format;
  } catch {
    return undefined;
  }
}

/** Whether a name leads to a place below the home, on every system. */
function isBelow(name: string): boolean {
  const parts = name.split('/');
  return parts.every((part) => part !== '' && part !== '.' && part !== '..' && !/[\\\0]/.test(part));
}

async function textOf(entry: ReadEntry): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of entry) {
    bytes += chunk.length;
    if (bytes > MAX_MANIFEST_BYTES) throw new Error('its manifest is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function measured(
  entry: ReadEntry,
  take: (content: AsyncIterable<Buffer>) => Promise<void>,
): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  async function* passing(): AsyncGenerator<Buffer> {
    for await (const chunk of entry) {
      bytes += chunk.length;
      hash.update(chunk);
      yield chunk;
    }
  }
  await take(passing());
  return { bytes, sha256: hash.digest('hex') };
}

function damaged(file: string, why: string, cause?: unknown): D4Error {
  return new D4Error('D4_BACKUP', `${file} cannot be restored: ${why}`, cause);
}
