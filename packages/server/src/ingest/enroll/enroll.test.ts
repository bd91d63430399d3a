import assert from 'node:assert/strict';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import {
  ENROLL_ALPN,
  ENROLL_SECRET_BYTES,
  type EnrollAnswer,
  type EnrollRequest,
  encodeEnrollRequest,
  newSensorId,
  parseEnrollAnswer,
  parseEnrollHello,
} from '@d4ts/protocol';
import type { EnrolmentToken } from '../../registry/port.ts';
import { tokenHash } from '../../registry/tokens.ts';
import { type IngestFixture, peerClosed, startIngestFixture, until } from '../ingest-fixture.ts';

const ACTOR = { name: 'test' };
const HOUR = 60 * 60_000;

/** Keeps a token whose secret is one byte again and again. */
async function addToken(server: IngestFixture, secret: number, fields: Partial<EnrolmentToken> = {}): Promise<Buffer> {
  const bytes = Buffer.alloc(ENROLL_SECRET_BYTES, secret);
  const token: EnrolmentToken = {
    name: 'Roof',
    tags: ['north'],
    description: '',
    mail: 'owner@example.org',
    type: '3',
    approve: true,
    server: '127.0.0.1:4443',
    author: 'local',
    maxUses: 1,
    uses: [],
    createdAt: Date.now(),
    expiresAt: Date.now() + HOUR,
    ...fields,
  };
  await server.registry.enrolments.put(keyOf(bytes), token, ACTOR);
  return bytes;
}

function keyOf(secret: Buffer): string {
  return tokenHash(secret.toString('base64url'));
}

function requestWith(secret: Buffer, more: Partial<EnrollRequest> = {}): EnrollRequest {
  return { secret, uuid: newSensorId(), key: Buffer.from('its own key'), ...more };
}

/** Sends raw text in a connection of its own. @returns the two lines that came */
async function exchange(server: IngestFixture, said: string): Promise<{ hello: string; answer: string }> {
  const socket = await server.connect({ ALPNProtocols: [ENROLL_ALPN] });
  assert.equal(socket.alpnProtocol, ENROLL_ALPN);
  socket.on('error', () => {});
  socket.write(said);
  const [hello = '', answer = ''] = (await text(socket)).split('\n');
  socket.destroy();
  return { hello, answer };
}

async function enroll(server: IngestFixture, request: EnrollRequest): Promise<EnrollAnswer> {
  const { hello, answer } = await exchange(server, encodeEnrollRequest(request));
  assert.match(parseEnrollHello(Buffer.from(hello)).ca, /^-----BEGIN CERTIFICATE-----/);
  return parseEnrollAnswer(Buffer.from(answer));
}

async function refusalOf(server: IngestFixture, request: EnrollRequest): Promise<string> {
  const answer = await enroll(server, request);
  return answer.kind === 'refused' ? answer.code : answer.kind;
}

test('a token registers a sensor once; asking again with the same uuid and key changes nothing', async () => {
  await using server = await startIngestFixture();
  const secret = await addToken(server, 1);
  const request = requestWith(secret, { name: 'not this one' });
  const registered = { kind: 'registered', uuid: request.uuid, state: 'approved', type: '3', name: 'Roof' };
  assert.deepEqual(await enroll(server, request), registered);
  const sensor = server.registry.sensors.get(request.uuid)?.value;
  assert.deepEqual([sensor?.key, sensor?.tags, sensor?.mail], ['its own key', ['north'], 'owner@example.org']);
  const { revision } = server.registry.enrolments.get(keyOf(secret)) ?? assert.fail();
  assert.deepEqual(await enroll(server, request), registered);
  assert.equal(server.registry.enrolments.get(keyOf(secret))?.revision, revision);

  assert.equal(await refusalOf(server, requestWith(secret)), 'enroll-token-used');
  assert.equal(await refusalOf(server, { ...request, key: Buffer.from('another key') }), 'enroll-uuid-taken');
  await server.registry.sensors.remove(request.uuid, ACTOR);
  assert.equal(await refusalOf(server, request), 'enroll-token-used');

  const totals = server.registry.activity.refusalTotals();
  assert.deepEqual([totals['enroll-token-used'], totals['enroll-uuid-taken']], [2, 1]);
  const claimed = server.registry.activity.claimedRefusals();
  assert.ok(claimed.some((each) => each.code === 'enroll-uuid-taken' && each.claimed === request.uuid));
  const said = server.logged.map(({ msg, code }) => `${code ?? ''} ${msg}`);
  assert.ok(said.includes('enroll-token-used the enrolment token was used as often as it may be'), said.join('\n'));
  const { records } = server.registry.audit.list({ actor: `enrolment ${keyOf(secret).slice(0, 8)}` }, 100);
  assert.deepEqual(
    records.map(({ kind }) => kind),
    ['enrolments', 'sensors', 'enrolments'],
  );
});

