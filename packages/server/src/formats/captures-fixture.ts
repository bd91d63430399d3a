import { readFileSync } from 'node:fs';
import fc from 'fast-check';

/** One of the sample streams. */
export function sampleFile(name: string): Buffer {
  return readFileSync(new URL(`../../../../test/data/samples/${name}`, import.meta.url));
}

export interface Packet {
  readonly seconds: number;
  readonly fraction: number;
  readonly data: Buffer;
  /** The length on the wire, if it is not that of the data. */
  readonly original?: number;
}

export const packet: fc.Arbitrary<Packet> = fc.record({
  seconds: fc.integer({ min: 1_700_000_000, max: 1_700_003_600 }),
  fraction: fc.nat(999_999),
  data: fc.oneof(
    { weight: 9, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 120 }).map((bytes) => Buffer.from(bytes)) },
    { weight: 1, arbitrary: fc.integer({ min: 1_400, max: 9_000 }).map((length) => Buffer.alloc(length, 0x45)) },
  ),
});

/** How a capture is written. */
export interface CaptureOptions {
  readonly littleEndian?: boolean;
  readonly nanoseconds?: boolean;
  readonly snaplen?: number;
  readonly linkType?: number;
}

function numbers(littleEndian: boolean, ...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [i, value] of values.entries()) {
    if (littleEndian) bytes.writeUInt32LE(value, i * 4);
    else bytes.writeUInt32BE(value, i * 4);
  }
  return bytes;
}

/** The global header of a pcap stream. */
export function pcapHeader(options: CaptureOptions = {}): Buffer {
  const { littleEndian = true, nanoseconds = false, snaplen = 65_535, linkType = 1 } = options;
  const version = littleEndian ? 0x0004_0002 : 0x0002_0004;
  return numbers(littleEndian, nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4, version, 0, 0, snaplen, linkType);
}

export function pcapPacket(
  { seconds, fraction, data, original = data.length }: Packet,
  options: CaptureOptions = {},
): Buffer {
  return Buffer.concat([numbers(options.littleEndian ?? true, seconds, fraction, data.length, original), data]);
}

/** A pcapng block: type, length, body filled up to four bytes, length again. */
export function block(type: number, body: Buffer, littleEndian = true): Buffer {
  const padding = Buffer.alloc(-body.length & 3);
  const length = body.length + padding.length + 12;
  return Buffer.concat([numbers(littleEndian, type, length), body, padding, numbers(littleEndian, length)]);
}

export function sectionBlock(littleEndian = true, options: Buffer = Buffer.alloc(0)): Buffer {
  const version = littleEndian ? 0x0000_0001 : 0x0001_0000;
  const fixed = numbers(littleEndian, 0x1a2b3c4d, version, 0xffff_ffff, 0xffff_ffff);
  return block(0x0a0d0d0a, Buffer.concat([fixed, options]), littleEndian);
}

export function interfaceBlock(littleEndian = true, options: Buffer = Buffer.alloc(0)): Buffer {
  const fixed = numbers(littleEndian, littleEndian ? 1 : 0x0001_0000, 65_535);
  return block(1, Buffer.concat([fixed, options]), littleEndian);
}

export function packetBlock({ seconds, fraction, data }: Packet, littleEndian = true, interfaceId = 0): Buffer {
  const fixed = numbers(littleEndian, interfaceId, seconds, fraction, data.length, data.length);
  return block(6, Buffer.concat([fixed, data]), littleEndian);
}

/** A statistics block, which is no packet. */
export function statisticsBlock(littleEndian = true): Buffer {
  return block(5, numbers(littleEndian, 0, 1, 2), littleEndian);
}

/** An IPFIX message of sets. */
export function ipfixMessage(
  sets: readonly Buffer[],
  { seconds = 1_700_000_000, sequence = 0, domain = 0 } = {},
): Buffer {
  const body = Buffer.concat(sets);
  const header = Buffer.alloc(16);
  header.writeUInt16BE(10, 0);
  header.writeUInt16BE(16 + body.length, 2);
  header.writeUInt32BE(seconds, 4);
  header.writeUInt32BE(sequence, 8);
  header.writeUInt32BE(domain, 12);
  return Buffer.concat([header, body]);
}

export function ipfixSet(id: number, ...records: readonly Buffer[]): Buffer {
  const body = Buffer.concat(records);
  const head = Buffer.alloc(4);
  head.writeUInt16BE(id, 0);
  head.writeUInt16BE(4 + body.length, 2);
  return Buffer.concat([head, body]);
}

/** A template record; information elements over 0x8000 have an enterprise number. No element: a withdrawal. */
export function ipfixTemplate(id: number, elements: readonly number[], scopes?: number): Buffer {
  const head = Buffer.alloc(scopes === undefined || elements.length === 0 ? 4 : 6);
  head.writeUInt16BE(id, 0);
  head.writeUInt16BE(elements.length, 2);
  if (head.length === 6) head.writeUInt16BE(scopes ?? 0, 4);
  const fields = elements.map((element) => {
    const field = Buffer.alloc(element >= 0x8000 ? 8 : 4);
    field.writeUInt16BE(element, 0);
    field.writeUInt16BE(4, 2);
    if (element >= 0x8000) field.writeUInt32BE(6871, 4);
    return field;
  });
  return Buffer.concat([head, ...fields]);
}
