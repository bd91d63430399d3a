import { crc32 } from 'node:zlib';
import { D4Error } from '@d4ts/protocol';
import { ENTRY_KIND, type EntryKind } from './port.ts';

/** Version of the segment format; a newer one is refused. */
export const SEGMENT_VERSION = 1;
/** Bytes of an entry before its body. */
export const ENTRY_HEADER_BYTES = 48;
/**
 * The largest body of an entry of whole records, and the largest fragment of a larger record, in bytes
 * (docs/journal.md, rule 6).
 */
export const MAX_ENTRY_BYTES = 256 * 1024;
/** The largest body of a `define` entry, which holds a meta header and a preamble, in bytes. */
export const MAX_DEFINE_BYTES = 2 * 1024 * 1024;
/** Bytes of a segment before its first entry: its header, twice, because without it no entry can be checked. */
export const SEGMENT_HEADER_BYTES = 8192;

const SEGMENT_MAGIC = Buffer.from('D4SEGMNT', 'latin1');
const SEGMENT_COPY_BYTES = SEGMENT_HEADER_BYTES / 2;
const SEGMENT_FIXED_BYTES = 40;
/** "D4E" and a byte that is in no text. */
const ENTRY_MAGIC = 0x9e_45_34_44;
const ENTRY_MAGIC_BYTES = Buffer.from([0x44, 0x34, 0x45, 0x9e]);
const FIRST_KIND = ENTRY_KIND.define;
const LAST_KIND = ENTRY_KIND.file;

const AT_CRC = 4;
const AT_LENGTH = 8;
const AT_KIND = 12;
const AT_FLAGS = 13;
const AT_STREAM = 16;
const AT_RECORDS = 20;
const AT_SEQUENCE = 24;
const AT_OFFSET = 32;
const AT_TIME = 40;

/** What a segment file says of itself in its first bytes. */
export interface SegmentHeader {
  readonly topic: string;
  readonly firstSequence: number;
  /** ms since 1970 */
  readonly createdAt: number;
  /**
   * Where the CRC of each entry starts from, its place in the file added. Random and never told to anybody, so that a
   * sensor cannot send bytes that recovery would take for an entry; not even a copy of this very file.
   */
  readonly salt: number;
}

/** An entry's header, decoded. */
export interface EntryHeader {
  readonly length: number;
  readonly kind: EntryKind;
  readonly flags: number;
  /** The stream's number within the segment. */
  readonly stream: number;
  readonly records: number;
  readonly sequence: number;
  readonly offset: number;
  readonly time: number;
}

function writeU64(target: Buffer, value: number, at: number): void {
  target.writeUInt32LE(value >>> 0, at);
  target.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4);
}

function readU64(source: Buffer, at: number): number {
  return source.readUInt32LE(at) + source.readUInt32LE(at + 4) * 0x1_0000_0000;
}

/** The first bytes of a segment, two copies of: magic, version, sizes, first sequence, time, salt, topic, CRC-32. */
export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const topic = Buffer.from(header.topic, 'utf8');
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  const length = SEGMENT_FIXED_BYTES + topic.length;
  SEGMENT_MAGIC.copy(bytes);
  bytes.writeUInt16LE(SEGMENT_VERSION, 8);
  bytes.writeUInt16LE(topic.length, 10);
  writeU64(bytes, header.firstSequence, 16);
  writeU64(bytes, header.createdAt, 24);
  bytes.writeUInt32LE(header.salt, 32);
  topic.copy(bytes, SEGMENT_FIXED_BYTES);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, length)), length);
  bytes.copy(bytes, SEGMENT_COPY_BYTES, 0, length + 4);
  return bytes;
}

/**
 * Reads a segment's header, from the second copy where the first one is damaged.
 * @param bytes the first `SEGMENT_HEADER_BYTES` of the file
 * @returns undefined where both copies are damaged
 * @throws {D4Error} D4_JOURNAL_VERSION where a newer program wrote it
 */
export function decodeSegmentHeader(bytes: Buffer): SegmentHeader | undefined {
  return decodeHeaderCopy(bytes) ?? decodeHeaderCopy(bytes.subarray(SEGMENT_COPY_BYTES));
}

