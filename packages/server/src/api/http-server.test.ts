import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { type ApiFixture, LOCAL_TOKEN, NOW, startApiFixture } from './api-fixture.ts';

let fixture: ApiFixture;

before(async () => {
  fixture = await startApiFixture();
});
after(() => fixture[Symbol.asyncDispose]());

function errorCode(body: unknown): unknown {
  return (body as { error: { code: string } }).error.code;
}

function openTls(options: object = {}): TLSSocket {
  return connect({ host: '127.0.0.1', port: fixture.api.address.port, ca: fixture.ca, ...options });
}

async function exchange(bytes: string): Promise<string> {
  const socket = openTls();
  await once(socket, 'secureConnect');
  socket.write(bytes);
  let text = '';
  for await (const chunk of socket) text += chunk;
  return text;
}

test('health needs no token and follows readiness', async () => {
  assert.deepEqual((await fixture.call('GET', '/healthz', { token: null })).body, { status: 'ready' });
  fixture.state.ready = false;
  const answer = await fixture.call('GET', '/healthz', { token: null });
  fixture.state.ready = true;
  assert.equal(answer.status, 503);
  assert.deepEqual(answer.body, { status: 'not ready' });
});

test('the root says where the interface is', async () => {
  const { status, headers, text } = await fixture.call('GET', '/', { token: null });
  assert.equal(status, 200);
  assert.match(String(headers['content-type']), /^text\/html/);
  assert.match(text, /\/api\/v1/);
});

test('a token is needed, bare or as a bearer', async () => {
  const viewer = await fixture.addToken('viewer');
  const missing = await fixture.call('GET', '/api/v1/status', { token: null });
  assert.equal(missing.status, 401);
  assert.equal(errorCode(missing.body), 'D4_TOKEN_MISSING');
  assert.equal(missing.headers['www-authenticate'], 'Bearer');
  const unknown = await fixture.call('GET', '/api/v1/status', { token: 'nobody' });
  assert.equal(unknown.status, 401);
  assert.equal(errorCode(unknown.body), 'D4_TOKEN_UNKNOWN');
  assert.equal((await fixture.call('GET', '/api/v1/status', { token: viewer })).status, 200);
  assert.equal((await fixture.call('GET', '/api/v1/status', { token: `Bearer ${viewer}` })).status, 200);
  assert.equal((await fixture.call('GET', '/api/v1/status', { token: `Bearer ${LOCAL_TOKEN}` })).status, 200);
});

test('an expired token is unknown', async () => {
  const token = await fixture.addToken('admin', { expiresAt: NOW });
  assert.equal((await fixture.call('GET', '/api/v1/status', { token })).status, 401);
});

test('each role may do what its routes say, and no more', async () => {
  const uuid = 'b2a7bd5e-6f0b-4fd2-9d18-5a4a1d6a1f00';
  const attempts: [string, string, unknown][] = [
    ['GET', '/api/v1/sensors', undefined],
    ['POST', `/api/v1/sensors/${uuid}/kick`, undefined],
    ['POST', '/api/v1/types', { name: '9' }],
    ['POST', '/api/v1/add/sensor/register', {}],
  ];
  const expected = {
    sensor_register: [403, 403, 403, 400],
    viewer: [200, 403, 403, 403],
    user: [200, 404, 403, 400],
    admin: [200, 404, 201, 400],
  } as const;
  for (const role of ['sensor_register', 'viewer', 'user', 'admin'] as const) {
    const token = await fixture.addToken(role);
    const statuses: number[] = [];
    for (const [method, path, json] of attempts) {
      statuses.push((await fixture.call(method, path, { token, json })).status);
    }
    assert.deepEqual(statuses, expected[role], role);
  }
});

