import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Ports that nobody listens on, all different. Another process may be given one of them as its own before it is used:
 * not so on an address of 127.0.0.0/8 that only one test uses.
 * @param host the address they are free on
 */
export async function freePorts(count: number, host: string): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, host));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
