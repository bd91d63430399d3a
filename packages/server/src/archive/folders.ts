import { lstat, mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { syncFolder } from '../journal/segment.ts';

/** How many folders are known to be there. */
const MAX_KNOWN = 10_000;

/**
 * Makes folders below a root. A link in the way is never followed: it is renamed aside, and said so (docs/journal.md,
 * rule 32).
 */
export class Folders {
  readonly root: string;
  readonly #log: Logger;
  /** Folders that are there, or are being made. */
  readonly #known = new Map<string, Promise<void>>();

  constructor(root: string, log: Logger) {
    this.root = root;
    this.#log = log;
  }

  /** The absolute path of a folder below the root; it and those above it exist. */
  async make(segments: readonly string[]): Promise<string> {
    let path = this.root;
    for (const segment of segments) {
      const parent = path;
      path = join(path, segment);
      if (this.#known.size >= MAX_KNOWN) this.#known.clear();
      const making = this.#known.get(path) ?? this.#makeOne(path, parent);
      this.#known.set(path, making);
      try {
        await making;
      } catch (error) {
        this.#known.delete(path);
        throw error;
      }
    }
    return path;
  }

  /** Forgets what it knows, e.g. because somebody removed a folder. */
  forget(): void {
    this.#known.clear();
  }

  async #makeOne(path: string, parent: string): Promise<void> {
    const found = await lstat(path).catch(() => undefined);
    if (found?.isDirectory()) return;
    if (found !== undefined) {
      const aside = `${path}.not-a-folder-${Date.now()}`;
      await rename(path, aside);
      this.#log.error({ path, aside }, 'something that is no folder stood in the way of the archive: renamed aside');
    }
    await mkdir(path, { mode: 0o750 });
    await syncFolder(parent);
  }
}
