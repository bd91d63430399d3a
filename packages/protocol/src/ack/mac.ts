import { createHmac, hash } from 'node:crypto';
import type { HmacScratch } from '../hmac.ts';
import { HMAC_BLOCK_BYTES, type HmacPads, hmacPads } from '../hmac-pads.ts';
import type { RawAckMessage } from './decoder.ts';
import { ACK_HEAD_BYTES, ACK_MAC_BYTES } from './messages.ts';

const COUNTER_BYTES = 8;
const START = HMAC_BLOCK_BYTES + COUNTER_BYTES;
/** Above this many bytes copying into the scratch buffer costs more than `createHmac` does. */
const SCRATCH_BYTES = 64 * 1024;

/**
 * The MACs of what one side sends over one connection: HMAC-SHA-256 over the number of the message (u64, from 0), its
 * head and its body, cut to the first 16 bytes. The number is not sent: a message that is left out, repeated or moved
 * is found out.
 */
export class AckMac {
  readonly #key: Buffer;
  readonly #pads: HmacPads;
  readonly #scratch: HmacScratch;
  readonly #number: Buffer = Buffer.alloc(COUNTER_BYTES);
  #count = 0;

  /** @param key one of `deriveAckKeys` */
  constructor(key: Buffer, scratch: HmacScratch) {
    this.#key = key;
    this.#pads = hmacPads(key);
    this.#scratch = scratch;
  }

  /** The MAC of the next message: 16 bytes. @param pieces its head and body, in order */
  next(pieces: readonly Buffer[]): Buffer {
    return Buffer.from(this.#next(pieces), 'latin1').subarray(0, ACK_MAC_BYTES);
  }

  /** Whether the next message's MAC is right; compared in constant time. */
  verifies({ head, body, mac }: RawAckMessage): boolean {
    const expected = this.#next([head, ...body]);
    let difference = mac.length ^ ACK_MAC_BYTES;
    for (let i = 0; i < ACK_MAC_BYTES; i++) difference |= expected.charCodeAt(i) ^ (mac[i] as number);
    return difference === 0;
  }

  /** @returns all 32 bytes as a latin1 string */
  #next(pieces: readonly Buffer[]): string {
    this.#number.writeUInt32LE(this.#count >>> 0);
    this.#number.writeUInt32LE(Math.floor(this.#count / 0x1_0000_0000), 4);
    this.#count += 1;
    let bytes = 0;
    for (const piece of pieces) bytes += piece.length;
    if (bytes > SCRATCH_BYTES + ACK_HEAD_BYTES) {
      const hmac = createHmac('sha256', this.#key).update(this.#number);
      for (const piece of pieces) hmac.update(piece);
      return hmac.digest('binary');
    }
    const { block } = this.#scratch;
    this.#pads.inner.copy(block);
    this.#number.copy(block, HMAC_BLOCK_BYTES);
    let at = START;
    for (const piece of pieces) at += piece.copy(block, at);
    this.#pads.outer.write(hash('sha256', block.subarray(0, at), 'binary'), HMAC_BLOCK_BYTES, 'latin1');
    return hash('sha256', this.#pads.outer, 'binary');
  }
}
