import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type ConnectionOptions, connect, createServer } from 'node:tls';
import { pino } from 'pino';
import { type HomePaths, homePaths } from './home.ts';
import { hostNames, openIdentity, type TlsIdentity } from './identity.ts';

const LOG = pino({ level: 'silent' });
const DAY = 24 * 60 * 60 * 1_000;

describe("the server's identity", () => {
  let paths: HomePaths;
  beforeEach(() => {
    paths = homePaths(mkdtempSync(join(tmpdir(), 'd4-identity-')));
  });
  afterEach(() => {
    rmSync(paths.root, { recursive: true, force: true });
  });

  const open = (now = Date.now()) => openIdentity(paths, LOG, now);

  it('is made with the names of the host, and kept', async () => {
    const identity = await open();
    const certificate = new X509Certificate(identity.cert);
    const authority = new X509Certificate(readFileSync(paths.rootCaCertificate));
    assert.ok(certificate.verify(authority.publicKey));
    assert.equal(certificate.ca, false);
    assert.equal(authority.ca, true);
    for (const name of [hostname(), 'localhost']) assert.ok(certificate.checkHost(name), name);
    for (const address of hostNames().addresses) assert.ok(certificate.checkIP(address), address);
    assert.ok(authority.validToDate.getTime() > Date.now() + 10 * 365 * DAY);
    assert.ok(certificate.validToDate.getTime() > Date.now() + 700 * DAY);
    assert.equal(identity.ca, readFileSync(paths.rootCaCertificate, 'latin1'));
    for (const file of [paths.serverPem, paths.rootCaKey]) assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.deepEqual(await open(), identity);
  });

  it('is taken by a client that pins its CA, by address and by name', async () => {
    const identity = await open();
    assert.equal(await visit(identity, { ca: identity.ca, host: '127.0.0.1' }), identity.certificateSha256);
    await visit(identity, { ca: identity.ca, host: '127.0.0.1', servername: 'localhost' });
    await assert.rejects(visit(identity, { host: '127.0.0.1' }), { code: /SELF_SIGNED|UNABLE/ });
  });

  it('is taken by openssl', async () => {
    await open();
    const verified = execFileSync('openssl', [
      'verify',
      '-x509_strict',
      '-CAfile',
      paths.rootCaCertificate,
      paths.serverPem,
    ]);
    assert.match(String(verified), /OK/);
  });

  it('is renewed by its CA before it ends', async () => {
    const first = await open();
    const end = new X509Certificate(first.cert).validToDate.getTime();
    assert.deepEqual(await open(end - 31 * DAY), first);
    const renewed = await open(end - 29 * DAY);
    assert.notEqual(renewed.certificateSha256, first.certificateSha256);
    assert.equal(renewed.ca, first.ca);
    assert.ok(new X509Certificate(renewed.cert).validToDate.getTime() > end + 600 * DAY);
  });

  it('is made again with the same CA where server.pem was removed', async () => {
    const first = await open();
    rmSync(paths.serverPem);
    const second = await open();
    assert.equal(second.ca, first.ca);
    assert.notEqual(second.certificateSha256, first.certificateSha256);
  });

  it('is made again where a start was killed in the middle of it', async () => {
    await open();
    rmSync(paths.serverPem);
    rmSync(paths.rootCaCertificate);
    const identity = await open();
    await visit(identity, { ca: identity.ca, host: '127.0.0.1' });
  });

  it('is not replaced where only the CA without its key is there', async () => {
    await open();
    rmSync(paths.serverPem);
    rmSync(paths.rootCaKey);
    await assert.rejects(open(), { code: 'D4_IDENTITY', message: /rootCA\.crt is there, but neither/ });
  });

  it("is the reference server's server.pem: key first, RSA, X.509 version 1, with its CA beside it", async () => {
    makeReferenceIdentity(paths);
    const identity = await open();
    const pem = readFileSync(paths.serverPem, 'latin1');
    assert.equal(identity.ca, readFileSync(paths.rootCaCertificate, 'latin1'));
    const seen = await visit(identity, { ca: identity.ca, host: '127.0.0.1', checkServerIdentity: () => undefined });
    assert.equal(seen, identity.certificateSha256);
    assert.equal(readFileSync(paths.serverPem, 'latin1'), pem);
    assert.deepEqual(await open(Date.now() + 10_000 * DAY), identity);
  });

  it('is a self-signed server.pem without a CA, which then is what clients pin', async () => {
    openssl(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-subj',
      '/CN=d4.test',
      '-days',
      '5',
      '-keyout',
      at('k'),
      '-out',
      at('c'),
    );
    // The certificate before the key, as some tools write it.
    writeFileSync(paths.serverPem, readFileSync(at('c'), 'latin1') + readFileSync(at('k'), 'latin1'));
    const identity = await open();
    assert.equal(identity.ca.trim(), readFileSync(at('c'), 'latin1').trim());
    await visit(identity, { ca: identity.ca, host: '127.0.0.1', servername: 'd4.test' });
  });

  it('is refused where server.pem is damaged, with what is wrong', async () => {
    const { key, cert } = await open();
    const other = homePaths(mkdtempSync(join(tmpdir(), 'd4-identity-')));
    const { key: otherKey } = await openIdentity(other, LOG, Date.now());
    rmSync(other.root, { recursive: true, force: true });
    const cases: [string, RegExp][] = [
      ['', /no private key/],
      [key, /no certificate/],
      [cert, /no private key/],
      [otherKey + cert, /not that of its first certificate/],
      [key + cert.replace(/\n[A-Za-z0-9+/]{20}/, '\n'), /certificate is damaged/],
      [key.replace(/\n[A-Za-z0-9+/]{20}/, '\n') + cert, /private key is damaged/],
    ];
    for (const [content, message] of cases) {
      writeFileSync(paths.serverPem, content);
      await assert.rejects(open(), { code: 'D4_IDENTITY', message });
      await assert.rejects(open(), { message: /server\.pem: / });
    }
    openssl('genrsa', '-aes128', '-passout', 'pass:secret', '-out', at('k'), '2048');
    writeFileSync(paths.serverPem, readFileSync(at('k'), 'latin1') + cert);
    await assert.rejects(open(), { code: 'D4_IDENTITY', message: /passphrase/ });
  });

  const at = (name: string): string => join(paths.root, name);
});

