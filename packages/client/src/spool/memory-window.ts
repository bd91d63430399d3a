import { runningCrc } from '@d4ts/protocol';

const BLOCK_BYTES = 65_536;

interface Block {
  readonly bytes: Buffer;
  /** CRC-32 of the stream up to the block. */
  readonly crc: number;
}

/** The newest bytes of a stream, in memory, by stream offset. What `read` gives out is never changed. */
export class MemoryWindow {
  #blocks: Block[] = [];
  /** Stream offset of the first block's first byte. */
  #base: number;
  #start: number;
  #end: number;
  #crc: number;

  /** @param start stream offset of the first byte to come, and the CRC-32 of the stream up to it */
  constructor(start: { readonly offset: number; readonly crc: number }) {
    this.#base = start.offset;
    this.#start = start.offset;
    this.#end = start.offset;
    this.#crc = start.crc;
  }

  /** Stream offset of the first byte. */
  get start(): number {
    return this.#start;
  }

  /** Stream offset behind the last byte. */
  get end(): number {
    return this.#end;
  }

  get length(): number {
    return this.#end - this.#start;
  }

  /** Copies: small pieces must not keep large buffers. */
  append(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      const inBlock = (this.#end - this.#base) % BLOCK_BYTES;
      if (inBlock === 0) this.#blocks.push({ bytes: Buffer.allocUnsafeSlow(BLOCK_BYTES), crc: this.#crc });
      const block = (this.#blocks.at(-1) as Block).bytes;
      const copied = bytes.copy(block, inBlock, at);
      this.#crc = runningCrc(this.#crc, block.subarray(inBlock, inBlock + copied));
      at += copied;
      this.#end += copied;
    }
  }

  /** At most `maxBytes` from `offset` on, which lies in the window; fewer at a block's end, none only at its own. */
  read(offset: number, maxBytes: number): Buffer {
    const at = offset - this.#base;
    const block = this.#blocks[Math.floor(at / BLOCK_BYTES)];
    const length = Math.min(maxBytes, this.#end - offset);
    return block === undefined
      ? Buffer.alloc(0)
      : block.bytes.subarray(at % BLOCK_BYTES, Math.min(BLOCK_BYTES, (at % BLOCK_BYTES) + length));
  }

  /** As `read`, but as many as there are; copies what lies in two blocks. */
  readWhole(offset: number, maxBytes: number): Buffer {
    const first = this.read(offset, maxBytes);
    const rest = first.length < maxBytes ? this.read(offset + first.length, maxBytes - first.length) : first;
    return rest === first || rest.length === 0 ? first : Buffer.concat([first, rest]);
  }

  /** CRC-32 of the stream up to `offset`, which lies in the window or at its end. */
  crcAt(offset: number): number {
    if (offset === this.#end) return this.#crc;
    const at = offset - this.#base;
    const block = this.#blocks[Math.floor(at / BLOCK_BYTES)] as Block;
    return runningCrc(block.crc, block.bytes.subarray(0, at % BLOCK_BYTES));
  }

  /** Forgets what lies before `offset`. */
  dropBefore(offset: number): void {
    this.#start = Math.max(this.#start, Math.min(offset, this.#end));
    const blocks = Math.floor((this.#start - this.#base) / BLOCK_BYTES);
    this.#blocks.splice(0, blocks);
    this.#base += blocks * BLOCK_BYTES;
  }
}
