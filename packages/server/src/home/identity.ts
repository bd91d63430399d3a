import { createPrivateKey, X509Certificate } from 'node:crypto';
import { copyFileSync, existsSync, readFileSync, renameSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { createSecureContext } from 'node:tls';
import { D4Error } from '@d4ts/protocol';
import type { Logger } from 'pino';
import { writeFileDurably } from '../registry/durable-file.ts';
import { issueServerCertificate, makeCertificateAuthority } from './certificates.ts';
import type { HomePaths } from './home.ts';

/** What both TLS ports show, and what their clients pin. */
export interface TlsIdentity {
  /** The private key, PEM. */
  readonly key: string;
  /** The server's certificate and those that follow it in `server.pem`, PEM. */
  readonly cert: string;
  /** What a client pins, PEM: `rootCA.crt` where there is one, else the last certificate of `server.pem`. */
  readonly ca: string;
  /** SHA-256 of the server's certificate (DER), lower-case hexadecimal. */
  readonly certificateSha256: string;
}

const DAY = 24 * 60 * 60 * 1_000;

/** A certificate of our own is renewed this long before its end. */
export const RENEW_BEFORE = 30 * DAY;

/** Stands for a file that is not there yet. */
const GIVEN = 'what was given';

/** What a certificate can hold as a DNS name. */
const DNS_NAME = /^[A-Za-z0-9_.-]{1,253}$/;

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;
const PRIVATE_KEY =
  /-----BEGIN (?:RSA |EC |ENCRYPTED )?PRIVATE KEY-----[\s\S]+?-----END (?:RSA |EC |ENCRYPTED )?PRIVATE KEY-----/;

/**
 * Gives the home's identity. An existing `server.pem` is taken over as it is; without one, a CA (unless its key is
 * there) and a server certificate with the host's names are made. A certificate that the home's own CA has issued is
 * renewed, with a new key, before it ends.
 * @param now ms since 1970
 * @throws {D4Error} D4_IDENTITY, naming the file and what is wrong with it
 */
export async function openIdentity(paths: HomePaths, log: Logger, now: number): Promise<TlsIdentity> {
  if (!existsSync(paths.serverPem)) {
    await issue(paths, log, now);
    return readIdentity(paths);
  }
  const identity = readIdentity(paths);
  const certificate = new X509Certificate(identity.cert);
  const end = certificate.validToDate;
  if (end.getTime() - now < RENEW_BEFORE && isOwn(certificate, paths)) {
    log.info({ end }, "the server's certificate ends soon and is renewed");
    await issue(paths, log, now);
    return readIdentity(paths);
  }
  warnOf(certificate, paths, log, now);
  return identity;
}

/** The names and addresses that a certificate of this host should have. */
export function hostNames(): { names: string[]; addresses: string[] } {
  const external = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, scopeid }) => !internal && !scopeid)
    .map(({ address }) => address);
  return {
    names: [...new Set([hostname(), 'localhost'])].filter((name) => DNS_NAME.test(name)),
    addresses: [...new Set(['127.0.0.1', '::1', ...external])],
  };
}

async function issue(paths: HomePaths, log: Logger, now: number): Promise<void> {
  if (!existsSync(paths.rootCaKey) || !existsSync(paths.rootCaCertificate)) await makeAuthority(paths, log, now);
  const authority = { key: read(paths.rootCaKey), certificate: read(paths.rootCaCertificate) };
  try {
    const issued = await issueServerCertificate(authority, { commonName: hostname(), ...hostNames() }, now);
    writeFileDurably(paths.serverPem, `${issued.key}${issued.certificate}${authority.certificate}`, 0o600);
  } catch (error) {
    throw broken(`${paths.rootCaKey} and ${paths.rootCaCertificate}`, 'no certificate can be issued with them', error);
  }
  log.info({ file: paths.serverPem, ...hostNames() }, "the server's certificate was made");
}

async function makeAuthority(paths: HomePaths, log: Logger, now: number): Promise<void> {
  if (existsSync(paths.rootCaCertificate)) {
    throw new D4Error(
      'D4_IDENTITY',
      `${paths.rootCaCertificate} is there, but neither ${paths.serverPem} nor ${paths.rootCaKey}: put one of them back, or remove the certificate to have a new CA made, which every sensor then needs`,
    );
  }
  const made = await makeCertificateAuthority(`D4 CA of ${hostname()}`, now);
  // The certificate last: a start that was killed in between has left a key that nobody knows, and makes another.
  writeFileDurably(paths.rootCaKey, made.key, 0o600);
  writeFileDurably(paths.rootCaCertificate, made.certificate, 0o644);
  log.info({ file: paths.rootCaCertificate }, 'a certificate authority was made');
}

function readIdentity(paths: HomePaths): TlsIdentity {
  return identityOf(read(paths.serverPem), paths.serverPem, paths);
}

/**
 * Puts another certificate in the place of the home's, and keeps the one before as `server.pem.old`.
 * @param pem the private key, the server's certificate and those that signed it, in PEM
 * @param leavesAuthority the home's CA has not signed it: its files get `.old` too, and clients pin the last of `pem`
 * @throws {D4Error} D4_IDENTITY, saying what is wrong with it; nothing has changed then
 */
