import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';

/**
 * How many bytes of a TCP connection the other machine has not acknowledged: what the system holds for it in its send
 * queue (Linux: the `tx_queue` of /proc/net/tcp and tcp6, see proc_net_tcp in the kernel's documentation).
 * @returns undefined where that cannot be known: another system, a unix socket, a connection that is gone
 */
export function unacknowledgedBytes(socket: Socket): number | undefined {
  try {
    return sendQueueOf(socket, readFileSync(tableOf(socket), 'latin1'));
  } catch {
    return undefined;
  }
}

/** The same without holding up the process, for which the table of a machine with many connections is long. */
export async function unacknowledgedBytesLater(socket: Socket): Promise<number | undefined> {
  try {
    return sendQueueOf(socket, await readFile(tableOf(socket), 'latin1'));
  } catch {
    return undefined;
  }
}

function tableOf({ localFamily }: Socket): string {
  return localFamily === 'IPv6' ? '/proc/net/tcp6' : '/proc/net/tcp';
}

function sendQueueOf({ localPort, remotePort }: Socket, table: string): number | undefined {
  if (localPort === undefined || remotePort === undefined) return undefined;
  return sendQueueIn(table, localPort, remotePort);
}

const LARGEST_SEND_BUFFER = '/proc/sys/net/ipv4/tcp_wmem';
/** The system lets the last write go beyond the buffer's size. */
const LAST_WRITE_BYTES = 256 * 1024;

/**
 * The most that the system holds of a TCP connection, in bytes: what was written before that is acknowledged, which
 * costs nothing to know (Linux: the third number of tcp_wmem, see ip-sysctl in the kernel's documentation).
 * @returns Infinity where that cannot be known
 */
export function mostUnacknowledgedBytes(): number {
  try {
    const [, , most] = readFileSync(LARGEST_SEND_BUFFER, 'latin1').trim().split(/\s+/).map(Number);
    return most !== undefined && most > 0 ? most + LAST_WRITE_BYTES : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
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
