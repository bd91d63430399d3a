import { type Framing, framedFormat, type RecordKind } from './framed.ts';
import type { Format } from './port.ts';
import { captureFiles } from './rotation.ts';

/** Bytes of the global header, and of a packet's. */
const HEADER_BYTES = 24;
const PACKET_HEADER_BYTES = 16;
/** The largest packet where the header's snaplen is smaller, and in any case, in bytes (docs/journal.md, rule 7). */
const USUAL_SNAPLEN = 256 * 1024;
const MAX_PACKET_BYTES = 1024 * 1024;
/** What is believed of a packet's original length, and of the time between two packets, while searching. */
const LIKELY_ORIGINAL_BYTES = 1024 * 1024;
const LIKELY_SECONDS_BETWEEN = 7 * 86_400;

const MAGIC_MICROSECONDS = 0xa1b2c3d4;
const MAGIC_NANOSECONDS = 0xa1b23c4d;
const MAJOR_VERSION = 2;

const EMPTY = Buffer.alloc(0);

/** What the global header says. */
interface Dialect {
  readonly littleEndian: boolean;
  /** Parts of a second. */
  readonly fractions: number;
  readonly maxPacketBytes: number;
  readonly linkType: number;
}

/**
 * libpcap captures, version 2.4 (wire type 1): both byte orders, times in micro- and nanoseconds. The header is the
 * preamble; a record is a packet. A header in mid-stream (concatenated captures) is left out where it says the same,
 * and refused where the packets behind it are of another kind. Other variants of the format are refused.
 * Source: draft-ietf-opsawg-pcap.
 */
export const pcapFormat: Format = withFixedPreamble(
  framedFormat({
    name: 'pcap',
    items: 'files',
    maxRecordBytes: PACKET_HEADER_BYTES + MAX_PACKET_BYTES,
    archive: captureFiles('cap'),
    hasPreamble: true,
    newFraming: (preamble) => new PcapFraming(preamble),
  }),
);

/** The preamble is the stream's first record and never changes after it. */
function withFixedPreamble(format: Format): Format {
  const { preambleAfter } = format;
  return {
    ...format,
    preambleAfter: (preamble, records) =>
      preamble.length > 0 ? preamble : (preambleAfter?.(preamble, records) ?? preamble),
  };
}

class PcapFraming implements Framing {
  #preamble: Buffer = EMPTY;
  #dialect: Dialect | undefined;
  #headBytes = HEADER_BYTES;

  constructor(preamble: Buffer) {
    if (preamble.length >= HEADER_BYTES) this.take(preamble, 0, HEADER_BYTES);
  }

  get headBytes(): number {
    return this.#headBytes;
  }

  get preamble(): Buffer {
    return this.#preamble;
  }

  recordBytes(bytes: Buffer, at: number): number {
    const dialect = this.#dialect;
    if (dialect === undefined) return dialectAt(bytes, at) === undefined ? 0 : HEADER_BYTES;
    const captured = u32(bytes, at + 8, dialect);
    if (isHeaderAt(bytes, at)) return HEADER_BYTES;
    return captured > dialect.maxPacketBytes ? 0 : PACKET_HEADER_BYTES + captured;
  }

  kindOf(bytes: Buffer, start: number, end: number): RecordKind {
    const dialect = this.#dialect;
    if (dialect === undefined) return 'preamble';
    if (end - start !== HEADER_BYTES || !isHeaderAt(bytes, start)) return 'item';
    const other = dialectAt(bytes, start);
    const same =
      other?.littleEndian === dialect.littleEndian &&
      other.fractions === dialect.fractions &&
      other.linkType === dialect.linkType;
    return same ? 'repeat' : 'foreign';
  }

  take(bytes: Buffer, start: number, end: number): boolean {
    this.#dialect = dialectAt(bytes, start);
    if (this.#dialect === undefined) return false;
    this.#preamble = Buffer.from(bytes.subarray(start, end));
    this.#headBytes = PACKET_HEADER_BYTES;
    return true;
  }

  isLikely(bytes: Buffer, at: number, before: number): boolean {
    const dialect = this.#dialect;
    if (dialect === undefined) return false;
    const captured = u32(bytes, at + 8, dialect);
    const original = u32(bytes, at + 12, dialect);
    if (captured === 0 || captured > USUAL_SNAPLEN || original < captured || original > LIKELY_ORIGINAL_BYTES)
      return false;
    const seconds = u32(bytes, at, dialect);
    if (seconds === 0 || u32(bytes, at + 4, dialect) >= dialect.fractions) return false;
    return before === -1 || Math.abs(seconds - u32(bytes, before, dialect)) <= LIKELY_SECONDS_BETWEEN;
  }
}

function u32(bytes: Buffer, at: number, { littleEndian }: { readonly littleEndian: boolean }): number {
  return littleEndian ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
}

function dialectAt(bytes: Buffer, at: number): Dialect | undefined {
  const littleEndian = isMagic(bytes.readUInt32LE(at));
  if (!littleEndian && !isMagic(bytes.readUInt32BE(at))) return undefined;
  const order = { littleEndian };
  const major = littleEndian ? bytes.readUInt16LE(at + 4) : bytes.readUInt16BE(at + 4);
  if (major !== MAJOR_VERSION) return undefined;
  return {
    littleEndian,
    fractions: u32(bytes, at, order) === MAGIC_NANOSECONDS ? 1e9 : 1e6,
    maxPacketBytes: Math.min(MAX_PACKET_BYTES, Math.max(u32(bytes, at + 16, order), USUAL_SNAPLEN)),
    // The upper half may say how long the frame check sequence is.
    linkType: u32(bytes, at + 20, order) & 0xffff,
  };
}

/** Whether a global header stands where a packet's should: as one it would be empty, and of the year 2055. */
function isHeaderAt(bytes: Buffer, at: number): boolean {
  if (bytes.readUInt32LE(at + 8) !== 0 || bytes.readUInt32LE(at + 12) !== 0) return false;
  const version = bytes.readUInt32LE(at + 4);
  if (version !== 0x0004_0002 && version !== 0x0200_0400) return false;
  return isMagic(bytes.readUInt32LE(at)) || isMagic(bytes.readUInt32BE(at));
}

function isMagic(value: number): boolean {
  return value === MAGIC_MICROSECONDS || value === MAGIC_NANOSECONDS;
}