test('why a token is refused; and what a sensor that enrols may be', async () => {
  await using server = await startIngestFixture();
  const { registry } = server;
  const refused = async (secret: number, fields: Partial<EnrolmentToken>, more: Partial<EnrollRequest> = {}) =>
    refusalOf(server, requestWith(await addToken(server, secret, fields), more));
  const user = { mail: 'a@b', passwordHash: '', mustChangePassword: false, createdAt: 0 };
  await registry.users.put('viewer@b', { ...user, mail: 'viewer@b', role: 'viewer' }, ACTOR);
  await registry.users.put('gone@b', { ...user, mail: 'gone@b', role: 'admin', disabled: true }, ACTOR);
  await registry.users.put('few@b', { ...user, mail: 'few@b', role: 'sensor_register' }, ACTOR);

  assert.equal(await refusalOf(server, requestWith(Buffer.alloc(ENROLL_SECRET_BYTES))), 'enroll-token-unknown');
  assert.equal(await refused(1, { expiresAt: Date.now() - 1 }), 'enroll-token-expired');
  assert.equal(await refused(2, { revokedAt: 1 }), 'enroll-token-revoked');
  assert.equal(await refused(3, { author: 'viewer@b' }), 'enroll-token-revoked');
  assert.equal(await refused(4, { author: 'gone@b' }), 'enroll-token-revoked');
  assert.equal(await refused(5, { author: 'nobody@b' }), 'enroll-token-revoked');
  assert.equal(await refused(6, {}, { type: 'fascia' }), 'type-not-accepted');
  const notV4 = '00000000-0000-1000-8000-000000000000' as EnrollRequest['uuid'];
  assert.equal(await refused(7, {}, { uuid: notV4 }), 'uuid-not-v4');
  const uuid = newSensorId();
  await registry.blocks.put(uuid, { target: uuid, kind: 'sensor', reason: '', createdAt: 0 }, ACTOR);
  assert.equal(await refused(8, {}, { uuid }), 'blocked-uuid');
  const known = await server.addSensor();
  assert.equal(await refused(9, {}, { uuid: known, key: server.key }), 'enroll-uuid-taken');
  // None of them has cost a use.
  assert.deepEqual(
    [...registry.enrolments.entries()].flatMap(([, { value }]) => value.uses),
    [],
  );

  const few = await enroll(server, requestWith(await addToken(server, 10, { author: 'few@b' }), { type: 'maltrail' }));
  assert.ok(few.kind === 'registered');
  assert.deepEqual([few.state, few.type], ['pending', 'maltrail']);
});

test('a token for several sensors counts them; two at a time get no more than there are', async () => {
  await using server = await startIngestFixture();
  const secret = await addToken(server, 1, { maxUses: 3 });
  const answers = await Promise.all(
    [undefined, 'its own name', undefined, undefined, undefined].map((name) =>
      enroll(server, requestWith(secret, name === undefined ? {} : { name })),
    ),
  );
  const names = answers.flatMap((answer) => (answer.kind === 'registered' ? [answer.name] : []));
  assert.equal(names.length, 3);
  assert.ok(
    names.every((name) => /^Roof [123]$/.test(name) || name === 'its own name'),
    names.join(),
  );
  assert.equal(new Set(names).size, 3);
  assert.equal(server.registry.enrolments.get(keyOf(secret))?.value.uses.length, 3);
});

