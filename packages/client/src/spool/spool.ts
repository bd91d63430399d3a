import { existsSync, mkdirSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { D4Error } from '@d4ts/protocol';
import { listStreamFolders, openStreamFolder, spoolPath, streamFolderName } from './spool-folder.ts';
import { lockSpool, type SpoolLock } from './spool-lock.ts';
import { SpoolSpace } from './spool-space.ts';
import { newSpooledStream, type SpooledStream } from './spooled-stream.ts';
import type { StreamIdentity } from './stream-identity.ts';

/**
 * A client's spool, held by this process: `spool/` in its configuration directory (0700). It keeps what has not been
 * acknowledged, by stream, within a limit (journal rule 42).
 */
export class Spool {
  readonly path: string;
  readonly space: SpoolSpace;
  readonly #lock: SpoolLock;
  #nextNumber = 1;
  /** Oldest first: what earlier clients left, then this one's own. */
  readonly #streams = new Set<SpooledStream>();

  private constructor(path: string, limit: number, lock: SpoolLock) {
    this.path = path;
    this.space = new SpoolSpace(limit);
    this.#lock = lock;
  }

  /**
   * Takes hold of the spool of a configuration directory, and makes it where there is none.
   * @param limit of all its segments together, in bytes
   * @throws {D4Error} D4_SPOOL_HELD by another process; D4_SPOOL_UNUSABLE where the directory cannot be written
   */
  static hold(configDirectory: string, limit: number): Spool {
    const path = spoolPath(configDirectory);
    try {
      if (!existsSync(path)) mkdirSync(path, { mode: 0o700 });
      return new Spool(path, limit, lockSpool(path));
    } catch (error) {
      if (error instanceof D4Error) throw error;
      throw new D4Error('D4_SPOOL_UNUSABLE', `${path} cannot be used: ${(error as Error).message}`, error);
    }
  }

  /**
   * Opens what earlier clients left, oldest first; what is damaged is told and left out, and never prevents a start.
   * @throws {D4Error} D4_SPOOL_FORMAT where a newer version wrote it
   */
  async leftStreams(onDamage: (text: string) => void): Promise<SpooledStream[]> {
    for (const found of await listStreamFolders(this.path)) {
      this.#nextNumber = found.number + 1;
      try {
        const { stream, damage } = await openStreamFolder(this.path, found, this.space);
        for (const text of damage) onDamage(text);
        if (stream !== undefined) this.#streams.add(stream);
      } catch (error) {
        if (error instanceof D4Error) throw error;
        onDamage(`${join(this.path, found.name)} cannot be read: ${(error as Error).message}`);
      }
    }
    return [...this.#streams];
  }

  /** A new stream's part. Nothing is written before there is something to keep. */
  create(identity: StreamIdentity): SpooledStream {
    const name = streamFolderName(this.#nextNumber++, identity.id);
    const stream = newSpooledStream(join(this.path, name), this.space, identity);
    this.#streams.add(stream);
    return stream;
  }

  /** The oldest stream of which something is kept: where room is to be made by dropping. */
  get oldest(): SpooledStream | undefined {
    return [...this.#streams].find(({ start }) => start !== undefined);
  }

  /** A stream that is over. */
  async remove(stream: SpooledStream): Promise<void> {
    this.#streams.delete(stream);
    await stream.remove();
  }

  /** Lets go of it; the folder goes where nothing is in it. */
  release(): void {
    const isEmpty = readdirSync(this.path).every((name) => name === 'lock' || name === 'lock.pid');
    this.#lock.release(isEmpty);
    try {
      if (isEmpty) rmdirSync(this.path);
    } catch {
      // Another client has begun to use it.
    }
  }
}
