// The certificate library needs the Reflect API's metadata before it is loaded.
import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

const DAY = 24 * 60 * 60 * 1_000;

/** The CA is what sensors pin, so it must outlive them. */
const AUTHORITY_LIFE = 20 * 365 * DAY;

/** Within the 825 days that the strictest clients allow (Apple, for certificates of a private CA). */
const SERVER_LIFE = 730 * DAY;

/** Valid this long before it is made: clocks of sensors go wrong. */
const BACKDATED = 2 * DAY;

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** A private key (PKCS #8) and its certificate, both PEM with a final newline. */
export interface KeyAndCertificate {
  readonly key: string;
  readonly certificate: string;
}

/** Makes a certificate authority: ECDSA P-256, valid for 20 years. @param now ms since 1970 */
export async function makeCertificateAuthority(commonName: string, now: number): Promise<KeyAndCertificate> {
  const keys = await makeKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: nameOf(commonName),
    notBefore: new Date(now - BACKDATED),
    notAfter: new Date(now + AUTHORITY_LIFE),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { key: await pemOf(keys.privateKey), certificate: `${certificate.toString('pem')}\n` };
}

/** Issues a server certificate: ECDSA P-256, valid for two years, at most as long as the CA. @param now ms since 1970 */
export async function issueServerCertificate(
  authority: KeyAndCertificate,
  subject: { readonly commonName: string; readonly names: readonly string[]; readonly addresses: readonly string[] },
  now: number,
): Promise<KeyAndCertificate> {
  const issuer = new x509.X509Certificate(authority.certificate);
  const signingKey = await webcrypto.subtle.importKey(
    'pkcs8',
    x509.PemConverter.decodeFirst(authority.key),
    ALGORITHM,
    false,
    ['sign'],
  );
  const keys = await makeKeys();
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: nameOf(subject.commonName),
    issuer: issuer.subjectName,
    notBefore: new Date(now - BACKDATED),
    notAfter: new Date(Math.min(now + SERVER_LIFE, issuer.notAfter.getTime())),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([
        ...subject.names.map((value) => ({ type: 'dns', value }) as const),
        ...subject.addresses.map((value) => ({ type: 'ip', value }) as const),
      ]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
    ],
  });
  return { key: await pemOf(keys.privateKey), certificate: `${certificate.toString('pem')}\n` };
}

function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), x509.PemConverter.PrivateKeyTag)}\n`;
}

function nameOf(commonName: string): x509.Name {
  return new x509.Name([{ CN: [{ utf8String: commonName.slice(0, 64) }] }]);
}

/** Positive and unpredictable, of 16 bytes (RFC 5280, section 4.1.2.2). */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}
