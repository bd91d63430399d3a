import { crc32 } from 'node:zlib';

/**
 * The CRC-32 (zlib, IEEE 802.3) of a stream that goes on with these bytes.
 * @param crc of the stream so far; 0 at its start
 */
export function runningCrc(crc: number, bytes: Buffer): number {
  return crc32(bytes, crc);
}
