/**
 * The bytes of a spool segment (docs/client.md, "The spool on disk"): a header that names the stream, then chunks, each
 * with its place in the stream and its CRCs. Pure: this is the only file that knows the bytes.
 */
import { crc32 } from 'node:zlib';
import { D4Error } from '@d4ts/protocol';
import { identityFromJson, identityToJson, type StreamIdentity } from './stream-identity.ts';

/** The most data in one chunk, in bytes: what one flipped bit can cost. */
export const MAX_CHUNK_BYTES = 65_536;
/**
 * What a chunk needs besides its data, in bytes: magic, CRC of the header, CRC of the data, length, offset (u64), CRC of
 * the stream before it, flags.
 */
const CHUNK_HEADER_BYTES = 32;
/** Flag: the chunk begins at the start of a record. */
const STARTS_RECORD = 1;

const SEGMENT_MAGIC = Buffer.from('D4SPOOL\n', 'latin1');
const CHUNK_MAGIC = Buffer.from('D4CK', 'latin1');
/** Magic, CRC, length; then the identity as JSON. */
const SEGMENT_HEADER_BYTES = 16;
/** A meta header may have 100,000 bytes. */
const MAX_IDENTITY_BYTES = 200_000;

/** A piece of a stream, as it is written. */
export interface Chunk {
  /** Offset in the stream. */
  readonly offset: number;
  /** 1 to `MAX_CHUNK_BYTES`. */
  readonly data: Buffer;
  /** CRC-32 of the stream up to the chunk. */
  readonly crc: number;
  /** Whether it begins at the start of a record. */
  readonly startsRecord: boolean;
}

/** One chunk as it lies in a segment's bytes. */
export interface ChunkPlace {
  /** Offset in the stream. */
  readonly offset: number;
  readonly length: number;
  /** CRC-32 of the stream up to the chunk. */
  readonly crc: number;
  readonly startsRecord: boolean;
  /** Where its data begin in the segment. */
  readonly at: number;
}

/** A range of a segment's bytes that cannot be read. */
export interface DamagedRange {
  readonly at: number;
  readonly bytes: number;
  /** Whether nothing valid follows: a write that did not end, most likely. */
  readonly torn: boolean;
  /** The chunk that lies there, where its header could be read. */
  readonly chunk?: { readonly offset: number; readonly length: number };
}

/** What a segment's bytes hold. */
export interface SegmentContent {
  /** Undefined where the header is damaged. */
  readonly identity: StreamIdentity | undefined;
  /** By stream offset; they never overlap. */
  readonly chunks: readonly ChunkPlace[];
  readonly damage: readonly DamagedRange[];
  /** Where the last valid chunk (or the header) ends: what follows can be cut off. */
  readonly validBytes: number;
}

/** The start of a segment. */
export function encodeSegmentHeader(identity: StreamIdentity): Buffer {
  const json = Buffer.from(JSON.stringify(identityToJson(identity)));
  const header = Buffer.alloc(SEGMENT_HEADER_BYTES);
  SEGMENT_MAGIC.copy(header);
  header.writeUInt32LE(json.length, 12);
  header.writeUInt32LE(crc32(json, crc32(header.subarray(12))), 8);
  return Buffer.concat([header, json]);
}

/** The header of a chunk; its data follow. */
export function encodeChunkHeader(streamId: string, { offset, data, crc, startsRecord }: Chunk): Buffer {
  const header = Buffer.allocUnsafe(CHUNK_HEADER_BYTES);
  const seed = seedOf(streamId);
  CHUNK_MAGIC.copy(header);
  header.writeUInt32LE(crc32(data, seed), 8);
  header.writeUInt32LE(data.length, 12);
  header.writeBigUInt64LE(BigInt(offset), 16);
  header.writeUInt32LE(crc, 24);
  header.writeUInt32LE(startsRecord ? STARTS_RECORD : 0, 28);
  header.writeUInt32LE(crc32(header.subarray(8), seed), 4);
  return header;
}

/**
 * Reads a segment, whatever has happened to its bytes: what is damaged is left out and told.
 *
 * @param streamId the CRCs start from it, so a chunk of another stream, such as one in the data of this one, is none
 * @param where for the error's message
 * @throws {D4Error} D4_SPOOL_FORMAT where a newer version wrote it
 */
