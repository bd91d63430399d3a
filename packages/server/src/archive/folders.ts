import { lstat, mkdir, realpath, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Logger } from 'pino';
import { syncFolder } from '../journal/segment.ts';
import type { Slots } from './slots.ts';

/**
 * Makes folders below a root, and makes them durable. A link in the way is never followed: it is renamed aside, and said
 * so (docs/journal.md, rule 32). What was looked at once is looked at again, for somebody may have put a link there since.
 */
export class Folders {
  readonly root: string;
  readonly #slots: Slots;
  readonly #log: Logger;
  /** Folders that are being looked at, or made. */
  readonly #making = new Map<string, Promise<void>>();
  /** Folders with names in them that may not be durable yet. */
  #unsynced = new Set<string>();
  #realRoot: string | undefined;
  #syncing: Promise<void> | undefined;
  #nextSync: Promise<void> | undefined;

  constructor(root: string, slots: Slots, log: Logger) {
    this.root = root;
    this.#slots = slots;
    this.#log = log;
  }

  /** The absolute path of a folder below the root; it and those above it exist. They are durable after `sync`. */
  async make(segments: readonly string[]): Promise<string> {
    if (await this.#isThere(segments)) return join(this.root, ...segments);
    let path = this.root;
    for (const segment of segments) {
      path = join(path, segment);
      const making = this.#making.get(path) ?? this.#makeOne(path);
      this.#making.set(path, making);
      try {
        await making;
      } finally {
        this.#making.delete(path);
      }
    }
    return path;
  }

  /**
   * Makes the names of all folders that were made durable, and those in `folder`, if given. All that is asked for while a
   * sync goes on is done together, each folder once: what the file system commits for the first is there for the rest.
   * It takes slots: whoever waits for it must have none.
   */
  sync(folder?: string): Promise<void> {
    if (folder !== undefined) this.#unsynced.add(folder);
    else if (this.#unsynced.size === 0) return this.#syncing ?? Promise.resolve();
    this.#nextSync ??= (this.#syncing ?? Promise.resolve()).catch(() => undefined).then(() => this.#syncAll());
    return this.#nextSync;
  }

  async #syncAll(): Promise<void> {
    this.#syncing = this.#nextSync;
    this.#nextSync = undefined;
    const folders = [...this.#unsynced];
    this.#unsynced = new Set();
    try {
      await Promise.all(folders.map((folder) => this.#slots.run(() => syncIfThere(folder))));
    } catch (error) {
      for (const folder of folders) this.#unsynced.add(folder);
      throw error;
    }
  }

  /** One look instead of one at each folder above it: where there is a link among them, the real path is another one. */
  async #isThere(segments: readonly string[]): Promise<boolean> {
    try {
      this.#realRoot ??= await realpath(this.root);
      // The dot is found in folders only.
      return (await realpath(`${join(this.root, ...segments)}/.`)) === join(this.#realRoot, ...segments);
    } catch {
      return false;
    }
  }

  async #makeOne(path: string): Promise<void> {
    const found = await lstat(path).catch(() => undefined);
    if (found?.isDirectory()) return;
    if (found !== undefined) {
      const aside = `${path}.not-a-folder-${Date.now()}`;
      await rename(path, aside);
      this.#log.error({ path, aside }, 'something that is no folder stood in the way of the archive: renamed aside');
    }
    await mkdir(path, { mode: 0o750 });
    this.#unsynced.add(dirname(path));
  }
}

/** A folder that somebody has removed meanwhile has nothing to be made durable. */
async function syncIfThere(folder: string): Promise<void> {
  try {
    await syncFolder(folder);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
}
