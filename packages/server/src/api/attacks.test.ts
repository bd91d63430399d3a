import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, request } from 'node:https';
import { after, before, test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { type ApiFixture, LOCAL_TOKEN, startApiFixture } from './api-fixture.ts';

/*
 * What somebody could try against the interface. Elsewhere: forged requests, session fixation and forced changes of the
 * password (people/session-routes.test.ts), guesses and escalation (people/user-routes.test.ts), formulas (csv.test.ts).
 */

const GIGABYTE = 1024 ** 3;

let fixture: ApiFixture;

before(async () => {
  fixture = await startApiFixture(0, { timeouts: { headersMs: 200, requestMs: 400, checkMs: 50 } });
});
after(() => fixture[Symbol.asyncDispose]());

async function open(): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port: fixture.api.address.port, rejectUnauthorized: false });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  return socket;
}

/** All that comes until the server closes. */
async function answer(socket: TLSSocket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  if (!socket.closed) await once(socket, 'close');
  return Buffer.concat(chunks).toString();
}

test('a gigabyte of body is refused before it comes', async () => {
  for (const [path, token] of [
    ['/api/v1/sensors', LOCAL_TOKEN],
    ['/api/v1/session', ''],
    ['/api/v1/add/sensor/register', LOCAL_TOKEN],
  ]) {
    const socket = await open();
    const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: ${token}\r\nContent-Type: application/json\r\n`;
    socket.write(`${head}Connection: close\r\nContent-Length: ${GIGABYTE}\r\n\r\n{"uuid":"`);
    const text = await answer(socket);
    assert.match(text, /^HTTP\/1\.1 413 /, path);
  }
});

test('a gigabyte in pieces is cut off', async () => {
  const socket = await open();
  const closed = answer(socket);
  socket.write(
    `POST /api/v1/sensors HTTP/1.1\r\nHost: x\r\nAuthorization: ${LOCAL_TOKEN}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
  );
  const piece = Buffer.alloc(64 * 1024, 'a');
  let sent = 0;
  while (sent < GIGABYTE && !socket.destroyed && socket.writable) {
    sent += piece.length;
    const more = socket.write(
      Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]),
    );
    if (!more) await Promise.race([once(socket, 'drain').catch(() => {}), once(socket, 'close')]);
    await new Promise(setImmediate);
  }
  assert.match(await closed, /413 |^$/);
  assert.ok(sent < 64 * 1024 * 1024, `${sent} bytes were taken`);
});

test('who sends a request by drops is cut off, in its head and in its body', async () => {
  for (const start of [
    'GET /api/v1/status HTTP/1.1\r\nHost: x\r\nX-Slow: ',
    `POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n`,
  ]) {
    const socket = await open();
    const closed = answer(socket);
    socket.write(start);
    const drops = setInterval(() => socket.writable && socket.write('a'), 20);
    try {
      assert.match(await closed, /^HTTP\/1\.1 408 /);
    } finally {
      clearInterval(drops);
    }
  }
});

test('no path leads out of the archive', async () => {
  for (const id of [
    '..%2f..%2f..%2fetc%2fpasswd',
    '..%2fregistry.key',
    '3:..%2f..%2fregistry.key',
    '%2fetc%2fpasswd',
    '3%3a17%00',
    '..\\..\\registry.key',
  ]) {
    for (const path of [`/api/v1/archive/files/${id}`, `/api/v1/archive/files/${id}/content`]) {
      const { status, text } = await fixture.call('GET', path);
      assert.ok(status === 404 || status === 400, `${path}: ${status} ${text}`);
      assert.doesNotMatch(text, /root:/);
    }
  }
  for (const path of [
    '/../registry.key',
    '/assets/../../registry.key',
    '/assets/..%2f..%2fregistry.key',
    '/%2e%2e/registry.key',
  ]) {
    const { status } = await fixture.call('GET', path);
    assert.equal(status, 404, path);
  }
});

test('a flood is held back, the local administrator is not', async () => {
  const token = await fixture.addToken('viewer');
  const agent = new Agent({ keepAlive: true, maxSockets: 4, rejectUnauthorized: false });
  const ask = async (by: string): Promise<number> => {
    const asked = request({
      port: fixture.api.address.port,
      path: '/api/v1/me',
      headers: { authorization: by },
      agent,
    });
    asked.end();
    const [response] = await once(asked, 'response');
    response.resume();
    await once(response, 'end');
    return response.statusCode;
  };
  const flood = async (by: string, requests: number): Promise<number> => {
    const statuses = await Promise.all(Array.from({ length: requests }, () => ask(by)));
    return statuses.filter((status) => status === 429).length;
  };
  assert.equal(await flood(token, 520), 20);
  assert.equal(await flood(LOCAL_TOKEN, 520), 0);
  fixture.clock.now += 1_000;
  assert.equal(await flood(token, 60), 10);
  agent.destroy();
});

test('every answer forbids scripts, frames, sniffing and keeping', async () => {
  for (const [method, path] of [
    ['GET', '/'],
    ['GET', '/healthz'],
    ['GET', '/api/docs'],
    ['GET', '/api/v1/status'],
    ['GET', '/api/v1/nothing'],
    ['PUT', '/api/v1/status'],
    ['POST', '/api/v1/session'],
  ] as const) {
    const { headers } = await fixture.call(method, path, { token: null });
    const policy = String(headers['content-security-policy']);
    for (const part of ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"])
      assert.ok(policy.includes(part), path);
    assert.doesNotMatch(policy, /unsafe|\*|https?:/, path);
    assert.deepEqual(
      [
        headers['x-content-type-options'],
        headers['x-frame-options'],
        headers['referrer-policy'],
        headers['cache-control'],
      ],
      ['nosniff', 'DENY', 'no-referrer', 'no-store'],
      path,
    );
  }
});

test('the description as a page has every route, and nothing from elsewhere', async () => {
  const { status, text, headers } = await fixture.call('GET', '/api/docs', { token: null });
  assert.equal(status, 200);
  assert.match(String(headers['content-type']), /^text\/html/);
  assert.doesNotMatch(text, /<script|\ssrc=|href="https?:|\sstyle="|\son\w+="/);
  const { body } = await fixture.call('GET', '/api/v1/openapi.json', { token: null });
  const { paths } = body as { paths: Record<string, Record<string, { operationId: string }>> };
  for (const methods of Object.values(paths)) {
    for (const { operationId } of Object.values(methods)) assert.ok(text.includes(`id="${operationId}"`), operationId);
  }
  for (const [, name] of text.matchAll(/href="#schema-([^"]+)"/g))
    assert.ok(text.includes(`id="schema-${name}"`), name);
  assert.match(text, /D4_LOCKED_OUT/);
  assert.equal((await fixture.call('GET', '/api/docs/style.css', { token: null })).status, 200);
});
