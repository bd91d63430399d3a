import { createHash } from 'node:crypto';
import { HMAC_BYTES } from './header.ts';

/** The block of SHA-256, in bytes. */
export const HMAC_BLOCK_BYTES = 64;

/** A key as HMAC-SHA-256 uses it (RFC 2104). */
export interface HmacPads {
  /** To be hashed in front of the message. */
  readonly inner: Buffer;
  /** To be hashed with that hash behind it, for which there is room. */
  readonly outer: Buffer;
}

/** Prepares a key; one longer than 64 bytes is hashed first. */
export function hmacPads(key: Buffer): HmacPads {
  const block = Buffer.alloc(HMAC_BLOCK_BYTES);
  (key.length > HMAC_BLOCK_BYTES ? createHash('sha256').update(key).digest() : key).copy(block);
  const inner = Buffer.alloc(HMAC_BLOCK_BYTES);
  const outer = Buffer.alloc(HMAC_BLOCK_BYTES + HMAC_BYTES);
  for (let i = 0; i < HMAC_BLOCK_BYTES; i++) {
    inner[i] = (block[i] as number) ^ 0x36;
    outer[i] = (block[i] as number) ^ 0x5c;
  }
  return { inner, outer };
}
