import { isIPv4, isIPv6 } from 'node:net';

/**
 * An address as the kernel gives it, for people: an IPv4 address that came through an IPv6 socket (`::ffff:192.0.2.1`,
 * RFC 4291, section 2.5.5.2) is shown as the IPv4 address.
 */
export function plainAddress(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  return mapped !== undefined && isIPv4(mapped) ? mapped : address;
}

/** The network of `prefix` bits that an address lies in, as `ADDRESS/BITS` with the other bits 0. */
export function networkOf(address: string, prefix: number): string {
  const value = addressValue(address);
  const width = isIPv4(address) ? 32 : 128;
  const shift = BigInt(width - prefix);
  const network = (value >> shift) << shift;
  return `${width === 32 ? ipv4Text(network) : ipv6Text(network)}/${prefix}`;
}

/**
 * Reads an address or a network in CIDR notation, IPv4 or IPv6, and writes it in one way: IPv6 as RFC 5952 has it,
 * the bits of the host 0, a network of one address without its `/32` or `/128`.
 * @returns undefined where the text is neither
 */
export function normalNetwork(text: string): string | undefined {
  const match = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(text.trim());
  const given = match?.[1] ?? '';
  if (!isIPv4(given) && !isIPv6(given)) return undefined;
  const bits = isIPv4(given) ? 32 : 128;
  const prefix = Number(match?.[2] ?? bits);
  if (prefix > bits) return undefined;
  const plain = plainAddress(given);
  const mapped = plain !== given && prefix >= 96;
  const network = mapped ? networkOf(plain, prefix - 96) : networkOf(given, prefix);
  return prefix === bits ? network.slice(0, network.indexOf('/')) : network;
}

/** A text by which addresses and networks, as `normalNetwork` writes them, are in order: IPv4 by number, then IPv6; a network before what is in it. */
export function networkOrder(network: string): string {
  const [address = '', prefix] = network.split('/');
  const version = isIPv4(address) ? 4 : 6;
  const digits = addressValue(address)
    .toString(16)
    .padStart(version === 4 ? 8 : 32, '0');
  return `${version} ${digits} ${(prefix ?? (version === 4 ? '32' : '128')).padStart(3, '0')}`;
}

function addressValue(address: string): bigint {
  return isIPv4(address) ? ipv4Value(address) : ipv6Value(address);
}

function ipv4Value(address: string): bigint {
  return address.split('.').reduce((value, part) => (value << 8n) | BigInt(part), 0n);
}

function ipv6Value(address: string): bigint {
  const zoneless = address.replace(/%.*$/, '');
  const hex = zoneless.replace(/\d+\.\d+\.\d+\.\d+$/, (v4) => {
    const value = ipv4Value(v4);
    return `${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`;
  });
  const [head = '', tail] = hex.split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = new Array<string>(8 - front.length - back.length).fill('0');
  return [...front, ...zeros, ...back].reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n);
}

function ipv4Text(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join('.');
}

function ipv6Text(value: bigint): string {
  const groups = [112n, 96n, 80n, 64n, 48n, 32n, 16n, 0n].map((shift) => ((value >> shift) & 0xffffn).toString(16));
  const zeros = longestZeros(groups);
  if (zeros === undefined) return groups.join(':');
  return `${groups.slice(0, zeros.from).join(':')}::${groups.slice(zeros.to).join(':')}`;
}

/** The first longest run of at least two zero groups (RFC 5952, section 4.2). */
function longestZeros(groups: readonly string[]): { from: number; to: number } | undefined {
  let best: { from: number; to: number } | undefined;
  for (let from = 0; from < groups.length; from++) {
    let to = from;
    while (groups[to] === '0') to++;
    if (to - from >= 2 && (best === undefined || to - from > best.to - best.from)) best = { from, to };
  }
  return best;
}
