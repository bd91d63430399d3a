import { open, readFile, rm } from 'node:fs/promises';
import { isStreamId } from '@d4ts/protocol';
import { checkedLine, parseCheckedLine } from './checked-line.ts';
import { replaceDurably } from './durable-file.ts';
import { isRebirth, type Rebirth } from './stream-record.ts';

/** What is remembered of a file that is, or was, delivered: it is read again where a client was killed. */
export interface FileEntry {
  readonly path: string;
  /** The id of its stream. */
  readonly stream: string;
  readonly previous?: string;
  readonly rebirth?: Rebirth;
  /** The file as it was when its stream was begun: bytes, ms since 1970. */
  readonly size: number;
  readonly mtimeMs: number;
  /** How much of the stream was acknowledged, at the least, in bytes. */
  readonly acknowledged: number;
  readonly done: boolean;
}

/** Lines that are out of date are cleared away when there are more than so many. */
const STALE_LINES = 1000;

/**
 * Which files a client has delivered, and how far: `files` in the spool, a line for each change, of which the last one
 * for a path holds. A line that is torn or damaged is left out, and told.
 */
export class FileLedger {
  readonly #path: string;
  readonly #entries: Map<string, FileEntry>;
  #lines: number;

  private constructor(path: string, entries: Map<string, FileEntry>, lines: number) {
    this.#path = path;
    this.#entries = entries;
    this.#lines = lines;
  }

  /** @throws the error of the file system, where there is a file that cannot be read */
  static async open(path: string, onDamage: (text: string) => void): Promise<FileLedger> {
    const { entries, lines, damaged } = await readFileLedger(path);
    if (damaged > 0) onDamage(`${damaged} lines of ${path} are damaged: those files may be sent again`);
    const ledger = new FileLedger(path, entries, lines);
    if (damaged > 0) await ledger.#rewrite();
    return ledger;
  }

  entry(path: string): FileEntry | undefined {
    return this.#entries.get(path);
  }

  get entries(): readonly FileEntry[] {
    return [...this.#entries.values()];
  }

  /** Remembers an entry. @param durably whether before anything else happens */
  async put(entry: FileEntry, durably: boolean): Promise<void> {
    this.#entries.set(entry.path, entry);
    if (this.#lines > this.#entries.size + STALE_LINES) await this.#rewrite();
    else await this.#append(checkedLine(entry), durably);
  }

  /** Forgets files. */
  async forget(paths: readonly string[]): Promise<void> {
    if (paths.length === 0) return;
    for (const path of paths) this.#entries.delete(path);
    await this.#rewrite();
  }

  async #append(line: string, durably: boolean): Promise<void> {
    const file = await open(this.#path, 'a', 0o600);
    try {
      await file.write(line);
      if (durably) await file.datasync();
    } finally {
      await file.close();
    }
    this.#lines++;
  }

  async #rewrite(): Promise<void> {
    const lines = this.entries.map(checkedLine);
    this.#lines = lines.length;
    if (lines.length === 0) {
      await rm(this.#path, { force: true });
      return;
    }
    await replaceDurably(this.#path, lines.join(''));
  }
}

/** What a ledger says; none where there is no such file. */
export async function readFileLedger(
  path: string,
): Promise<{ entries: Map<string, FileEntry>; lines: number; damaged: number }> {
  const entries = new Map<string, FileEntry>();
  const text = await readFile(path, 'utf8').catch((error) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const lines = text.split('\n').filter((line) => line !== '');
  let damaged = 0;
  for (const line of lines) {
    const value = parseCheckedLine(line);
    if (isFileEntry(value)) entries.set(value.path, value);
    else damaged++;
  }
  return { entries, lines: lines.length, damaged };
}

function isFileEntry(value: unknown): value is FileEntry {
  const { path, stream, previous, rebirth, size, mtimeMs, acknowledged, done } = (value ?? {}) as Partial<FileEntry>;
  return (
    typeof path === 'string' &&
    typeof stream === 'string' &&
    isStreamId(stream) &&
    (previous === undefined || (typeof previous === 'string' && isStreamId(previous))) &&
    (rebirth === undefined || isRebirth(rebirth)) &&
    Number.isFinite(size) &&
    Number.isFinite(mtimeMs) &&
    Number.isSafeInteger(acknowledged) &&
    typeof done === 'boolean'
  );
}
