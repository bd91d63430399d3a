import { BlockList, isIPv4, isIPv6 } from 'node:net';
import type { Block, Collection } from '../registry/port.ts';

/**
 * An address as the kernel gives it, for people: an IPv4 address that came through an IPv6 socket (`::ffff:192.0.2.1`,
 * RFC 4291, section 2.5.5.2) as IPv4.
 */
export function plainAddress(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  return mapped ?? address;
}

/** Whose addresses share one bound: an IPv4 address stands for itself, an IPv6 address for its /64, which is one site. */
export function addressGroup(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = '', tail] = address.replace(/%.*$/, '').split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  // A dotted quad at the end stands for two groups.
  const groups = front.length + back.length + (address.includes('.') ? 1 : 0);
  const zeros = new Array<string>(Math.max(0, 8 - groups)).fill('0');
  const first = [...front, ...zeros, ...back].slice(0, 4);
  return `${first.map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`;
}

/** The blocked networks of the registry, as they are now. */
export class BlockedNetworks {
  readonly #blocks: Collection<Block>;
  #list = new BlockList();

  constructor(blocks: Collection<Block>) {
    this.#blocks = blocks;
    this.refresh();
  }

  /** Reads the blocks again. */
  refresh(): void {
    const list = new BlockList();
    for (const [, { value }] of this.#blocks.entries()) {
      if (value.kind !== 'network') continue;
      const [network = '', prefix] = value.target.split('/');
      const family = isIPv4(network) ? 'ipv4' : 'ipv6';
      if (prefix === undefined) list.addAddress(network, family);
      else list.addSubnet(network, Number(prefix), family);
    }
    this.#list = list;
  }

  holds(address: string): boolean {
    return this.#list.check(address.replace(/%.*$/, ''), isIPv4(address) ? 'ipv4' : 'ipv6');
  }
}
