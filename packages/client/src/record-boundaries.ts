import { WIRE_TYPE } from '@d4ts/protocol';

/**
 * Follows one stream and knows where its records end. Pure: it keeps no bytes but an unfinished pcap header. Both calls
 * take the stream's next bytes; an index is one into these bytes, from 0 to their length, and -1 is none.
 */
export interface RecordBoundaries {
  /** What a reader must have seen before it can start at a boundary: the pcap global header; empty for most types. */
  readonly preamble: Buffer;
  /** Takes all of `bytes`. @returns the index of the last boundary in them */
  last(bytes: Buffer): number;
  /** Takes `bytes` up to their first boundary, or all of them where there is none. @returns the boundary's index */
  first(bytes: Buffer): number;
}

/** The boundaries of a wire type's records. What has no known records (such as YAF) can be cut anywhere. */
export function boundariesOf(type: number): RecordBoundaries {
  switch (type) {
    case WIRE_TYPE.pcap:
      return new PcapBoundaries();
    case WIRE_TYPE.dnscap:
      return new DnscapBoundaries();
    case WIRE_TYPE.lines:
    case WIRE_TYPE.ndjson:
    case WIRE_TYPE.passivedns:
    case WIRE_TYPE.declared:
      return new LineBoundaries();
    default:
      return new EveryByte();
  }
}

const NOTHING = Buffer.alloc(0);
const LF = 0x0a;

class LineBoundaries implements RecordBoundaries {
  readonly preamble = NOTHING;

  last(bytes: Buffer): number {
    const at = bytes.lastIndexOf(LF);
    return at === -1 ? -1 : at + 1;
  }

  first(bytes: Buffer): number {
    const at = bytes.indexOf(LF);
    return at === -1 ? -1 : at + 1;
  }
}

/** A dnscap record goes over several lines and starts with `[` at the start of a line. */
class DnscapBoundaries implements RecordBoundaries {
  readonly preamble = NOTHING;
  #afterNewline = false;

  last(bytes: Buffer): number {
    const at = bytes.lastIndexOf('\n[');
    const start = this.#startsRecord(bytes);
    this.#remember(bytes);
    return at !== -1 ? at + 1 : start;
  }

  first(bytes: Buffer): number {
    const start = this.#startsRecord(bytes);
    const at = start === 0 ? -1 : bytes.indexOf('\n[');
    const found = start === 0 ? 0 : at === -1 ? -1 : at + 1;
    if (found === -1) this.#remember(bytes);
    // The boundary's own bytes come again with the next call: it must not be found twice.
    else this.#afterNewline = false;
    return found;
  }

  #startsRecord(bytes: Buffer): number {
    return this.#afterNewline && bytes[0] === 0x5b ? 0 : -1;
  }

  #remember(bytes: Buffer): void {
    if (bytes.length > 0) this.#afterNewline = bytes[bytes.length - 1] === LF;
  }
}

class EveryByte implements RecordBoundaries {
  readonly preamble = NOTHING;

  last(bytes: Buffer): number {
    return bytes.length;
  }

  first(_bytes: Buffer): number {
    return 0;
  }
}

const GLOBAL_HEADER_BYTES = 24;
const PACKET_HEADER_BYTES = 16;
const CAPTURED_LENGTH_AT = 8;
/** No capture tool writes larger packets; beyond it the bytes are not a capture that can be followed. */
const MAX_PACKET_BYTES = 1_048_576;
/** libpcap file magic: microseconds and nanoseconds. */
const MAGICS = [0xa1b2c3d4, 0xa1b23c4d];

/**
 * libpcap: a global header, then packets with their lengths. Bytes that are no such capture can be cut anywhere, as
 * nothing is known of them; the server judges them.
 */
class PcapBoundaries implements RecordBoundaries {
  preamble: Buffer = NOTHING;
  readonly #header = Buffer.alloc(GLOBAL_HEADER_BYTES);
  #filled = 0;
  #needed = GLOBAL_HEADER_BYTES;
  /** Bytes of the current packet's data that are still to come. */
  #data = 0;
  #littleEndian = true;
  #broken = false;

  last(bytes: Buffer): number {
    let found = -1;
    for (let at = 0; at < bytes.length; ) {
      const boundary = this.#advance(bytes, at);
      if (boundary === -1) break;
      found = boundary;
      at = boundary;
      if (this.#broken) return bytes.length;
    }
    return found;
  }

  first(bytes: Buffer): number {
    return this.#broken ? 0 : this.#advance(bytes, 0);
  }

  /** Takes bytes from `from` on up to the end of the current record. @returns that end, or -1 */
  #advance(bytes: Buffer, from: number): number {
    let at = from;
    while (!this.#broken) {
      if (this.#data > 0) {
        const taken = Math.min(this.#data, bytes.length - at);
        this.#data -= taken;
        at += taken;
        return this.#data === 0 ? at : -1;
      }
      const taken = Math.min(this.#needed - this.#filled, bytes.length - at);
      bytes.copy(this.#header, this.#filled, at, at + taken);
      this.#filled += taken;
      at += taken;
      if (this.#filled < this.#needed) return -1;
      this.#filled = 0;
      if (this.preamble.length === 0) {
        this.#globalHeader();
        if (!this.#broken) return at;
      } else {
        this.#packetHeader();
        if (this.#data === 0 && !this.#broken) return at;
      }
    }
    return at;
  }

  #globalHeader(): void {
    this.#littleEndian = MAGICS.includes(this.#header.readUInt32LE(0));
    if (!this.#littleEndian && !MAGICS.includes(this.#header.readUInt32BE(0))) {
      this.#broken = true;
      return;
    }
    this.preamble = Buffer.from(this.#header);
    this.#needed = PACKET_HEADER_BYTES;
  }

  #packetHeader(): void {
    const length = this.#littleEndian
      ? this.#header.readUInt32LE(CAPTURED_LENGTH_AT)
      : this.#header.readUInt32BE(CAPTURED_LENGTH_AT);
    if (length > MAX_PACKET_BYTES) this.#broken = true;
    else this.#data = length;
  }
}