/** As the reference's script makes it: a CA, a certificate without extensions, and both parts in one file. */
function makeReferenceIdentity(paths: HomePaths): void {
  const at = (name: string): string => join(paths.root, name);
  openssl('genrsa', '-out', at('ca.key'), '2048');
  openssl(
    'req',
    '-x509',
    '-new',
    '-nodes',
    '-key',
    at('ca.key'),
    '-subj',
    '/CN=ca.test',
    '-days',
    '50',
    '-out',
    at('rootCA.crt'),
  );
  openssl('genrsa', '-out', at('server.key'), '4096');
  openssl('req', '-new', '-key', at('server.key'), '-subj', '/CN=server.test', '-out', at('server.csr'));
  openssl(
    ...['x509', '-req', '-in', at('server.csr'), '-CA', at('rootCA.crt'), '-CAkey', at('ca.key'), '-CAcreateserial'],
    ...['-days', '50', '-out', at('server.crt')],
  );
  copyFileSync(at('server.key'), paths.serverPem);
  writeFileSync(paths.serverPem, readFileSync(at('server.crt')), { flag: 'a' });
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: 'ignore' });
}

/** Connects to a server with the identity. @returns the certificate's SHA-256 that the client saw */
async function visit(identity: TlsIdentity, options: ConnectionOptions): Promise<string> {
  const server = createServer({ key: identity.key, cert: identity.cert }, (socket) => socket.end());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket = connect({ ...options, port });
  try {
    await once(socket, 'secureConnect');
    return socket.getPeerCertificate().fingerprint256.replaceAll(':', '').toLowerCase();
  } finally {
    socket.destroy();
    server.close();
    await once(server, 'close');
  }
}
