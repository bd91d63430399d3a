import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import { issueServerCertificate, makeCertificateAuthority } from '../home/certificates.ts';
import { type ApiFixture, startApiFixture } from './api-fixture.ts';
import type { CertificateView } from './settings-schemas.ts';

let fixture: ApiFixture;

before(async () => {
  fixture = await startApiFixture();
});
after(() => fixture[Symbol.asyncDispose]());

async function ask<T>(method: string, path: string, status: number, json?: unknown, token?: string): Promise<T> {
  const answer = await fixture.call(method, `/api/v1${path}`, { json, ...(token !== undefined && { token }) });
  assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
  return answer.body as T;
}

async function shown(): Promise<string | undefined> {
  const socket = connect({ host: '127.0.0.1', port: fixture.api.address.port, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const sha256 = socket.getPeerCertificate().fingerprint256.replaceAll(':', '').toLowerCase();
  socket.destroy();
  return sha256;
}

test('the settings say where they came from, without secrets', async () => {
  const { items } = await ask<{ items: { name: string; value: unknown; source: string }[] }>('GET', '/settings', 200);
  assert.deepEqual(
    items.slice(1).map(({ name, value, source }) => [name, value, source]),
    [
      ['default-key', '********', 'D4_DEFAULT_KEY'],
      ['redis-socket', null, 'default'],
    ],
  );
  await ask('GET', '/settings', 403, undefined, await fixture.addToken('viewer'));
});

test('a certificate is replaced and renewed live, and that is recorded', async () => {
  const first = await ask<CertificateView>('GET', '/certificate', 200);
  assert.equal(await shown(), first.sha256);
  assert.ok(first.isOwn && first.names.includes('IP Address:127.0.0.1'), JSON.stringify(first));
  const renewed = await ask<CertificateView>('POST', '/certificate/renew', 200);
  assert.notEqual(renewed.sha256, first.sha256);
  assert.equal(renewed.authority.sha256, first.authority.sha256);
  assert.equal(await shown(), renewed.sha256);

  const issued = await fixture.issue();
  const replaced = await ask<CertificateView>('PUT', '/certificate', 200, { pem: `${issued.key}${issued.cert}` });
  assert.equal(await shown(), replaced.sha256);
  const { home } = fixture;
  assert.match(readFileSync(join(home, 'server.pem'), 'utf8'), /PRIVATE KEY/);
  assert.equal(statSync(join(home, 'server.pem')).mode & 0o777, 0o600);
  assert.ok(existsSync(join(home, 'server.pem.old')));
  const { records } = fixture.registry.audit.list({ kind: 'certificate-replaced' }, 5);
  assert.equal(records.length, 2);
  assert.doesNotMatch(JSON.stringify([records, fixture.logged]), /PRIVATE KEY/);
});

test('what cannot be used, or sensors would refuse, changes nothing', async () => {
  const before = await shown();
  const issued = await fixture.issue();
  const foreign = await makeCertificateAuthority('other', Date.now());
  const subject = { commonName: 'x', names: ['localhost'], addresses: [] };
  const other = await issueServerCertificate(foreign, subject, Date.now());
  const code = async (pem: string, status: number) =>
    (await ask<{ error: { code: string } }>('PUT', '/certificate', status, { pem })).error.code;
  assert.equal(await code(issued.cert, 400), 'D4_BAD_CERTIFICATE');
  assert.equal(await code(`${other.key}${issued.cert}`, 400), 'D4_BAD_CERTIFICATE');
  assert.equal(await code(`${other.key}${other.certificate}`, 409), 'D4_OTHER_AUTHORITY');
  assert.equal(await shown(), before);
  await ask('PUT', '/certificate', 403, { pem: 'x' }, await fixture.addToken('user'));
  const meant = { pem: `${other.key}${other.certificate}${foreign.certificate}`, allowOtherAuthority: true };
  const replaced = await ask<CertificateView>('PUT', '/certificate', 200, meant);
  assert.deepEqual([replaced.isOwn, replaced.authority.pem], [false, foreign.certificate]);
});
