import { D4Error, sensorIdFrom } from '@d4ts/protocol';
import type { Block } from '../registry/port.ts';
import { normalNetwork } from './ip-network.ts';

/**
 * Reads what can be blocked: an address, a network in CIDR notation, or a uuid; written in one way, so that the same
 * thing is not blocked twice.
 * @throws {D4Error} D4_BAD_BLOCK
 */
export function blockTarget(text: string): Pick<Block, 'target' | 'kind'> {
  const uuid = sensorIdFrom(text);
  if (uuid !== undefined) return { target: uuid, kind: 'sensor' };
  const network = normalNetwork(text);
  if (network !== undefined) return { target: network, kind: 'network' };
  throw new D4Error(
    'D4_BAD_BLOCK',
    `"${text}" cannot be blocked: expected an IP address, a network such as 192.0.2.0/24 or 2001:db8::/32, or a UUID`,
  );
}