test('after a crash between counting and registering the same sensor goes on, and no other', async () => {
  await using server = await startIngestFixture();
  const uuid = newSensorId();
  const uses = [{ sensor: uuid, address: '192.0.2.1', at: 1, registered: false }];
  const secret = await addToken(server, 1, { uses, expiresAt: 1 });
  assert.equal(await refusalOf(server, requestWith(secret)), 'enroll-token-used');
  assert.equal((await enroll(server, requestWith(secret, { uuid }))).kind, 'registered');
  assert.deepEqual(
    server.registry.enrolments.get(keyOf(secret))?.value.uses.map(({ sensor, registered }) => [sensor, registered]),
    [[uuid, true]],
  );
});

test('guesses from an address are held back before they are looked at', async () => {
  await using server = await startIngestFixture();
  const guess = () => refusalOf(server, requestWith(Buffer.alloc(ENROLL_SECRET_BYTES, 9)));
  const codes = [];
  for (let at = 0; at < 21; at++) codes.push(await guess());
  assert.deepEqual(codes.slice(0, 20), new Array(20).fill('enroll-token-unknown'));
  assert.equal(codes[20], 'enroll-too-many-attempts');
  const secret = await addToken(server, 1);
  assert.equal(await refusalOf(server, requestWith(secret)), 'enroll-too-many-attempts');
  assert.equal(server.registry.activity.refusalTotals()['enroll-too-many-attempts'], 2);
  assert.equal(server.registry.enrolments.get(keyOf(secret))?.value.uses.length, 0);
});

test('what is malformed, too long, or too slow is refused, and costs nothing more', async () => {
  await using server = await startIngestFixture({ limits: { headerTimeoutMs: 200, closeTimeoutMs: 100 } });
  const good = encodeEnrollRequest(requestWith(await addToken(server, 1)));
  for (const said of [
    '{}\n',
    'GET / HTTP/1.1\r\n\r\n',
    '[]\n',
    good.replace('}', ',"approve":true}'),
    '\n',
    '\xff\n',
  ]) {
    const { answer } = await exchange(server, said);
    assert.equal(JSON.parse(answer).refused.code, 'bad-message', said);
  }
  const { answer } = await exchange(server, 'x'.repeat(100_000));
  assert.equal(JSON.parse(answer).refused.code, 'bad-message');

  const socket = await server.connect({ ALPNProtocols: [ENROLL_ALPN] });
  socket.on('error', () => {});
  // A byte now and then does not keep it open.
  const dripping = setInterval(() => socket.write(' '), 20);
  const said = await text(socket);
  clearInterval(dripping);
  assert.equal(JSON.parse(said.split('\n')[1] ?? '').refused.code, 'header-timeout');
  await until(() => server.registry.activity.refusalTotals()['header-timeout'] === 1);
  assert.equal(server.registry.activity.refusalTotals()['bad-message'], 7);
  assert.equal(server.registry.sensors.size, 0);
});

test('who offers no enrolment notices nothing of it; a stop leaves no connection', async () => {
  await using server = await startIngestFixture();
  const encoder = server.encoder(await server.addSensor());
  const plain = await server.connect();
  assert.equal(plain.alpnProtocol, false);
  plain.end(encoder.encode(3, Buffer.from('a line\n'), 1));
  assert.equal(await peerClosed(plain), 'end');
  assert.equal(await server.text('3'), 'a line\n');
  const waiting = await server.connect({ ALPNProtocols: [ENROLL_ALPN] });
  const closed = once(waiting, 'close');
  waiting.resume();
  await server.ingest.close();
  waiting.end();
  await closed;
});