export function readSegment(bytes: Buffer, streamId: string, where: string): SegmentContent {
  const header = readSegmentHeader(bytes, where);
  const identity = header?.identity.id === streamId ? header.identity : undefined;
  const chunks: ChunkPlace[] = [];
  const damage: DamagedRange[] = [];
  const seed = seedOf(streamId);
  let at = identity === undefined ? 0 : (header?.bytes ?? 0);
  let validBytes = at;
  let streamEnd = 0;
  while (at < bytes.length) {
    const found = nextHeader(bytes, at, seed, streamEnd);
    if (found === undefined || found.at > at) {
      damage.push({ at, bytes: (found?.at ?? bytes.length) - at, torn: found === undefined });
      if (found === undefined) break;
    }
    const data = bytes.subarray(found.at + CHUNK_HEADER_BYTES, found.at + CHUNK_HEADER_BYTES + found.length);
    const { offset, length } = found;
    at = found.at + CHUNK_HEADER_BYTES + data.length;
    if (data.length === length && crc32(data, seed) === found.dataCrc) {
      const { crc, startsRecord } = found;
      chunks.push({ offset, length, crc, startsRecord, at: found.at + CHUNK_HEADER_BYTES });
      streamEnd = offset + length;
      validBytes = at;
      continue;
    }
    const after = data.length === length ? nextHeader(bytes, at, seed, streamEnd) : undefined;
    // The length may be right although the data are not: what follows at once proves it.
    const next = after?.at === at ? at : nextHeader(bytes, found.at + 1, seed, streamEnd)?.at;
    const to = next ?? bytes.length;
    damage.push({ at: found.at, bytes: to - found.at, torn: next === undefined, chunk: { offset, length } });
    streamEnd = next === undefined ? streamEnd : offset;
    at = to;
  }
  return { identity, chunks, damage, validBytes };
}

/** The identity in a segment's first bytes; undefined where they are damaged. */
function readSegmentHeader(bytes: Buffer, where: string): { identity: StreamIdentity; bytes: number } | undefined {
  if (bytes.length < SEGMENT_HEADER_BYTES || !bytes.subarray(0, 8).equals(SEGMENT_MAGIC)) return undefined;
  const length = bytes.readUInt32LE(12);
  const end = SEGMENT_HEADER_BYTES + length;
  if (length > MAX_IDENTITY_BYTES || end > bytes.length) return undefined;
  const json = bytes.subarray(SEGMENT_HEADER_BYTES, end);
  if (crc32(json, crc32(bytes.subarray(12, 16))) !== bytes.readUInt32LE(8)) return undefined;
  try {
    const identity = identityFromJson(JSON.parse(json.toString('utf8')), where);
    return identity === undefined ? undefined : { identity, bytes: end };
  } catch (error) {
    if (error instanceof D4Error) throw error;
    return undefined;
  }
}

/** The identity that a segment names, whoever's it is; undefined where its header is damaged. */
export function segmentIdentity(bytes: Buffer, where: string): StreamIdentity | undefined {
  return readSegmentHeader(bytes, where)?.identity;
}

interface FoundHeader {
  readonly at: number;
  readonly offset: number;
  readonly length: number;
  readonly dataCrc: number;
  readonly crc: number;
  readonly startsRecord: boolean;
}

/** The first valid chunk header from `from` on, of a chunk at or behind the stream offset `leastOffset`. */
function nextHeader(bytes: Buffer, from: number, seed: number, leastOffset: number): FoundHeader | undefined {
  let at = from;
  for (;;) {
    at = bytes.indexOf(CHUNK_MAGIC, at);
    if (at === -1 || at + CHUNK_HEADER_BYTES > bytes.length) return undefined;
    const length = bytes.readUInt32LE(at + 12);
    const offset = Number(bytes.readBigUInt64LE(at + 16));
    if (
      length > 0 &&
      length <= MAX_CHUNK_BYTES &&
      Number.isSafeInteger(offset) &&
      offset >= leastOffset &&
      crc32(bytes.subarray(at + 8, at + CHUNK_HEADER_BYTES), seed) === bytes.readUInt32LE(at + 4)
    ) {
      return {
        at,
        offset,
        length,
        dataCrc: bytes.readUInt32LE(at + 8),
        crc: bytes.readUInt32LE(at + 24),
        startsRecord: (bytes.readUInt32LE(at + 28) & STARTS_RECORD) !== 0,
      };
    }
    at++;
  }
}

function seedOf(streamId: string): number {
  return crc32(streamId);
}
