import { serverAddressFrom, serverAddressText } from '@d4ts/protocol';

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

/** The address as people write it, with brackets around an IPv6 address. */
export const addressText: typeof serverAddressText = serverAddressText;

/** Reads a destination; undefined where the text is none. */
export function parseDestination(text: string): Destination | undefined {
  return text === 'stdout' ? { kind: 'stdout' } : parseServerAddress(text);
}

/** Reads `HOST:PORT` or `[IPV6]:PORT`; undefined where the text is neither. */
export function parseServerAddress(text: string): ServerAddress | undefined {
  const address = serverAddressFrom(text);
  return address === undefined ? undefined : { kind: 'server', ...address };
}
