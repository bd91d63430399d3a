import { createHash } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline, Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import type { Journal } from '../../journal/port.ts';
import { copyDatabase } from '../../registry/copy-database.ts';
import type { BackupData } from '../../server-facts.ts';
import { tarEnd, tarHead, tarPadding } from '../../tar-entry.ts';
import { VERSION } from '../../version.ts';
import type { HomePaths } from '../home.ts';
import { archiveFiles, type ContentFile, journalFiles, settingFiles } from './backup-contents.ts';
import { BACKUP_FORMAT, type BackupManifest, MANIFEST_NAME } from './manifest.ts';

const CHUNK_BYTES = 256 * 1024;
/** What is in it is mostly compressed already, or has to be written quickly. */
const LEVEL = 1;
/** It holds keys. */
const MODE = 0o600;

/** Of what a backup is made. */
export interface BackupSource {
  readonly paths: HomePaths;
  /** Absolute. */
  readonly archiveRoot: string;
  /** Of the running server; undefined where none runs. */
  readonly journal: Pick<Journal, 'get'> | undefined;
}

/**
 * Makes a backup of a home, as a stream (`.tar.gz`). The registry comes first, so that the journal has all that it speaks
 * of; what the archive makes meanwhile is not announced in it, and made again. The last entry is the manifest.
 */
export function backupStream(source: BackupSource, data: BackupData): Readable {
  const gzip = createGzip({ level: LEVEL });
  // An error of either comes out of `gzip`.
  pipeline(Readable.from(new BackupWriter(source, data).entries(), { objectMode: false }), gzip, () => {});
  return gzip;
}

class BackupWriter {
  readonly #source: BackupSource;
  readonly #data: BackupData;
  readonly #files: BackupManifest['files'] = [];
  readonly #missing: string[] = [];
  readonly #madeAt: number = Date.now();

  constructor(source: BackupSource, data: BackupData) {
    this.#source = source;
    this.#data = data;
  }

  async *entries(): AsyncGenerator<Buffer> {
    const { paths, archiveRoot, journal } = this.#source;
    for (const database of [paths.registry, paths.ledger, paths.maltrail, paths.sessions]) {
      if (existsSync(database)) yield* this.#database(database);
    }
    for (const file of settingFiles(paths)) yield* this.#file(file);
    for (const file of await journalFiles(paths, this.#data, journal)) yield* this.#file(file);
    for await (const file of archiveFiles(archiveRoot, this.#data)) yield* this.#file(file);
    yield* this.#manifest();
    yield tarEnd();
  }

  async *#database(file: string): AsyncGenerator<Buffer> {
    // A name that the next start would clear away.
    const copy = join(this.#source.paths.root, `.backup-${basename(file)}.${process.pid}.new`);
    try {
      await copyDatabase(file, copy);
      yield* this.#file({ file: copy, name: basename(file) });
    } finally {
      rmSync(copy, { force: true });
    }
  }

  async *#file({ file, name, bytes }: ContentFile): AsyncGenerator<Buffer> {
    let handle: FileHandle;
    try {
      handle = await open(file, 'r');
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
      this.#missing.push(name);
      return;
    }
    try {
      const { size, mtime } = await handle.stat();
      const length = Math.min(bytes ?? size, size);
      yield headOf(name, length, mtime);
      const hash = createHash('sha256');
      for (let at = 0; at < length; ) {
        const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, length - at));
        const { bytesRead } = await handle.read(chunk, 0, chunk.length, at);
        if (bytesRead === 0) throw new Error(`${file} became shorter while it was read`);
        const read = chunk.subarray(0, bytesRead);
        hash.update(read);
        yield read;
        at += bytesRead;
      }
      yield tarPadding(length);
      this.#files.push({ path: name, bytes: length, sha256: hash.digest('hex') });
    } finally {
      await handle.close();
    }
  }

  *#manifest(): Generator<Buffer> {
    const { paths, archiveRoot } = this.#source;
    const manifest: BackupManifest = {
      format: BACKUP_FORMAT,
      version: VERSION,
      madeAt: this.#madeAt,
      data: this.#data,
      home: paths.root,
      archiveRoot,
      files: this.#files,
      missing: this.#missing,
    };
    const bytes = Buffer.from(`${JSON.stringify(manifest, undefined, 1)}\n`);
    yield headOf(MANIFEST_NAME, bytes.length, new Date(this.#madeAt));
    yield bytes;
    yield tarPadding(bytes.length);
  }
}

function headOf(path: string, size: number, mtime: Date): Buffer {
  return tarHead({ path, size, mtime, mode: MODE, type: 'File' });
}
