import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { type ConnectionOptions, checkServerIdentity, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';
import { D4Error } from '@d4ts/protocol';
import type { ClientConfig } from './config.ts';
import { addressText, type ServerAddress } from './destination.ts';
import type { ClientOptions } from './options.ts';

/** How the server's certificate is checked. */
export type Trust =
  /** Against these authorities (PEM), and the server's name or address. */
  | { readonly kind: 'authority'; readonly ca: string }
  /** Its SHA-256, or its authority's: 64 hexadecimal digits. */
  | { readonly kind: 'pin'; readonly sha256: string }
  /** Not at all. */
  | { readonly kind: 'unchecked' };

/**
 * Decides how to check the server's certificate: a pin before `rootCA.crt`; not at all only where that was asked for.
 * @throws {D4Error} D4_NO_TRUST, D4_USAGE
 */
export function decideTrust(options: ClientOptions, config: ClientConfig, server: ServerAddress): Trust {
  if (options.pin !== undefined) {
    const sha256 = options.pin.replaceAll(':', '').toLowerCase();
    if (!/^[0-9a-f]{64}$/.test(sha256)) {
      const form = 'the SHA-256 of a certificate: 64 hexadecimal digits, with or without colons';
      throw new D4Error('D4_USAGE', `--pin ${JSON.stringify(options.pin)} is wrong; allowed is ${form}`);
    }
    return { kind: 'pin', sha256 };
  }
  if (options.checkCertificate === false) return { kind: 'unchecked' };
  if (config.rootCa !== undefined) return { kind: 'authority', ca: config.rootCa };
  throw new D4Error(
    'D4_NO_TRUST',
    `there is nothing to check the certificate of ${addressText(server)} against: put the server's CA into ` +
      `${config.directory}/rootCA.crt, or give the certificate's fingerprint with --pin SHA256; -cc=false takes any ` +
      'certificate, so that anyone on the way can read and change the data; -ce=false is plain TCP',
  );
}

/** Options of `tls.connect` for a server and how it is checked. With a pin, `verifyPin` has to be called as well. */
export function tlsOptions(trust: Trust, server: ServerAddress): ConnectionOptions {
  const host = withoutZone(server.host);
  return {
    host,
    // A server name must not be an IP address (RFC 6066, section 3); Node refuses to send one.
    ...(isIP(host) === 0 ? { servername: host } : {}),
    rejectUnauthorized: trust.kind === 'authority',
    ...(trust.kind === 'authority' ? { ca: trust.ca } : {}),
    checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate),
  };
}

/**
 * Checks the certificates that a server presented against a pin.
 * @throws {D4Error} D4_PIN
 */
export function verifyPin(socket: TLSSocket, sha256: string, server: ServerAddress): void {
  const chain = presentedChain(socket.getPeerCertificate(true));
  const leaf = chain[0];
  if (leaf !== undefined && fingerprint(leaf) === sha256) return;
  const at = chain.findIndex((certificate) => fingerprint(certificate) === sha256);
  const shown = leaf === undefined ? 'no certificate' : `the certificate ${fingerprint(leaf)}`;
  if (leaf === undefined || at === -1) {
    throw new D4Error('D4_PIN', `the server presented ${shown}, which is not the pinned ${sha256}`);
  }
  const problem = chainProblem(chain.slice(0, at + 1), withoutZone(server.host));
  if (problem !== undefined)
    throw new D4Error('D4_PIN', `the pinned authority does not vouch for ${shown}: ${problem}`);
}

/** What is wrong with a chain whose last certificate is a trusted authority's; undefined where nothing is. */
function chainProblem(chain: readonly X509Certificate[], host: string): string | undefined {
  const now = Date.now();
  for (const [i, certificate] of chain.entries()) {
    if (now < certificate.validFromDate.getTime() || now > certificate.validToDate.getTime()) {
      return `${certificate.subject} is valid from ${certificate.validFrom} to ${certificate.validTo}`;
    }
    const issuer = chain[i + 1];
    if (issuer === undefined) break;
    if (!issuer.ca || !certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey)) {
      return `${certificate.subject} was not issued by ${issuer.subject}`;
    }
  }
  const leaf = chain[0];
  const named = isIP(host) === 0 ? leaf?.checkHost(host) : leaf?.checkIP(host);
  return named === undefined ? `it is not for ${host}, but for ${leaf?.subjectAltName ?? 'nobody'}` : undefined;
}

function presentedChain(leaf: DetailedPeerCertificate): X509Certificate[] {
  const chain: X509Certificate[] = [];
  const seen = new Set<string>();
  let current: DetailedPeerCertificate | undefined = leaf;
  while (current?.raw !== undefined && !seen.has(current.fingerprint256)) {
    seen.add(current.fingerprint256);
    chain.push(new X509Certificate(current.raw));
    current = current.issuerCertificate;
  }
  return chain;
}

function fingerprint(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(':', '').toLowerCase();
}

/** An IPv6 address without its zone, which names an interface of this machine. */
function withoutZone(host: string): string {
  return host.replace(/%.*$/, '');
}
