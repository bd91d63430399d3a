import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';

/**
 * How many bytes of a TCP connection the other machine has not acknowledged: what the system holds for it in its send
 * queue (Linux: the `tx_queue` of /proc/net/tcp and tcp6, see proc_net_tcp in the kernel's documentation).
 * @returns undefined where that cannot be known: another system, a unix socket, a connection that is gone
 */
export function unacknowledgedBytes(socket: Socket): number | undefined {
  const { localPort, remotePort, localFamily } = socket;
  if (localPort === undefined || remotePort === undefined) return undefined;
  try {
    const table = readFileSync(localFamily === 'IPv6' ? '/proc/net/tcp6' : '/proc/net/tcp', 'latin1');
    return sendQueueIn(table, localPort, remotePort);
  } catch {
    return undefined;
  }
}

/** The send queue of the connection with these ports; the largest where there are several, of several addresses. */
export function sendQueueIn(table: string, localPort: number, remotePort: number): number | undefined {
  const entry = new RegExp(`:${hex(localPort)} [0-9A-F]+:${hex(remotePort)} [0-9A-F]{2} ([0-9A-F]{8}):`, 'g');
  let most: number | undefined;
  for (const [, queue = '0'] of table.matchAll(entry)) most = Math.max(most ?? 0, Number.parseInt(queue, 16));
  return most;
}

function hex(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, '0');
}
