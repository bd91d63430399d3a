import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import tls, { type TLSSocket } from 'node:tls';
import {
  ENROLL_ALPN,
  ENROLL_SECRET_BYTES,
  type EnrollRequest,
  encodeEnrollAnswer,
  encodeEnrollHello,
  encodeEnrollToken,
  LineReader,
  parseEnrollRequest,
} from '@d4ts/protocol';
import { makeTestCertificates, type TestCertificates } from '@d4ts/testkit';
import { readClientConfig } from '../config.ts';
import { type Enrolled, type EnrollOptions, enroll } from './enroll.ts';

let certificates: TestCertificates;
let others: TestCertificates;
const root = mkdtempSync(join(tmpdir(), 'd4-enroll-'));

before(async () => {
  certificates = await makeTestCertificates();
  others = await makeTestCertificates();
});
after(() => rmSync(root, { recursive: true }));

/** A server of enrolments that does what a test says. */
interface Desk extends AsyncDisposable {
  readonly port: number;
  /** What each connection has sent that sent anything. */
  readonly requests: EnrollRequest[];
  readonly bytes: () => number;
}

interface DeskOptions {
  /** What it says first; its authority, if not given. Null for nothing. */
  readonly hello?: string | null;
  /** What it answers; undefined breaks the connection off. */
  readonly answer?: (request: EnrollRequest) => string | undefined;
  readonly identity?: { readonly key: string; readonly cert: string };
  readonly alpn?: readonly string[];
}

const SECRET = Buffer.alloc(ENROLL_SECRET_BYTES, 7);

function registered({ uuid, type = '3' }: EnrollRequest): string {
  return encodeEnrollAnswer({ kind: 'registered', uuid, state: 'approved', type, name: 'Roof' });
}

