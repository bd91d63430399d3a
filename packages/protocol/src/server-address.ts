import { isIP } from 'node:net';

/** Where a server takes sensors; `host` is a name, an IPv4 address, or an IPv6 address without brackets. */
export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}$/;

/** Reads `HOST:PORT` or `[IPV6]:PORT`; undefined where the text is neither. */
export function serverAddressFrom(text: string): HostAndPort | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const [, bracketed, plain, digits] = match;
  const host = bracketed ?? plain ?? '';
  const port = Number(digits);
  const isRight = bracketed === undefined ? isIP(host) === 4 || NAME.test(host) : isIP(host) === 6;
  return isRight && port >= 1 && port <= 65_535 ? { host, port } : undefined;
}

/** The address as people write it, with brackets around an IPv6 address. */
export function serverAddressText({ host, port }: HostAndPort): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}
