import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gzip, gzipSync } from 'node:zlib';

const compressElsewhere = promisify(gzip);
/** Less than this is compressed at once: handing it to another thread takes longer. */
const SMALL_BYTES = 16 * 1024;
const NO_BYTES = Buffer.alloc(0);
const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;
const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW;

/** What all unfinished files together hold in memory. */
export interface HeldMemory {
  bytes: number;
}

/** A finished file. */
export interface FinishedFile {
  readonly path: string;
  /** Length on disk. */
  readonly bytes: number;
  /** Of what is on disk, hexadecimal. */
  readonly sha256: string;
}

/**
 * A file of the archive that is being written: what comes is gathered in memory and appended as gzip members, so that
 * no descriptor and no compressor stays open (docs/journal.md, rule 27).
 */
export class PartFile {
  /** The name it gets when it is finished. */
  readonly path: string;
  /** What has not been written yet: views of what was given. */
  #pieces: Buffer[] = [];
  #buffered = 0;
  #bytes = 0;
  #created = false;
  readonly #hash: Hash = createHash('sha256');
  readonly #held: HeldMemory;
  readonly #makeFolder: () => Promise<unknown>;

  /** @param makeFolder sees to it that the file's folder is there, and is no link; called before each write */
  constructor(path: string, held: HeldMemory, makeFolder: () => Promise<unknown>) {
    this.path = path;
    this.#held = held;
    this.#makeFolder = makeFolder;
  }

  /** Bytes in memory. */
  get buffered(): number {
    return this.#buffered;
  }

  /** Adds content. The bytes must not change. */
  add(bytes: Buffer): void {
    this.#pieces.push(bytes);
    this.#buffered += bytes.length;
    this.#held.bytes += bytes.length;
  }

  /**
   * Writes what is in memory as one gzip member.
   * @param level 1, or 0 where writing must catch up
   */
  async flush(level: 0 | 1): Promise<void> {
    if (this.#buffered > 0) await this.#write(level);
  }

  /** Writes the rest, syncs, and gives the file its name, which is durable when its folder is synced (rule 29). */
  async finish(level: 0 | 1): Promise<FinishedFile> {
    await this.#write(level, (file) => file.sync());
    await rename(this.#part, this.path);
    return { path: this.path, bytes: this.#bytes, sha256: this.#hash.digest('hex') };
  }

  /** Removes what was written of it. */
  async drop(): Promise<void> {
    this.#letGo();
    if (this.#created) await rm(this.#part, { force: true });
  }

  async #write(level: 0 | 1, after?: (file: FileHandle) => Promise<void>): Promise<void> {
    // Until it is written it is in memory, and has no place on the disk.
    const writing = this.#buffered;
    this.#held.bytes += writing;
    try {
      const member = await this.#takeMember(level);
      await this.#makeFolder();
      const file = await open(this.#part, this.#created ? APPEND : CREATE, 0o640);
      try {
        await file.appendFile(member);
        await after?.(file);
      } finally {
        await file.close();
      }
      this.#created = true;
      this.#bytes += member.length;
      this.#hash.update(member);
    } finally {
      this.#held.bytes -= writing;
    }
  }

  /** What is in memory, compressed; nothing where there is nothing. */
  async #takeMember(level: 0 | 1): Promise<Buffer> {
    const [first = NO_BYTES] = this.#pieces;
    const content = this.#pieces.length > 1 ? Buffer.concat(this.#pieces, this.#buffered) : first;
    this.#letGo();
    if (content.length === 0) return content;
    return content.length < SMALL_BYTES ? gzipSync(content, { level }) : compressElsewhere(content, { level });
  }

  #letGo(): void {
    this.#pieces = [];
    this.#held.bytes -= this.#buffered;
    this.#buffered = 0;
  }

  get #part(): string {
    return `${this.path}.part`;
  }
}
