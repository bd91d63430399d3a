import { addressText4, addressText6, portsText } from './packet-text.ts';

/** Link types that are understood (https://www.tcpdump.org/linktypes.html). */
export const LINK_TYPE = {
  null: 0,
  ethernet: 1,
  rawBsd: 12,
  raw: 101,
  linuxCooked: 113,
  ipv4: 228,
  ipv6: 229,
  linuxCooked2: 276,
} as const;

const ETHER_TYPE: Readonly<Record<number, string>> = {
  2054: 'ARP',
  32821: 'RARP',
  35020: 'LLDP',
  34958: 'EAPOL',
  34915: 'PPPoE',
  34916: 'PPPoE',
};
const IPV4 = 0x0800;
const IPV6 = 0x86dd;
const VLAN: ReadonlySet<number> = new Set([0x8100, 0x88a8, 0x9100]);
const MAX_VLANS = 2;

const PROTOCOL: Readonly<Record<number, string>> = {
  2: 'IGMP',
  47: 'GRE',
  50: 'ESP',
  51: 'AH',
  89: 'OSPF',
  103: 'PIM',
  112: 'VRRP',
  132: 'SCTP',
};
const ICMP4: Readonly<Record<number, string>> = {
  0: 'echo reply',
  3: 'unreachable',
  5: 'redirect',
  8: 'echo request',
  11: 'time exceeded',
};
const ICMP6: Readonly<Record<number, string>> = {
  1: 'unreachable',
  2: 'too big',
  3: 'time exceeded',
  128: 'echo request',
  129: 'echo reply',
  133: 'router solicitation',
  134: 'router advertisement',
  135: 'neighbour solicitation',
  136: 'neighbour advertisement',
};
/** Hop-by-hop, routing, destination options: their length is in their second byte. */
const EXTENSIONS: ReadonlySet<number> = new Set([0, 43, 60]);
const FRAGMENT = 44;
const MAX_EXTENSIONS = 8;

/** What flags of TCP are written as, from the lowest bit. */
const TCP_FLAGS = ['F', 'S', 'R', 'P', '.', 'U', 'E', 'C'];

/**
 * A packet in one line: addresses, ports, protocol, flags and lengths. Looks at headers alone; whatever the bytes are,
 * it reads none beyond them and does not throw.
 * @param bytes of the packet, as captured from its link layer on
 */
export function packetSummary(bytes: Buffer, linkType: number): string {
  switch (linkType) {
    case LINK_TYPE.ethernet:
      return ethernet(bytes);
    case LINK_TYPE.linuxCooked:
      return bytes.length < 16 ? short('cooked', bytes) : network(bytes.readUInt16BE(14), bytes, 16);
    case LINK_TYPE.linuxCooked2:
      return bytes.length < 20 ? short('cooked', bytes) : network(bytes.readUInt16BE(0), bytes, 20);
    case LINK_TYPE.null:
      return bytes.length < 4 ? short('loopback', bytes) : byVersion(bytes, 4);
    case LINK_TYPE.raw:
    case LINK_TYPE.rawBsd:
    case LINK_TYPE.ipv4:
    case LINK_TYPE.ipv6:
      return byVersion(bytes, 0);
    default:
      return `link type ${linkType}, ${bytes.length} B`;
  }
}

function ethernet(bytes: Buffer): string {
  if (bytes.length < 14) return short('Ethernet', bytes);
  let at = 12;
  let type = bytes.readUInt16BE(at);
  for (let vlans = 0; VLAN.has(type) && vlans < MAX_VLANS && bytes.length >= at + 6; vlans += 1) {
    at += 4;
    type = bytes.readUInt16BE(at);
  }
  if (type === IPV4 || type === IPV6) return network(type, bytes, at + 2);
  const name = type < 0x0600 ? '802.3' : (ETHER_TYPE[type] ?? `ethertype 0x${type.toString(16).padStart(4, '0')}`);
  return `${hardware(bytes, 6)} > ${hardware(bytes, 0)} ${name}${type === 0x0806 ? arp(bytes, at + 2) : ''}`;
}

function arp(bytes: Buffer, at: number): string {
  if (bytes.length < at + 28 || bytes.readUInt16BE(at + 2) !== IPV4) return '';
  const [sender, target] = [addressText4(bytes, at + 14), addressText4(bytes, at + 24)];
  return bytes.readUInt16BE(at + 6) === 1
    ? ` who has ${target}? tell ${sender}`
    : ` ${sender} is at ${hardware(bytes, at + 8)}`;
}

function network(etherType: number, bytes: Buffer, at: number): string {
  if (etherType === IPV4) return ipv4(bytes, at);
  if (etherType === IPV6) return ipv6(bytes, at);
  return ETHER_TYPE[etherType] ?? `ethertype 0x${etherType.toString(16).padStart(4, '0')}`;
}