test('what does not exist, and what is not taken, is said in the shape of all errors', async () => {
  const cases: [string, string, object, number, string][] = [
    ['GET', '/nothing', {}, 404, 'D4_NOT_FOUND'],
    ['GET', '/api/v1/nothing?x=1', {}, 404, 'D4_NOT_FOUND'],
    ['GET', '/api/v1/queues/not-a-uuid', {}, 400, 'D4_BAD_UUID'],
    ['PUT', '/api/v1/sensors', {}, 405, 'D4_METHOD_NOT_ALLOWED'],
    ['DELETE', '/api/v1/sensors/x/kick', {}, 405, 'D4_METHOD_NOT_ALLOWED'],
    ['GET', '/api/v1/sensors?limit=0', {}, 400, 'D4_BAD_REQUEST'],
    ['GET', '/api/v1/sensors?limit=many', {}, 400, 'D4_BAD_REQUEST'],
    ['GET', '/api/v1/sensors?unknown=1', {}, 400, 'D4_BAD_REQUEST'],
    ['GET', '/api/v1/sensors?state=odd', {}, 400, 'D4_BAD_REQUEST'],
    ['GET', `/api/v1/sensors/${'x'.repeat(300)}`, {}, 414, 'D4_ADDRESS_TOO_LONG'],
    ['GET', '/api/v1/%zz', {}, 400, 'D4_BAD_REQUEST'],
    [
      'POST',
      '/api/v1/types',
      { body: '{"name":', headers: { 'content-type': 'application/json' } },
      400,
      'D4_BAD_REQUEST',
    ],
    ['POST', '/api/v1/types', { json: {} }, 400, 'D4_BAD_REQUEST'],
    ['POST', '/api/v1/types', { json: { name: 3 } }, 400, 'D4_BAD_REQUEST'],
    ['POST', '/api/v1/types', { json: { name: '3', other: 1 } }, 400, 'D4_BAD_REQUEST'],
    ['POST', '/api/v1/types', {}, 400, 'D4_BAD_REQUEST'],
    [
      'POST',
      '/api/v1/types',
      { body: 'name=3', headers: { 'content-type': 'text/plain' } },
      415,
      'D4_UNSUPPORTED_MEDIA',
    ],
    [
      'POST',
      '/api/v1/types',
      { body: 'name=3', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      415,
      'D4_UNSUPPORTED_MEDIA',
    ],
    ['POST', '/api/v1/types', { json: { name: 'x'.repeat(1024 * 1024) } }, 413, 'D4_BODY_TOO_LARGE'],
  ];
  for (const [method, path, options, status, code] of cases) {
    const answer = await fixture.call(method, path, options);
    const what = `${method} ${path.slice(0, 60)} ${JSON.stringify(options).slice(0, 60)}: ${answer.text.slice(0, 200)}`;
    assert.equal(answer.status, status, what);
    assert.equal(errorCode(answer.body), code, what);
    assert.deepEqual(Object.keys(answer.body as object), ['error'], what);
  }
});

test('405 says what is allowed', async () => {
  const { headers } = await fixture.call('PUT', '/api/v1/types');
  assert.equal(headers.allow, 'GET, HEAD, POST');
});

test('a state cannot be changed by GET', async () => {
  for (const path of [
    '/api/v1/sensors/x/approve',
    '/api/v1/sensors/x/kick',
    '/api/v1/queues/x/flush',
    '/api/v1/queues/x/pop',
  ]) {
    assert.equal((await fixture.call('GET', path)).status, 405, path);
  }
});

test('every answer carries the security headers', async () => {
  for (const path of ['/', '/healthz', '/api/v1/status', '/nothing']) {
    const { headers } = await fixture.call('GET', path, { token: null });
    assert.match(String(headers['content-security-policy']), /default-src 'none'/, path);
    assert.equal(headers['x-content-type-options'], 'nosniff', path);
    assert.equal(headers['cache-control'], 'no-store', path);
  }
});

test('what is not HTTP, and headers without end, are refused in the shape of all errors', async () => {
  assert.match(await exchange('\x01\x01 not http\r\n\r\n'), /^HTTP\/1\.1 400 .*"code":"D4_BAD_REQUEST"/s);
  assert.match(
    await exchange(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`),
    /^HTTP\/1\.1 431 .*"code":"D4_HEADERS_TOO_LARGE"/s,
  );
});

test('TLS before 1.2 is not spoken', async () => {
  const socket = openTls({ maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'ALL@SECLEVEL=0' });
  await assert.rejects(once(socket, 'secureConnect'));
});

test('the certificate is swapped live, and a connection that is open goes on', async () => {
  const open = openTls();
  await once(open, 'secureConnect');
  const old = open.getPeerCertificate().fingerprint256;
  fixture.api.setIdentity(await fixture.issue());
  const fresh = openTls();
  await once(fresh, 'secureConnect');
  assert.notEqual(fresh.getPeerCertificate().fingerprint256, old);
  fresh.destroy();
  open.end('GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  const [chunk] = await once(open, 'data');
  assert.match(String(chunk), /^HTTP\/1\.1 200/);
});

test('a failure of the server is logged and not shown', async () => {
  const queue = fixture.queues.make('3');
  queue.failure = new Error('secret path');
  const answer = await fixture.call('POST', `/api/v1/queues/${queue.uuid}/pop`);
  assert.equal(answer.status, 500);
  assert.equal(errorCode(answer.body), 'D4_INTERNAL');
  assert.doesNotMatch(answer.text, /secret/);
  assert.ok(fixture.logged.some(({ level, msg }) => level === 50 && msg === 'a request failed'));
});

test('token after token from one address is held back, but not the local administrator', async () => {
  await using other = await startApiFixture();
  const known = await other.addToken('admin');
  for (let attempt = 0; attempt < 30; attempt++) {
    assert.equal((await other.call('GET', '/api/v1/types', { token: `guess ${attempt}` })).status, 401);
  }
  const held = await other.call('GET', '/api/v1/types', { token: 'guess' });
  assert.equal(held.status, 429);
  assert.equal(errorCode(held.body), 'D4_TOO_MANY_ATTEMPTS');
  assert.equal(held.headers['retry-after'], '2');
  assert.equal((await other.call('GET', '/api/v1/types', { token: known })).status, 429);
  assert.equal((await other.call('GET', '/api/v1/types')).status, 200);
});

test('closing ends connections that have asked nothing', async () => {
  const other = await startApiFixture();
  const idle = connect({ host: '127.0.0.1', port: other.api.address.port, ca: other.ca });
  await once(idle, 'secureConnect');
  const closed = once(idle, 'close');
  await other[Symbol.asyncDispose]();
  await closed;
});

test("an address in use is the system's error", async () => {
  await assert.rejects(startApiFixture(fixture.api.address.port), { code: 'EADDRINUSE', syscall: 'listen' });
});