export function replaceIdentity(paths: HomePaths, pem: string, leavesAuthority: boolean): TlsIdentity {
  const identity = identityOf(pem, GIVEN, paths);
  if (leavesAuthority) {
    for (const file of [paths.rootCaKey, paths.rootCaCertificate]) {
      if (existsSync(file)) renameSync(file, `${file}.old`);
    }
  }
  copyFileSync(paths.serverPem, `${paths.serverPem}.old`);
  writeFileDurably(paths.serverPem, `${identity.key}${identity.cert}`, 0o600);
  return readIdentity(paths);
}

/**
 * Issues another certificate by the home's own CA, with the names that the host has now, and a new key.
 * @throws {D4Error} D4_IDENTITY where the home has no key of a CA
 */
export async function renewIdentity(paths: HomePaths, log: Logger, now: number): Promise<TlsIdentity> {
  if (!existsSync(paths.rootCaKey)) {
    throw broken(
      paths.rootCaKey,
      'it is not here, and without it no certificate can be issued: replace the certificate',
    );
  }
  await issue(paths, log, now);
  return readIdentity(paths);
}

/**
 * Looks at the files that the server proves itself with, and changes nothing.
 * @returns for each file what is wrong with it
 */
export function inspectIdentity(paths: HomePaths): { file: string; what: string }[] {
  const looks: [string, () => void][] = [
    [paths.serverPem, () => identityOf(read(paths.serverPem), paths.serverPem, paths)],
    [paths.rootCaCertificate, () => readAuthority(paths.rootCaCertificate)],
    [
      paths.rootCaKey,
      () => parse(paths.rootCaKey, 'it is no private key', () => createPrivateKey(read(paths.rootCaKey))),
    ],
  ];
  return looks.flatMap(([file, look]) => {
    if (!existsSync(file)) return [];
    try {
      look();
      return [];
    } catch (error) {
      return [{ file, what: error instanceof Error ? error.message : String(error) }];
    }
  });
}

function identityOf(pem: string, file: string, paths: HomePaths): TlsIdentity {
  const key = PRIVATE_KEY.exec(pem)?.[0];
  const certificates = pem.match(CERTIFICATE);
  const last = certificates?.at(-1);
  if (key === undefined) throw broken(file, 'it has no private key (-----BEGIN PRIVATE KEY-----)');
  if (certificates === null || last === undefined)
    throw broken(file, 'it has no certificate (-----BEGIN CERTIFICATE-----)');
  const cert = `${certificates.join('\n')}\n`;
  const certificate = parse(file, 'its certificate is damaged', () => new X509Certificate(cert));
  const privateKey = parse(file, 'its private key is damaged, or needs a passphrase', () => createPrivateKey(key));
  if (!certificate.checkPrivateKey(privateKey))
    throw broken(file, 'its private key is not that of its first certificate');
  parse(file, 'TLS does not take it', () => createSecureContext({ key, cert }));
  return {
    key: `${key}\n`,
    cert,
    ca: existsSync(paths.rootCaCertificate) ? readAuthority(paths.rootCaCertificate) : `${last}\n`,
    certificateSha256: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
  };
}

function readAuthority(file: string): string {
  const certificates = read(file).match(CERTIFICATE);
  if (certificates === null) throw broken(file, 'it has no certificate (-----BEGIN CERTIFICATE-----)');
  const pem = `${certificates.join('\n')}\n`;
  parse(file, 'its certificate is damaged', () => new X509Certificate(pem));
  return pem;
}

/** Whether the home's own CA has issued a certificate, and so can issue the next one. */
export function isOwn(certificate: X509Certificate, paths: HomePaths): boolean {
  if (!existsSync(paths.rootCaKey) || !existsSync(paths.rootCaCertificate)) return false;
  const authority = new X509Certificate(read(paths.rootCaCertificate));
  return certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
}

function warnOf(certificate: X509Certificate, paths: HomePaths, log: Logger, now: number): void {
  if (certificate.validToDate.getTime() < now) {
    log.warn(
      { file: paths.serverPem, end: certificate.validToDate },
      "the server's certificate has ended: clients that check it refuse it",
    );
  }
  const { names, addresses } = hostNames();
  const missing = [
    ...names.filter((name) => certificate.checkHost(name) === undefined),
    ...addresses.filter((address) => certificate.checkIP(address) === undefined),
  ];
  if (missing.length > 0) {
    log.info({ file: paths.serverPem, missing }, "the server's certificate lacks names of this host");
  }
}

function read(file: string): string {
  return parse(file, 'it cannot be read', () => readFileSync(file, 'latin1'));
}

function parse<T>(file: string, why: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw broken(file, why, error);
  }
}

function broken(file: string, why: string, cause?: unknown): D4Error {
  const remedy =
    file === GIVEN ? 'nothing was changed' : 'put the right file back, or remove it to have a new one made';
  const detail = cause instanceof Error ? ` (${cause.message})` : '';
  return new D4Error('D4_IDENTITY', `${file}: ${why}${detail}; ${remedy}`, cause);
}