function decodeHeaderCopy(bytes: Buffer): SegmentHeader | undefined {
  if (bytes.length < SEGMENT_FIXED_BYTES + 4 || !bytes.subarray(0, 8).equals(SEGMENT_MAGIC)) return undefined;
  const length = SEGMENT_FIXED_BYTES + bytes.readUInt16LE(10);
  if (bytes.length < length + 4 || crc32(bytes.subarray(0, length)) !== bytes.readUInt32LE(length)) return undefined;
  const version = bytes.readUInt16LE(8);
  if (version > SEGMENT_VERSION) {
    throw new D4Error(
      'D4_JOURNAL_VERSION',
      `the journal was written in format ${version}, this program knows ${SEGMENT_VERSION}: use a newer d4`,
    );
  }
  const topic = bytes.toString('utf8', SEGMENT_FIXED_BYTES, length);
  const salt = bytes.readUInt32LE(32);
  return { topic, firstSequence: readU64(bytes, 16), createdAt: readU64(bytes, 24), salt };
}

/** An entry's place: its segment's salt, and its byte position in the file. Its CRC depends on both. */
export interface EntryPlace {
  readonly salt: number;
  readonly position: number;
}

function crcOf(bytes: Buffer, place: EntryPlace): number {
  return crc32(bytes, (place.salt + place.position) >>> 0);
}

/** Writes an entry's header before its body, which must already stand at `at + ENTRY_HEADER_BYTES`, and its CRC. */
export function sealEntry(target: Buffer, at: number, header: EntryHeader, place: EntryPlace): void {
  target.writeUInt32LE(ENTRY_MAGIC, at);
  target.writeUInt32LE(header.length, at + AT_LENGTH);
  target[at + AT_KIND] = header.kind;
  target[at + AT_FLAGS] = header.flags;
  target[at + 14] = 0;
  target[at + 15] = 0;
  target.writeUInt32LE(header.stream, at + AT_STREAM);
  target.writeUInt32LE(header.records, at + AT_RECORDS);
  writeU64(target, header.sequence, at + AT_SEQUENCE);
  writeU64(target, header.offset, at + AT_OFFSET);
  writeU64(target, header.time, at + AT_TIME);
  const end = at + ENTRY_HEADER_BYTES + header.length;
  target.writeUInt32LE(crcOf(target.subarray(at + AT_LENGTH, end), place), at + AT_CRC);
}

/** How much of an entry lies at a place: a whole valid one, too few bytes to tell, or none. */
export type EntryCheck = { readonly found: EntryHeader } | 'incomplete' | 'invalid';

/**
 * Checks the entry at `at`; only bytes below `end` count.
 * @returns 'incomplete' where the header looks right but the bytes end before the entry does
 */
export function checkEntry(bytes: Buffer, at: number, end: number, place: EntryPlace): EntryCheck {
  if (end - at < ENTRY_HEADER_BYTES) {
    const present = Math.min(4, Math.max(0, end - at));
    const fits = bytes.compare(ENTRY_MAGIC_BYTES, 0, present, at, at + present) === 0;
    return fits ? 'incomplete' : 'invalid';
  }
  if (bytes.readUInt32LE(at) !== ENTRY_MAGIC) return 'invalid';
  const length = bytes.readUInt32LE(at + AT_LENGTH);
  const kind = bytes[at + AT_KIND] as number;
  if (kind < FIRST_KIND || kind > LAST_KIND) return 'invalid';
  if (length > (kind === ENTRY_KIND.define ? MAX_DEFINE_BYTES : MAX_ENTRY_BYTES)) return 'invalid';
  const last = at + ENTRY_HEADER_BYTES + length;
  if (last > end) return 'incomplete';
  if (crcOf(bytes.subarray(at + AT_LENGTH, last), place) !== bytes.readUInt32LE(at + AT_CRC)) return 'invalid';
  return {
    found: {
      length,
      kind: kind as EntryKind,
      flags: bytes[at + AT_FLAGS] as number,
      stream: bytes.readUInt32LE(at + AT_STREAM),
      records: bytes.readUInt32LE(at + AT_RECORDS),
      sequence: readU64(bytes, at + AT_SEQUENCE),
      offset: readU64(bytes, at + AT_OFFSET),
      time: readU64(bytes, at + AT_TIME),
    },
  };
}

/** The next place from `at` on where an entry's magic begins (also cut short by `end`), or `end`. */
export function nextMagic(bytes: Buffer, at: number, end: number): number {
  const found = bytes.subarray(0, end).indexOf(ENTRY_MAGIC_BYTES, at);
  if (found >= 0) return found;
  for (let start = Math.max(at, end - 3); start < end; start++) {
    if (bytes.compare(ENTRY_MAGIC_BYTES, 0, end - start, start, end) === 0) return start;
  }
  return end;
}

/** The most bytes that `checkEntry` may need to decide. */
export const MAX_ENTRY_SPAN = ENTRY_HEADER_BYTES + MAX_DEFINE_BYTES;
