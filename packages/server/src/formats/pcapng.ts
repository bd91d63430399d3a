import { Carry } from './carry.ts';
import { type Framing, framedFormat, type RecordKind } from './framed.ts';
import { type Format, MAX_PREAMBLE_BYTES } from './port.ts';
import { captureFiles } from './rotation.ts';

/** Bytes that tell a block's length: its type, its length, and in a section header the byte order. */
const HEAD_BYTES = 12;
/** The largest packet, and what may stand around it, in bytes. */
const MAX_BLOCK_BYTES = 1024 * 1024 + 64 * 1024;
const LIKELY_BLOCK_BYTES = 256 * 1024;
const MAJOR_VERSION = 1;
const EMPTY = Buffer.alloc(0);

const BLOCK = {
  interface: 1,
  oldPacket: 2,
  simplePacket: 3,
  enhancedPacket: 6,
  /** Reads the same in both byte orders. */
  section: 0x0a0d0d0a,
} as const;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;

/** The shortest of the blocks that matter here, in bytes. */
const SHORTEST: ReadonlyMap<number, number> = new Map([
  [BLOCK.section, 28],
  [BLOCK.interface, 20],
  [BLOCK.oldPacket, 32],
  [BLOCK.simplePacket, 16],
  [BLOCK.enhancedPacket, 32],
]);
const PACKETS: ReadonlySet<number> = new Set([BLOCK.oldPacket, BLOCK.simplePacket, BLOCK.enhancedPacket]);
/** Beside those: name resolution, statistics, journal, decryption secrets, custom. */
const OTHERS: ReadonlySet<number> = new Set([4, 5, 9, 10, 0x0bad, 0x4000_0bad]);

/**
 * pcapng captures (wire type 5): sections of either byte order, one after another. The preamble is the section header
 * and the interface blocks of the section so far; a record is a block, and those that carry packets are counted. Name
 * resolution, statistics and secrets stay where they came. A block that is over the limit or damaged is left out, up
 * to the next three in a row. Source: draft-ietf-opsawg-pcapng.
 */
export const pcapngFormat: Format = framedFormat({
  name: 'pcapng',
  items: 'files',
  maxRecordBytes: MAX_BLOCK_BYTES,
  archive: captureFiles('pcapng'),
  hasPreamble: true,
  newFraming: (preamble) => new PcapngFraming(preamble),
});

class PcapngFraming implements Framing {
  readonly headBytes = HEAD_BYTES;
  #preamble: Buffer = EMPTY;
  /** Grows with the preamble, once it does. */
  #blocks = new Carry();
  /** Of the section; undefined before the first. */
  #littleEndian: boolean | undefined;

  constructor(preamble: Buffer) {
    if (preamble.length < HEAD_BYTES) return;
    this.#littleEndian = sectionOrder(preamble, 0);
    if (this.#littleEndian !== undefined) this.#preamble = preamble;
  }

  get preamble(): Buffer {
    return this.#preamble;
  }

  recordBytes(bytes: Buffer, at: number): number {
    const isSection = bytes.readUInt32LE(at) === BLOCK.section;
    const littleEndian = isSection ? sectionOrder(bytes, at) : this.#littleEndian;
    if (littleEndian === undefined) return 0;
    const length = u32(bytes, at + 4, littleEndian);
    if (length < HEAD_BYTES || length > MAX_BLOCK_BYTES || length % 4 !== 0) return 0;
    const type = u32(bytes, at, littleEndian);
    return length < (SHORTEST.get(type) ?? HEAD_BYTES) ? 0 : length;
  }

  kindOf(bytes: Buffer, start: number, end: number): RecordKind {
    const isSection = bytes.readUInt32LE(start) === BLOCK.section;
    const littleEndian = isSection ? sectionOrder(bytes, start) : this.#littleEndian;
    if (littleEndian === undefined || u32(bytes, end - 4, littleEndian) !== end - start) return 'bad';
    if (isSection) return u16(bytes, start + 12, littleEndian) === MAJOR_VERSION ? 'preamble' : 'bad';
    const type = u32(bytes, start, littleEndian);
    if (type === BLOCK.interface) return 'preamble';
    return PACKETS.has(type) ? 'item' : 'other';
  }

  take(bytes: Buffer, start: number, end: number): boolean {
    const isSection = bytes.readUInt32LE(start) === BLOCK.section;
    if ((isSection ? 0 : this.#preamble.length) + end - start > MAX_PREAMBLE_BYTES) return false;
    if (isSection) {
      this.#littleEndian = sectionOrder(bytes, start);
      this.#blocks = new Carry();
    } else if (this.#blocks.length === 0) this.#blocks.append(this.#preamble);
    this.#blocks.append(bytes.subarray(start, end));
    this.#preamble = this.#blocks.view;
    return true;
  }

  isLikely(bytes: Buffer, at: number): boolean {
    if (this.#littleEndian === undefined) return false;
    const type = u32(bytes, at, this.#littleEndian);
    const known = SHORTEST.has(type) || OTHERS.has(type);
    return known && u32(bytes, at + 4, this.#littleEndian) <= LIKELY_BLOCK_BYTES;
  }
}

/** Whether the section header at `at` says little-endian; undefined where it is none. */
function sectionOrder(bytes: Buffer, at: number): boolean | undefined {
  if (bytes.readUInt32LE(at) !== BLOCK.section) return undefined;
  if (bytes.readUInt32LE(at + 8) === BYTE_ORDER_MAGIC) return true;
  return bytes.readUInt32BE(at + 8) === BYTE_ORDER_MAGIC ? false : undefined;
}

function u32(bytes: Buffer, at: number, littleEndian: boolean): number {
  return littleEndian ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
}

function u16(bytes: Buffer, at: number, littleEndian: boolean): number {
  return littleEndian ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at);
}
