import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { readFully } from './segment.ts';

/** What a direct write's place, length and memory have to be multiples of, on every disk in use (open(2), O_DIRECT). */
const BLOCK_BYTES = 4096;
const WASM_PAGE_BYTES = 64 * 1024;
/** More than this is let go after use: one batch, and what the largest append adds to it. */
const MAX_KEPT_BYTES = 24 * 1024 * 1024;
/** Where the system does not know direct writes. */
const O_DIRECT: number = constants.O_DIRECT ?? 0;

/** The part of the standard object that is used here; TypeScript has it among the types of browsers only. */
declare const WebAssembly: { Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer } };

/**
 * Memory to lay out batches in. It begins at the start of a page, as direct writes want it (WebAssembly's memory does),
 * and is used again, because fresh memory is slow.
 */
export class BatchMemory {
  #bytes: Buffer = pages(1);

  /** At least so many bytes; what was in them is lost. */
  room(bytes: number): Buffer {
    if (this.#bytes.length < bytes) this.#bytes = pages(Math.ceil((bytes * 1.5) / WASM_PAGE_BYTES));
    return this.#bytes;
  }

  /** Says that a batch is written. */
  written(): void {
    if (this.#bytes.length > MAX_KEPT_BYTES * 1.5) this.#bytes = pages(1);
  }
}

function pages(count: number): Buffer {
  return Buffer.from(new WebAssembly.Memory({ initial: count }).buffer);
}

/**
 * Appends to a segment file past the page cache, in whole blocks: on a machine whose fresh pages are slow, a buffered
 * write costs ten times as much (`bench/`, journal). The block that is begun is written again with what follows it.
 * What stands behind the committed bytes is zeros; `close` cuts them off.
 */
export class SegmentWriter {
  readonly #file: FileHandle;
  /** The bytes of the block that is begun. */
  readonly #block: Buffer;
  #position: number;

  private constructor(file: FileHandle, position: number, block: Buffer) {
    this.#file = file;
    this.#position = position;
    this.#block = block;
  }

  /** Opens a segment file to go on at `position`; with buffered writes where the file system has no others. */
  static async open(path: string, position: number): Promise<SegmentWriter> {
    const memory = pages(1);
    const begun = position % BLOCK_BYTES;
    for (const direct of [O_DIRECT, 0]) {
      const file = await open(path, constants.O_RDWR | direct).catch((error: unknown) => refused(error, direct));
      if (file === undefined) continue;
      try {
        await readFully(file, memory.subarray(0, BLOCK_BYTES), position - begun);
        return new SegmentWriter(file, position, Buffer.from(memory.subarray(0, BLOCK_BYTES)));
      } catch (error) {
        await file.close();
        refused(error, direct);
      }
    }
    throw new Error('not reached: the last attempt throws');
  }

  /** Where in the memory the next batch has to begin: behind the block that is begun. */
  get lead(): number {
    return this.#position % BLOCK_BYTES;
  }

  /** Writes the batch that stands in `memory` from `lead` to `end`. Nothing is committed by that. */
  async write(memory: Buffer, end: number): Promise<void> {
    const { lead } = this;
    const padded = Math.ceil(end / BLOCK_BYTES) * BLOCK_BYTES;
    this.#block.copy(memory, 0, 0, lead);
    memory.fill(0, end, padded);
    for (let written = 0; written < padded; ) {
      const at = this.#position - lead + written;
      const { bytesWritten } = await this.#file.write(memory, written, padded - written, at);
      written += bytesWritten;
    }
  }

  /** Says that what was written is committed: the next batch follows it. */
  committed(memory: Buffer, end: number): void {
    this.#position += end - this.lead;
    memory.copy(this.#block, 0, end - this.lead, end);
  }

  datasync(): Promise<void> {
    return this.#file.datasync();
  }

  /** Cuts off what is not committed, and closes the file. */
  async close(): Promise<void> {
    try {
      await this.#file.truncate(this.#position);
    } finally {
      await this.#file.close();
    }
  }
}

/** Goes on without direct writes where the system says that it has none for this file. */
function refused(error: unknown, direct: number): undefined {
  if (direct !== 0 && error instanceof Error && 'code' in error && error.code === 'EINVAL') return undefined;
  throw error;
}
