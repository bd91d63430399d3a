import { packetSummary } from './packet-summary.ts';

/** A record of a capture, in a line. */
export interface CaptureLine {
  readonly text: string;
  /** When it was captured, ms since 1970; undefined where the record does not say. */
  readonly time: number | undefined;
}

const PCAP_HEADER_BYTES = 24;
const PACKET_HEADER_BYTES = 16;
const NANOSECONDS = 0xa1b23c4d;
const PCAPNG = { interface: 1, enhancedPacket: 6, simplePacket: 3 } as const;

/** @param preamble the capture's global header @returns undefined for what is no packet */
export function pcapLine(record: Buffer, preamble: Buffer): CaptureLine | undefined {
  if (preamble.length < PCAP_HEADER_BYTES || record.length < PACKET_HEADER_BYTES) return undefined;
  const magic = preamble.readUInt32LE(0);
  const isLittle = magic === 0xa1b2c3d4 || magic === NANOSECONDS;
  const u32 = (bytes: Buffer, at: number): number => (isLittle ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at));
  const perMs = u32(preamble, 0) === NANOSECONDS ? 1e6 : 1e3;
  const original = u32(record, 12);
  const packet = record.subarray(PACKET_HEADER_BYTES);
  const time = u32(record, 0) * 1_000 + Math.floor(u32(record, 4) / perMs);
  return { text: `${packetSummary(packet, u32(preamble, 20) & 0xffff)}${lengths(packet.length, original)}`, time };
}

/** @param preamble section header and interface blocks @returns undefined for what is no packet */
export function pcapngLine(block: Buffer, preamble: Buffer): CaptureLine | undefined {
  if (block.length < 12 || preamble.length < 12) return undefined;
  const isLittle = preamble.readUInt32LE(8) === 0x1a2b3c4d;
  const u32 = (bytes: Buffer, at: number): number => (isLittle ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at));
  const u16 = (bytes: Buffer, at: number): number => (isLittle ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at));
  const kind = u32(block, 0);
  const isEnhanced = kind === PCAPNG.enhancedPacket && block.length >= 32;
  if (!isEnhanced && (kind !== PCAPNG.simplePacket || block.length < 16)) return undefined;
  const wanted = isEnhanced ? u32(block, 8) : 0;
  let linkType: number | undefined;
  for (let at = 0, count = 0; at + 12 <= preamble.length; ) {
    const length = u32(preamble, at + 4);
    if (length < 12) break;
    if (u32(preamble, at) === PCAPNG.interface) {
      if (count === wanted) linkType = u16(preamble, at + 8);
      count += 1;
    }
    at += length;
  }
  const from = isEnhanced ? 28 : 12;
  const original = u32(block, from - 4);
  const captured = Math.min(isEnhanced ? u32(block, 20) : original, block.length - from - 4);
  const packet = block.subarray(from, from + Math.max(0, captured));
  const text = linkType === undefined ? `${packet.length} B` : packetSummary(packet, linkType);
  return { text: `${text}${lengths(packet.length, original)}`, time: undefined };
}

function lengths(captured: number, original: number): string {
  return captured === original ? ` (${original} B)` : ` (${captured} of ${original} B)`;
}
