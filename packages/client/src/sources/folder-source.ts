import type { Stats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type FSWatcher, watch } from 'chokidar';
import { Wakeup } from '../wakeup.ts';
import { readFile } from './file-source.ts';
import type { Source } from './source.ts';

/** How a folder is watched. */
export interface FolderOptions {
  readonly path: string;
  /** Watch the subfolder of the day, and wait for it to appear. */
  readonly daily: boolean;
  /** Send files as they are, not in base64. */
  readonly json: boolean;
  /** How long a file must stay as it is to be complete, in ms. */
  readonly quietMs: number;
  /** Wall clock, ms since 1970. */
  readonly now: () => number;
  /** Said when a file cannot be read. */
  readonly onTrouble: (text: string) => void;
}

/** A multiple of 3, so that the base64 of the pieces is that of the whole file. */
const PIECE_BYTES = 49_152;
const NEWLINE = Buffer.from('\n');
/** How often a look is taken whether the day has changed, in ms. */
const DAY_CHECK_MS = 1000;

/**
 * The files of a folder and its subfolders: those that are there, oldest first, then each one that is new or was
 * changed, once it is complete. Each file is one line, as the Go client makes it: its base64 (its bytes with `json`)
 * and a newline.
 */
export function folderSource(options: FolderOptions): Source {
  return {
    name: options.path,
    endless: true,
    async *read(stop) {
      for await (const path of watchedFiles(options, stop)) yield* fileAsLine(path, options, stop);
    },
  };
}

/** The paths of the folder's files, in the order in which they are to be sent; ends when `stop` aborts. */
export async function* watchedFiles(options: FolderOptions, stop: AbortSignal): AsyncIterable<string> {
  const queue = new FileQueue(options, stop);
  try {
    yield* queue.files();
  } finally {
    await queue.close();
  }
}

/** The day's subfolder: YYYYMMDD, in local time. */
export function dailyFolder(path: string, time: number): string {
  const date = new Date(time);
  const month = String(date.getMonth() + 1).padStart(2, '0');
  const day = String(date.getDate()).padStart(2, '0');
  return join(path, `${date.getFullYear()}${month}${day}`);
}

/** Paths of complete files, in the order in which they are to be sent. */
class FileQueue {
  readonly #options: FolderOptions;
  readonly #stop: AbortSignal;
  readonly #waiting = new Set<string>();
  readonly #more = new Wakeup();
  /** The newest last; with `daily` the day's before it too, for files that were being written at midnight. */
  #watchers: { folder: string; watcher: FSWatcher }[] = [];

  constructor(options: FolderOptions, stop: AbortSignal) {
    this.#options = options;
    this.#stop = stop;
  }

  async *files(): AsyncIterable<string> {
    const wake = () => this.#more.wake();
    this.#stop.addEventListener('abort', wake, { once: true });
    await this.#follow();
    const timer = this.#options.daily ? setInterval(() => void this.#follow(), DAY_CHECK_MS) : undefined;
    try {
      while (!this.#stop.aborted) {
        const [path] = this.#waiting;
        if (path === undefined) {
          await this.#more.wait();
          continue;
        }
        // Before it is read: a change while it is read brings it back.
        this.#waiting.delete(path);
        yield path;
      }
    } finally {
      clearInterval(timer);
      this.#stop.removeEventListener('abort', wake);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#watchers.map(({ watcher }) => watcher.close()));
  }

  /** Starts to watch the folder, or with `daily` the folder of a new day. */
  async #follow(): Promise<void> {
    const { path, daily, now, quietMs } = this.#options;
    const folder = daily ? dailyFolder(path, now()) : path;
    if (this.#watchers.at(-1)?.folder === folder) return;
    const watcher = watch(folder, {
      followSymlinks: false,
      ignoreInitial: false,
      awaitWriteFinish: { stabilityThreshold: quietMs, pollInterval: Math.min(100, quietMs) },
    });
    this.#watchers.push({ folder, watcher });
    let existing: Map<string, Stats> | undefined;
    const early: [string, Stats | undefined][] = [];
    const add = (file: string, stats: Stats | undefined) => {
      if (existing === undefined) {
        early.push([file, stats]);
        return;
      }
      const known = existing.get(file);
      existing.delete(file);
      if (known !== undefined && known.size === stats?.size && known.mtimeMs === stats.mtimeMs) return;
      this.#waiting.add(file);
      this.#more.wake();
    };
    watcher.on('add', add);
    watcher.on('change', add);
    watcher.on('error', (error) => this.#options.onTrouble(`cannot watch ${folder}: ${(error as Error).message}`));
    existing = await oldestFirst(folder, Date.now() - quietMs);
    for (const file of existing.keys()) this.#waiting.add(file);
    for (const [file, stats] of early) add(file, stats);
    this.#more.wake();
    if (this.#watchers.length > 2) await this.#watchers.shift()?.watcher.close();
  }
}

/** The files that were last changed before `time` (ms since 1970); younger ones may not be complete. */
async function oldestFirst(folder: string, time: number): Promise<Map<string, Stats>> {
  const found: [string, Stats][] = [];
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const stats = await stat(path).catch(() => undefined);
    if (stats !== undefined && stats.mtimeMs < time) found.push([path, stats]);
  }
  return new Map(found.sort(([a, one], [b, other]) => one.mtimeMs - other.mtimeMs || (a < b ? -1 : 1)));
}

async function* fileAsLine(path: string, options: FolderOptions, stop: AbortSignal): AsyncIterable<Buffer> {
  let begun = false;
  try {
    for await (const piece of readFile(path, PIECE_BYTES, stop)) {
      begun = true;
      yield options.json ? piece : Buffer.from(piece.toString('base64'), 'latin1');
    }
  } catch (error) {
    options.onTrouble(`${path} cannot be read: ${(error as Error).message}`);
    if (!begun) return;
  }
  yield NEWLINE;
}
