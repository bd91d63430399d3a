import { isIP } from 'node:net';

/** Where frames go: the standard output, or a server. */
export type Destination = { readonly kind: 'stdout' } | ServerAddress;

/** A server's address; `host` is a name, an IPv4 address or an IPv6 address without brackets. */
export interface ServerAddress {
  readonly kind: 'server';
  readonly host: string;
  readonly port: number;
}

/** What a destination may be, for error messages. */
export const DESTINATION_FORM = 'stdout, HOST:PORT or [IPV6]:PORT';

const NAME = /^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})$/;

/** Reads a destination; undefined where the text is none. */
export function parseDestination(text: string): Destination | undefined {
  return text === 'stdout' ? { kind: 'stdout' } : parseServerAddress(text);
}

/** Reads `HOST:PORT` or `[IPV6]:PORT`; undefined where the text is neither. */
export function parseServerAddress(text: string): ServerAddress | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const [, bracketed, plain] = match;
  const port = Number(match[3]);
  if (port < 1 || port > 65_535) return undefined;
  if (bracketed !== undefined) return isIP(bracketed) === 6 ? { kind: 'server', host: bracketed, port } : undefined;
  if (plain === undefined || (isIP(plain) !== 4 && !NAME.test(plain))) return undefined;
  return { kind: 'server', host: plain, port };
}

/** The address as people write it, with brackets around an IPv6 address. */
export function addressText(address: { host: string; port: number }): string {
  return isIP(address.host) === 6 ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
