import { lstat, mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { syncFolder } from '../journal/segment.ts';

/**
 * Makes folders below a root. A link in the way is never followed: it is renamed aside, and said so (docs/journal.md,
 * rule 32). What was looked at once is looked at again, for somebody may have put a link there since.
 */
export class Folders {
  readonly root: string;
  readonly #log: Logger;
  /** Folders that are being looked at, or made. */
  readonly #making = new Map<string, Promise<void>>();

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
      const making = this.#making.get(path) ?? this.#makeOne(path, parent);
      this.#making.set(path, making);
      try {
        await making;
      } finally {
        this.#making.delete(path);
      }
    }
    return path;
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
