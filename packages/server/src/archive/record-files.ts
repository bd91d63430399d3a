import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { link, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Format, RecordArchive, RecordContext, RecordFile } from '../formats/port.ts';
import type { StreamDefinition } from '../journal/port.ts';
import type { Folders } from './folders.ts';
import { streamFolder } from './names.ts';
import type { FinishedFile } from './part-file.ts';

const compress = promisify(gzip);
const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;
/** Records of one name in one folder; more would be an attack. */
const MAX_SAME_NAME = 10_000;

/** A record, its range in the stream, and the files it makes, or why it makes none. */
export interface FiledRecord {
  readonly from: number;
  readonly to: number;
  /** As it came, its terminator included. */
  readonly bytes: Buffer;
  readonly files: readonly RecordFile[] | undefined;
  readonly rejected: string | undefined;
}

/** The records in the bytes of an entry, which begin at `start` in the stream. Those that are no items are left out. */
export function recordsOf(
  format: Format,
  archive: RecordArchive,
  bytes: Buffer,
  start: number,
  context: RecordContext,
): FiledRecord[] {
  const records: FiledRecord[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = format.recordEnd(bytes, at);
    const itemEnd = format.itemEnd(bytes, at, end);
    if (itemEnd > at) {
      const made = archive.files(bytes.subarray(at, itemEnd), context);
      const record = { from: start + at, to: start + end, bytes: bytes.subarray(at, end) };
      if ('rejected' in made) records.push({ ...record, files: undefined, rejected: made.rejected });
      else records.push({ ...record, files: made, rejected: undefined });
    }
    at = end;
  }
  return records;
}

/** Writes the files of single records below the archive's root. */
export class RecordFileWriter {
  readonly #folders: Folders;

  constructor(folders: Folders) {
    this.#folders = folders;
  }

  /**
   * Writes a file, whose name is durable when its folder is synced. One that is there already with the same bytes is
   * taken for it; with others, the name gets `-2`, `-3`, … (docs/journal.md, rule 32).
   */
  async write(file: RecordFile, stream: StreamDefinition, time: number): Promise<FinishedFile> {
    const top = file.folder === 'shared' ? ['datas', stream.topic] : streamFolder(stream, time);
    const folder = await this.#folders.make([...top, ...file.path]);
    const bytes = file.compress ? await compress(file.bytes, { level: 1 }) : file.bytes;
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const ending = `.${file.extension}${file.compress ? '.gz' : ''}`;
    for (let number = 1; number <= MAX_SAME_NAME; number++) {
      const path = join(folder, `${file.stem}${number === 1 ? '' : `-${number}`}${ending}`);
      if ((await this.#place(path, bytes)) === 'placed') return { path, bytes: bytes.length, sha256 };
      const found = await contentOf(path);
      if (found?.equals(bytes)) return { path, bytes: bytes.length, sha256 };
    }
    throw new Error(`${MAX_SAME_NAME} files named like ${file.stem} in ${folder}`);
  }

  /** Gives bytes a name that nothing has yet. */
  async #place(path: string, bytes: Buffer): Promise<'placed' | 'taken'> {
    const part = `${path}.part`;
    const handle = await open(part, CREATE, 0o640);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    try {
      await link(part, path);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return 'taken';
      throw error;
    } finally {
      await rm(part, { force: true });
    }
    return 'placed';
  }
}

/** The bytes of a regular file; links are not followed. */
async function contentOf(path: string): Promise<Buffer | undefined> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch(() => undefined);
  if (handle === undefined) return undefined;
  try {
    return await readFile(handle);
  } finally {
    await handle.close();
  }
}
