import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { D4Error } from '@d4ts/protocol';
import { BackOff } from './back-off.ts';
import type { Output, OutputEvents } from './output-target.ts';

/** How long a full pipe is waited for before it is tried again. */
const FULL_PIPE_MS = 20;
/** How often it is looked whether somebody has moved the file away. */
const MOVED_MS = 1_000;

/**
 * Appends to a file, which is opened again when somebody has moved or removed it (log rotation), or writes into a named
 * pipe, whose reader may come and go.
 */
export class FileOutput implements Output {
  readonly where: string;
  readonly #path: string;
  readonly #events: OutputEvents;
  readonly #check: () => Promise<void>;
  readonly #backOff = new BackOff();
  #file: FileHandle | undefined;
  #stats: Stats | undefined;
  #lookedAt = 0;

  /** @param check throws where the path must not be opened; asked each time before it is */
  constructor(path: string, events: OutputEvents, check: () => Promise<void> = async () => {}) {
    this.#path = path;
    this.#events = events;
    this.#check = check;
    this.where = `file ${path}`;
  }

  async write(bytes: Buffer, signal: AbortSignal): Promise<boolean> {
    for (let at = 0; at < bytes.length; ) {
      if (signal.aborted) return false;
      try {
        const file = await this.#opened();
        const { bytesWritten } = await file.write(bytes, at);
        at += bytesWritten;
        this.#events.works();
        this.#backOff.reset();
      } catch (error) {
        if (codeOf(error) === 'EAGAIN') {
          await sleep(FULL_PIPE_MS, undefined, { signal }).catch(() => {});
          continue;
        }
        this.#events.fails(this.#problem(error));
        await this.#forget();
        await this.#backOff.wait(signal);
      }
    }
    return true;
  }

  async flush(): Promise<void> {
    if (this.#stats?.isFile() === true) await this.#file?.datasync();
  }

  close(): Promise<void> {
    return this.#forget();
  }

  async #opened(): Promise<FileHandle> {
    if (this.#file !== undefined && !(await this.#wasMoved())) return this.#file;
    await this.#forget();
    await this.#check();
    // Without a reader a named pipe is refused, where it would keep a thread waiting.
    const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK } = constants;
    const file = await open(this.#path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0o640);
    this.#file = file;
    this.#stats = await file.stat();
    this.#lookedAt = performance.now();
    return file;
  }

  async #wasMoved(): Promise<boolean> {
    if (performance.now() - this.#lookedAt < MOVED_MS) return false;
    this.#lookedAt = performance.now();
    const now = await stat(this.#path).catch(() => undefined);
    return now?.ino !== this.#stats?.ino || now?.dev !== this.#stats?.dev;
  }

  async #forget(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close().catch(() => {});
  }

  #problem(error: unknown): string {
    if (error instanceof D4Error) return error.message;
    if (codeOf(error) === 'ENXIO') return `nobody reads the pipe ${this.#path}`;
    const why = error instanceof Error ? error.message : String(error);
    return `cannot write to ${this.#path}: ${why}`;
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