function byVersion(bytes: Buffer, at: number): string {
  const version = (bytes[at] ?? 0) >> 4;
  if (version === 4) return ipv4(bytes, at);
  return version === 6 ? ipv6(bytes, at) : `no IP packet, ${bytes.length} B`;
}

function ipv4(bytes: Buffer, at: number): string {
  if (bytes.length < at + 20) return short('IPv4', bytes);
  const headerBytes = ((bytes[at] ?? 0) & 0x0f) * 4;
  const addresses = [addressText4(bytes, at + 12), addressText4(bytes, at + 16)] as const;
  if (headerBytes < 20) return `${addresses[0]} > ${addresses[1]} IPv4 with a bad header`;
  const payload = Math.max(0, bytes.readUInt16BE(at + 2) - headerBytes);
  const isLaterFragment = (bytes.readUInt16BE(at + 6) & 0x1fff) !== 0;
  return transport(bytes, {
    at: at + headerBytes,
    protocol: bytes[at + 9] ?? 0,
    addresses,
    payload,
    isLaterFragment,
    version: 4,
  });
}

function ipv6(bytes: Buffer, at: number): string {
  if (bytes.length < at + 40) return short('IPv6', bytes);
  const addresses = [addressText6(bytes, at + 8), addressText6(bytes, at + 24)] as const;
  let protocol = bytes[at + 6] ?? 0;
  let next = at + 40;
  let payload = bytes.readUInt16BE(at + 4);
  let isLaterFragment = false;
  for (let count = 0; count < MAX_EXTENSIONS && bytes.length >= next + 8; count += 1) {
    if (!EXTENSIONS.has(protocol) && protocol !== FRAGMENT) break;
    if (protocol === FRAGMENT) isLaterFragment ||= bytes.readUInt16BE(next + 2) >> 3 !== 0;
    const length = protocol === FRAGMENT ? 8 : ((bytes[next + 1] ?? 0) + 1) * 8;
    protocol = bytes[next] ?? 0;
    next += length;
    payload = Math.max(0, payload - length);
  }
  return transport(bytes, { at: next, protocol, addresses, payload, isLaterFragment, version: 6 });
}

interface Transport {
  readonly at: number;
  readonly protocol: number;
  readonly addresses: readonly [from: string, to: string];
  /** Bytes that the IP header says. */
  readonly payload: number;
  readonly isLaterFragment: boolean;
  readonly version: 4 | 6;
}

function transport(bytes: Buffer, of: Transport): string {
  const { at, protocol, addresses, payload, isLaterFragment, version } = of;
  const plain = `${addresses[0]} > ${addresses[1]}`;
  if (isLaterFragment) return `${plain} fragment, ${payload} B`;
  if (protocol === 6) return tcp(bytes, of);
  if (protocol === 17) return udp(bytes, of);
  if ((protocol === 1 && version === 4) || (protocol === 58 && version === 6)) {
    const names = version === 4 ? ICMP4 : ICMP6;
    const type = bytes[at];
    return `${plain} ICMP${version === 6 ? 'v6' : ''} ${type === undefined ? 'cut short' : (names[type] ?? `type ${type}`)}, ${payload} B`;
  }
  return `${plain} ${PROTOCOL[protocol] ?? `protocol ${protocol}`}, ${payload} B`;
}

function tcp(bytes: Buffer, { at, addresses, payload }: Transport): string {
  if (bytes.length < at + 14) return `${addresses[0]} > ${addresses[1]} TCP cut short`;
  const bits = bytes[at + 13] ?? 0;
  const flags = TCP_FLAGS.filter((_, bit) => (bits & (1 << bit)) !== 0).join('');
  const data = Math.max(0, payload - ((bytes[at + 12] ?? 0) >> 4) * 4);
  return `${portsText(addresses, bytes.readUInt16BE(at), bytes.readUInt16BE(at + 2))} TCP [${flags}] ${data} B`;
}

function udp(bytes: Buffer, { at, addresses, payload }: Transport): string {
  if (bytes.length < at + 8) return `${addresses[0]} > ${addresses[1]} UDP cut short`;
  const [from, to] = [bytes.readUInt16BE(at), bytes.readUInt16BE(at + 2)];
  const name = from === 53 || to === 53 ? 'UDP DNS' : 'UDP';
  return `${portsText(addresses, from, to)} ${name} ${Math.max(0, payload - 8)} B`;
}

function hardware(bytes: Buffer, at: number): string {
  return bytes
    .subarray(at, at + 6)
    .toString('hex')
    .replaceAll(/(..)(?=.)/g, '$1:');
}

function short(what: string, bytes: Buffer): string {
  return `${what} cut short, ${bytes.length} B`;
}
