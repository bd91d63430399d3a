import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { D4Error } from '@d4ts/protocol';

/** Largest value file that is read, in bytes; no value is near it. */
const MAX_FILE_BYTES = 1_000_000;

/** The files of a client's configuration directory: one value each. */
export class ConfigFiles {
  readonly directory: string;

  /** @throws {D4Error} D4_CONFIG where there is no such directory */
  constructor(directory: string) {
    this.directory = directory;
    let found: boolean;
    try {
      found = statSync(directory).isDirectory();
    } catch (cause) {
      const hint = 'make it, with one file for each value (key, type, uuid, destination, …)';
      throw new D4Error('D4_CONFIG', `the configuration directory ${directory} cannot be read; ${hint}`, cause);
    }
    if (!found) throw new D4Error('D4_CONFIG', `${directory} is not a directory; -c takes the configuration directory`);
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  /**
   * A file's bytes as they are; undefined where there is no such file.
   * @throws {D4Error} D4_CONFIG where it cannot be read
   */
  bytes(name: string): Buffer | undefined {
    const path = this.path(name);
    try {
      const found = statSync(path);
      if (!found.isFile()) throw new D4Error('D4_CONFIG', `${path} cannot be read: it is no regular file`);
      const { size } = found;
      if (size > MAX_FILE_BYTES) {
        throw new D4Error('D4_CONFIG', `${path} has ${size} bytes; at most ${MAX_FILE_BYTES} are allowed`);
      }
      return readFileSync(path);
    } catch (cause) {
      if (cause instanceof D4Error) throw cause;
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw new D4Error('D4_CONFIG', `${path} cannot be read: ${(cause as Error).message}`, cause);
    }
  }

  /** A file's bytes without one line end (`\n`, `\r\n` or `\r`), as the Go client reads every value. */
  value(name: string): Buffer | undefined {
    const bytes = this.bytes(name);
    if (bytes === undefined) return undefined;
    let end = bytes.length;
    if (bytes[end - 1] === 0x0a) end--;
    if (bytes[end - 1] === 0x0d) end--;
    return bytes.subarray(0, end);
  }

  /** A file's value as text without white space around it; empty where there is no such file. */
  text(name: string): string {
    return this.value(name)?.toString('utf8').trim() ?? '';
  }

  /**
   * Replaces a file at once, or leaves it as it was.
   * @throws {D4Error} D4_CONFIG where that cannot be done
   */
  replace(name: string, content: string): void {
    const path = this.path(name);
    const part = `${path}.${randomBytes(6).toString('hex')}.part`;
    try {
      writeFileSync(part, content, { mode: 0o644, flag: 'wx', flush: true });
      renameSync(part, path);
    } catch (cause) {
      rmSync(part, { force: true });
      throw new D4Error('D4_CONFIG', `${path} cannot be written: ${(cause as Error).message}`, cause);
    }
  }

  /** The error for a bad value: it names the file, the value and what is allowed. */
  bad(name: string, value: string, allowed: string): D4Error {
    const shown = value.length > 200 ? `${value.slice(0, 200)}…` : value;
    return new D4Error('D4_CONFIG', `${this.path(name)} contains ${JSON.stringify(shown)}; allowed is ${allowed}`);
  }

  /** The error for a value that must be there. */
  missing(name: string, allowed: string): D4Error {
    const path = this.path(name);
    return new D4Error('D4_CONFIG', `${path} is missing or empty; write ${allowed} into it`);
  }
}
