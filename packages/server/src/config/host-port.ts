import { isIPv6 } from 'node:net';
import { D4Error } from '@d4ts/protocol';

/** Where a socket listens: a host name or IP address (without brackets) and a port, 0 for any free one. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

const BRACKETED = /^\[([0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]:(\d{1,5})$/;
const PLAIN = /^([A-Za-z0-9._-]+):(\d{1,5})$/;

/**
 * Reads `HOST:PORT`; an IPv6 address stands in brackets: `[::]:4443`.
 * @throws {D4Error} D4_CONFIG
 */
export function parseHostPort(text: string): HostPort {
  const bracketed = BRACKETED.exec(text);
  const match = bracketed ?? PLAIN.exec(text);
  const host = match?.[1];
  const port = Number(match?.[2]);
  if (host === undefined || port > 65_535 || (bracketed !== null && !isIPv6(host))) {
    throw new D4Error(
      'D4_CONFIG',
      `"${text}" is not HOST:PORT: expected e.g. 127.0.0.1:4443, localhost:4443 or [::]:4443, the port from 0 to 65535`,
    );
  }
  return { host, port };
}

/** The address as `HOST:PORT`, with brackets around an IPv6 address. */
export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
