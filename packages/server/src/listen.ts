import { once } from 'node:events';
import { createServer } from 'node:net';
import { D4Error } from '@d4ts/protocol';
import type { Logger } from 'pino';
import { formatHostPort, type HostPort } from './config/host-port.ts';
import type { Config } from './config/schema.ts';

/** One of the server's three sockets, for messages. */
export interface SocketName {
  /** What connects there. */
  readonly title: string;
  readonly flag: '--listen' | '--web' | '--redis';
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use; stop the program that has it, or choose another address',
  EACCES: 'this user may not use the port; choose one above 1023',
  EADDRNOTAVAIL: 'this machine does not have the address; choose another one',
  EAFNOSUPPORT: 'this machine does not have such addresses; choose another one',
  ENOTFOUND: 'the host name has no address; choose another one',
};

/**
 * Runs the start of a socket.
 * @throws {D4Error} D4_LISTEN, saying which socket at which address cannot listen, why, and what to do
 */
export async function listening<T>(socket: SocketName, at: HostPort, start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (error) {
    const reason = REASONS[systemCode(error) ?? ''];
    if (reason === undefined) throw error;
    throw new D4Error(
      'D4_LISTEN',
      `cannot listen for ${socket.title} at ${formatHostPort(at)}: ${reason} with ${socket.flag} HOST:PORT`,
      error,
    );
  }
}

/**
 * The sensors' address: as configured, but where the default cannot work, for want of IPv6, 0.0.0.0 in its place.
 * @param hasIpv6 finds out whether the machine can listen on `::`
 */
export async function sensorAddress(config: Config, log: Logger, hasIpv6 = canListenOnIpv6): Promise<HostPort> {
  const { listen } = config;
  if (config.sources.get('listen')?.kind !== 'default' || listen.host !== '::' || (await hasIpv6())) return listen;
  const instead = { host: '0.0.0.0', port: listen.port };
  log.warn(`this machine has no IPv6: listening for sensors at ${formatHostPort(instead)}`);
  return instead;
}

async function canListenOnIpv6(): Promise<boolean> {
  const server = createServer();
  try {
    server.listen({ host: '::', port: 0 });
    await once(server, 'listening');
    server.close();
    await once(server, 'close');
    return true;
  } catch (error) {
    const code = systemCode(error);
    if (code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL') return false;
    throw error;
  }
}

/** The system's code of an error, or of the one underneath. */
function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ('syscall' in error && 'code' in error && typeof error.code === 'string') return error.code;
  return systemCode(error.cause);
}