async function openDesk(options: DeskOptions = {}): Promise<Desk> {
  const { hello = encodeEnrollHello({ ca: certificates.ca }), answer = registered, identity = certificates } = options;
  const { alpn = [ENROLL_ALPN] } = options;
  const requests: EnrollRequest[] = [];
  const sockets = new Set<TLSSocket>();
  let bytes = 0;
  const server = tls.createServer({ key: identity.key, cert: identity.cert, ALPNProtocols: [...alpn] });
  server.on('secureConnection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    if (hello !== null) socket.write(hello);
    const reader = new LineReader(10_000);
    socket.on('data', (chunk) => {
      bytes += chunk.length;
      const line = reader.push(chunk);
      if (line === undefined) return;
      const request = parseEnrollRequest(line);
      requests.push(request);
      const said = answer(request);
      if (said === undefined) socket.destroy();
      else socket.end(said);
    });
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    bytes: () => bytes,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function tokenFor(port: number, caSha256 = certificates.caFingerprint): string {
  return encodeEnrollToken({ server: { host: '127.0.0.1', port }, caSha256, secret: SECRET });
}

function attempt(token: string, options: Partial<EnrollOptions> = {}): Promise<Enrolled> {
  const given = { token, directory: join(root, 'none'), tor: false, connectTimeoutMs: 5_000, ...options };
  const environment = { signal: new AbortController().signal, socksProxy: { host: '127.0.0.1', port: 9 } };
  return enroll(given, { ...environment, greetingMs: 5_000 });
}

let directories = 0;
function newDirectory(): string {
  directories += 1;
  return join(root, String(directories));
}

test('makes uuid and key, registers, and writes what a client reads, for its owner alone', async () => {
  await using desk = await openDesk({
    // What else comes with the authority is not pinned.
    hello: encodeEnrollHello({ ca: `${certificates.ca}\n${others.ca}` }),
  });
  const directory = newDirectory();
  const enrolled = await attempt(tokenFor(desk.port), { directory, type: 'maltrail', name: 'Cellar' });
  const [request] = desk.requests;
  assert.deepEqual([desk.requests.length, request?.secret, request?.name], [1, SECRET, 'Cellar']);
  assert.deepEqual(enrolled, {
    uuid: request?.uuid,
    server: `127.0.0.1:${desk.port}`,
    caSha256: certificates.caFingerprint,
    state: 'approved',
    type: 'maltrail',
    name: 'Roof',
  });
  const config = readClientConfig(directory);
  assert.deepEqual([config.sensor, config.key, config.type], [request?.uuid, request?.key, 254]);
  assert.deepEqual(config.destination, { kind: 'server', host: '127.0.0.1', port: desk.port });
  assert.match(request?.key.toString() ?? '', /^[A-Za-z0-9_-]{43}$/);
  assert.equal(config.rootCa?.match(/BEGIN CERTIFICATE/g)?.length, 1);
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  for (const name of readdirSync(directory)) assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600, name);
  assert.equal(existsSync(join(directory, 'enrolment.json')), false);
});

test('a server that is not proved is sent nothing, and nothing is written', async () => {
  const directory = newDirectory();
  const refuses = async (desk: Desk, token: string, expected: object) => {
    await assert.rejects(attempt(token, { directory }), expected);
    assert.deepEqual([desk.bytes(), existsSync(directory)], [0, false]);
  };
  await using impostor = await openDesk({ identity: others, hello: encodeEnrollHello({ ca: others.ca }) });
  await refuses(impostor, tokenFor(impostor.port), { code: 'D4_ENROLL_OTHER_AUTHORITY', message: /Nothing was sent/ });
  await using mirror = await openDesk({ identity: others });
  await refuses(mirror, tokenFor(mirror.port), { code: 'D4_ENROLL_UNTRUSTED', message: /cannot prove/ });
  await using elsewhere = await openDesk();
  const byName = encodeEnrollToken({
    server: { host: '127.0.0.2', port: elsewhere.port },
    caSha256: certificates.caFingerprint,
    secret: SECRET,
  });
  await refuses(elsewhere, byName, { code: 'D4_ENROLL_UNREACHABLE' });
});

test('a server that takes no enrolments, says something else, or is not there', async () => {
  for (const alpn of [[], ['d4-ack/1']]) {
    await using older = await openDesk({ alpn });
    await assert.rejects(attempt(tokenFor(older.port)), { code: 'D4_ENROLL_UNSUPPORTED', message: /older server/ });
  }
  for (const hello of ['{}\n', 'SSH-2.0\n', `${'x'.repeat(100_000)}\n`, '{"ca":"-----BEGIN CERTIFICATE-----"}\n']) {
    await using strange = await openDesk({ hello });
    await assert.rejects(attempt(tokenFor(strange.port)), /a message of enrolment|is no certificate|cannot reach/);
    assert.equal(strange.bytes(), 0);
  }
  const gone = await openDesk();
  const { port } = gone;
  await gone[Symbol.asyncDispose]();
  await assert.rejects(attempt(tokenFor(port)), { code: 'D4_ENROLL_UNREACHABLE', message: /ECONNREFUSED/ });
  assert.equal(existsSync(join(root, 'none')), false);
});

test('a server that says nothing is waited for so long, and no longer', async () => {
  await using silent = await openDesk({ hello: null });
  const options = { token: tokenFor(silent.port), directory: newDirectory(), tor: false, connectTimeoutMs: 5_000 };
  const environment = { signal: new AbortController().signal, socksProxy: { host: '127.0.0.1', port: 9 } };
  await assert.rejects(enroll(options, { ...environment, greetingMs: 50 }), {
    code: 'D4_ENROLL_UNREACHABLE',
    message: /nothing came for 0\.05 s/,
  });
});

test('an answer that is lost can be had again: it is the same sensor', async () => {
  let lost = 0;
  await using desk = await openDesk({
    answer: (request) => {
      lost += 1;
      return lost <= 2 ? undefined : registered(request);
    },
  });
  const directory = newDirectory();
  const token = tokenFor(desk.port);
  for (let at = 0; at < 2; at++) {
    await assert.rejects(attempt(token, { directory }), { code: 'D4_ENROLL_LOST', message: /repeat the command/ });
    assert.deepEqual(readdirSync(directory), ['enrolment.json']);
    assert.equal(statSync(join(directory, 'enrolment.json')).mode & 0o777, 0o600);
  }
  const { uuid } = await attempt(` ${token}\n`, { directory });
  assert.equal(desk.requests.length, 3);
  for (const request of desk.requests) {
    assert.deepEqual([request.uuid, request.key], [uuid, desk.requests[0]?.key]);
  }
  assert.equal(readClientConfig(directory).sensor, uuid);
  assert.equal(existsSync(join(directory, 'enrolment.json')), false);
});

test('with another token it is another sensor', async () => {
  await using breaking = await openDesk({ answer: () => undefined });
  await using desk = await openDesk();
  const directory = newDirectory();
  await assert.rejects(attempt(tokenFor(breaking.port), { directory }), { code: 'D4_ENROLL_LOST' });
  const { uuid } = await attempt(tokenFor(desk.port), { directory });
  assert.notEqual(breaking.requests[0]?.uuid, uuid);
});

test('a refusal says why and what to do, and leaves nothing behind', async () => {
  const refusals = [
    ['enroll-token-expired', /has expired \(enroll-token-expired\): ask who gave you the token/],
    ['type-not-accepted', /say another one with --type/],
    ['of-the-future', /\(of-the-future\): ask who gave you/],
    ['<b>\u001b', /\(\?\)/],
  ] as const;
  for (const [code, message] of refusals) {
    await using desk = await openDesk({
      answer: () => encodeEnrollAnswer({ kind: 'refused', code, text: 'it has expired' }),
    });
    const directory = newDirectory();
    await assert.rejects(attempt(tokenFor(desk.port), { directory }), { code: 'D4_ENROLL_REFUSED', message });
    assert.equal(existsSync(directory), false);
  }
});

test('a configuration that is there is left as it is; so is a wrong use', async () => {
  await using desk = await openDesk();
  const directory = mkdtempSync(join(root, 'configured-'));
  writeFileSync(join(directory, 'key'), 'somebody else');
  const token = tokenFor(desk.port);
  await assert.rejects(attempt(token, { directory }), { code: 'D4_CONFIG', message: /has a configuration already/ });
  assert.equal(readFileSync(join(directory, 'key'), 'utf8'), 'somebody else');
  await assert.rejects(attempt(token, { directory: join(directory, 'key') }), { code: 'D4_CONFIG' });
  for (const name of ['source', 'snaplen', 'version']) {
    const partly = mkdtempSync(join(root, 'partly-'));
    // A link that leads nowhere would be written through.
    symlinkSync(join(root, 'elsewhere'), join(partly, name));
    await assert.rejects(attempt(token, { directory: partly }), { code: 'D4_CONFIG', message: new RegExp(name) });
  }
  const pending = mkdtempSync(join(root, 'pending-'));
  for (const text of ['', '[]', '{"format":1,"token":"","uuid":"x","key":"y"}', '{"format":2}']) {
    writeFileSync(join(pending, 'enrolment.json'), text);
    await assert.rejects(attempt(token, { directory: pending }), { code: 'D4_CONFIG', message: /remove it/ });
  }
  await assert.rejects(attempt(token.slice(0, -3)), { code: 'D4_BAD_TOKEN' });
  for (const type of ['254', 'no such', '']) await assert.rejects(attempt(token, { type }), { code: 'D4_USAGE' });
  await assert.rejects(attempt(token, { name: 'x'.repeat(201) }), { code: 'D4_USAGE' });
  assert.equal(desk.bytes(), 0);
});
