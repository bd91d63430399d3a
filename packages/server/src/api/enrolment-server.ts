import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { D4Error, type HostAndPort, serverAddressFrom, serverAddressText } from '@d4ts/protocol';
import type { ApiContext } from './api-context.ts';

/** Addresses that mean all of this machine's, and so none that a sensor could be told. */
const ANY_ADDRESS: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

/**
 * The address that sensors are told: one that the certificate vouches for, since they check it.
 * @param wanted undefined for one that fits
 * @throws {D4Error} D4_BAD_SERVER
 */
export function enrolmentServer(
  { server, certificate }: Pick<ApiContext, 'server' | 'certificate'>,
  wanted: string | undefined,
): HostAndPort {
  const names = certificate.facts().names.map((name) => name.replace(/^(DNS|IP Address):/, ''));
  const text = wanted?.trim() ?? fitting(server.addresses()?.listen, names);
  const address = text === undefined ? undefined : serverAddressFrom(text);
  if (address === undefined) {
    const what = text === undefined ? 'it is not known how sensors reach this server' : `"${text}" is not HOST:PORT`;
    throw new D4Error('D4_BAD_SERVER', `${what}: give server as HOST:PORT, such as d4.example.org:4443`);
  }
  const { host } = address;
  const proof = new X509Certificate(certificate.identity.cert);
  const vouched = isIP(host) === 0 ? proof.checkHost(host) : proof.checkIP(host);
  if (vouched === undefined) {
    throw new D4Error(
      'D4_BAD_SERVER',
      `the server's certificate is not for ${host}, so that sensors would refuse it: take one of ${names.join(', ')}, or replace the certificate`,
    );
  }
  return address;
}

function fitting(listen: string | undefined, names: readonly string[]): string | undefined {
  const address = listen === undefined ? undefined : serverAddressFrom(listen);
  if (address === undefined) return undefined;
  if (!ANY_ADDRESS.has(address.host)) return listen;
  const host = names.find((name) => isIP(name) === 0 && name !== 'localhost' && !name.startsWith('*'));
  return host === undefined ? undefined : serverAddressText({ host, port: address.port });
}
