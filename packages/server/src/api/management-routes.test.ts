import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import { parseSensorId, type SensorId } from '@d4ts/protocol';
import type { SessionInfo } from '../ingest/port.ts';
import { type ApiFixture, LOCAL_TOKEN, NOW, startApiFixture } from './api-fixture.ts';
import { popItems } from './queue-items.ts';
import type { BlockView, Credential, Items, QueueView, Status, TypeView } from './schemas.ts';
import type { SensorView } from './sensor-schemas.ts';

let fixture: ApiFixture;
let lastSensor = 0;

before(async () => {
  fixture = await startApiFixture();
});
after(() => fixture[Symbol.asyncDispose]());

function nextUuid(): SensorId {
  return parseSensorId(`aaaaaaaa-aaaa-4aaa-8aaa-${String(++lastSensor).padStart(12, '0')}`);
}

async function ask<T>(method: string, path: string, status: number, json?: unknown): Promise<T> {
  const answer = await fixture.call(method, `/api/v1${path}`, { json });
  assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
  return answer.body as T;
}

async function askForError(method: string, path: string, status: number, json?: unknown): Promise<string> {
  const { error } = await ask<{ error: { code: string } }>(method, path, status, json);
  return error.code;
}

function session(sensor: SensorId, address = '192.0.2.1'): SessionInfo {
  const times = { since: NOW - 10_000, lastFrameAt: NOW - 1_000 };
  return { sensor, topic: '3', address, port: 1, ...times, frames: 1, bytes: 2, records: 3 };
}

test('a sensor from registration to removal', async () => {
  const uuid = nextUuid();
  const added = await ask<SensorView>('POST', '/sensors', 201, {
    uuid: uuid.replaceAll('-', '').toUpperCase(),
    key: 'the key',
    description: 'on the roof',
  });
  assert.equal(added.uuid, uuid);
  assert.equal(added.state, 'pending');
  assert.equal(added.description, 'on the roof');
  assert.equal(added.createdAt, NOW);
  assert.equal(added.lastSeen, null);
  assert.equal(fixture.registry.sensors.get(uuid)?.value.key, 'the key');

  const approved = await ask<SensorView>('POST', `/sensors/${uuid}/approve`, 200);
  assert.equal(approved.registration, 'approved');
  assert.equal(approved.state, 'disconnected');
  const again = await ask<SensorView>('POST', `/sensors/${uuid}/approve`, 200);
  assert.equal(again.revision, approved.revision);

  fixture.ingest.live = [session(uuid)];
  const receiving = await ask<SensorView>('GET', `/sensors/${uuid}`, 200);
  assert.equal(receiving.state, 'receiving');
  assert.equal(receiving.sessions[0]?.address, '192.0.2.1');

  assert.deepEqual(await ask('POST', `/sensors/${uuid}/kick`, 200), { connections: 1 });
  assert.equal((await ask<SensorView>('POST', `/sensors/${uuid}/revoke`, 200)).state, 'revoked');

  await ask('DELETE', `/sensors/${uuid}`, 204);
  assert.equal(await askForError('GET', `/sensors/${uuid}`, 404), 'D4_NOT_FOUND');
  assert.equal(await askForError('DELETE', `/sensors/${uuid}`, 404), 'D4_NOT_FOUND');
  assert.equal(await askForError('POST', `/sensors/${uuid}/approve`, 404), 'D4_NOT_FOUND');
});

test('a key is kept byte for byte, and never shown', async () => {
  const text = nextUuid();
  await ask('POST', '/sensors', 201, { uuid: text, key: '<clé> & "key"' });
  assert.equal(fixture.registry.sensors.get(text)?.value.key, Buffer.from('<clé> & "key"').toString('latin1'));
  const bytes = nextUuid();
  await ask('POST', '/sensors', 201, { uuid: bytes, key: '/wAK', keyEncoding: 'base64' });
  assert.equal(fixture.registry.sensors.get(bytes)?.value.key, '\xff\0\n');
  for (const path of ['/sensors', `/sensors/${text}`, '/status']) {
    const { text: shown } = await fixture.call('GET', `/api/v1${path}`);
    assert.doesNotMatch(shown, /"key"|clé|&/, path);
  }
});

test('what cannot be registered', async () => {
  const uuid = nextUuid();
  await ask('POST', '/sensors', 201, { uuid, key: 'k'.repeat(1_023), approve: true });
  assert.equal(await askForError('POST', '/sensors', 409, { uuid, key: 'k' }), 'D4_CONFLICT');
  const other = nextUuid();
  assert.equal(await askForError('POST', '/sensors', 400, { uuid: other, key: '' }), 'D4_BAD_KEY');
  assert.equal(await askForError('POST', '/sensors', 400, { uuid: other, key: 'k'.repeat(1_024) }), 'D4_BAD_KEY');
  assert.equal(await askForError('POST', '/sensors', 400, { uuid: other, key: 'é'.repeat(512) }), 'D4_BAD_KEY');
  assert.equal(
    await askForError('POST', '/sensors', 400, { uuid: other, key: 'no', keyEncoding: 'base64' }),
    'D4_BAD_KEY',
  );
  assert.equal(await askForError('POST', '/sensors', 400, { uuid: 'x', key: 'k' }), 'D4_BAD_UUID');
  const version1 = 'aaaaaaaa-aaaa-1aaa-8aaa-aaaaaaaaaaaa';
  assert.equal(await askForError('POST', '/sensors', 400, { uuid: version1, key: 'k' }), 'D4_BAD_UUID');
});

test('a change may insist on a revision', async () => {
  const uuid = nextUuid();
  await ask('POST', '/sensors', 201, { uuid, key: 'k', description: 'old', maxPayloadBytes: 500 });
  const change = { revision: 1, description: 'new', mail: 'a@example.org', maxPayloadBytes: null };
  const changed = await ask<SensorView>('PATCH', `/sensors/${uuid}`, 200, change);
  assert.deepEqual([changed.description, changed.mail, changed.maxPayloadBytes], ['new', 'a@example.org', null]);
  assert.equal(await askForError('PATCH', `/sensors/${uuid}`, 409, change), 'D4_CONFLICT');
  const limited = await ask<SensorView>('PATCH', `/sensors/${uuid}`, 200, { maxPayloadBytes: 9 });
  assert.deepEqual([limited.maxPayloadBytes, limited.description], [9, 'new']);
  const bounded = await ask<SensorView>('PATCH', `/sensors/${uuid}`, 200, { maxBytesPerSecond: 7, maxBytesPerDay: 8 });
  assert.deepEqual([bounded.maxPayloadBytes, bounded.maxBytesPerSecond, bounded.maxBytesPerDay], [9, 7, 8]);
  const paced = await ask<SensorView>('PATCH', `/sensors/${uuid}`, 200, { maxBytesPerDay: null });
  assert.deepEqual([paced.maxPayloadBytes, paced.maxBytesPerSecond, paced.maxBytesPerDay], [9, 7, null]);
  for (const acknowledgedOnly of [true, false]) {
    const changed = await ask<SensorView>('PATCH', `/sensors/${uuid}`, 200, { acknowledgedOnly });
    assert.deepEqual([changed.acknowledgedOnly, changed.maxBytesPerSecond], [acknowledgedOnly, 7]);
  }
  for (const maxPayloadBytes of [0, 64 * 1024 * 1024 + 1]) {
    assert.equal(await askForError('PATCH', `/sensors/${uuid}`, 400, { maxPayloadBytes }), 'D4_BAD_REQUEST');
  }
  assert.equal(await askForError('PATCH', `/sensors/${uuid}`, 400, { state: 'approved' }), 'D4_BAD_REQUEST');
});

test('a sensor shows what it did: verified refusals as its own, the others as claimed', async () => {
  const uuid = nextUuid();
  const { activity } = fixture.registry;
  await ask('POST', '/sensors', 201, { uuid, key: 'k', approve: true });
  const seen = activity.sensor(uuid);
  seen.firstSeen = NOW - 2_000;
  seen.lastSeen = NOW - 1_000;
  seen.lastAddress = '192.0.2.7';
  seen.topics['3'] = {
    frames: 2,
    bytes: 30,
    records: 4,
    sessions: 1,
    skippedBytes: 5,
    cutRecords: 6,
    firstSeen: NOW - 2_000,
    lastSeen: NOW - 1_000,
  };
  seen.today = { day: Math.floor(NOW / 86_400_000), bytes: 154 };
  activity.touch(uuid);
  const refusal = { address: '192.0.2.7', sensor: uuid, at: NOW };
  activity.refused({ ...refusal, code: 'type-not-accepted', verified: true });
  activity.refused({ ...refusal, code: 'hmac-wrong', verified: false });

  const shown = await ask<SensorView>('GET', `/sensors/${uuid}`, 200);
  assert.equal(shown.state, 'refused');
  assert.equal(shown.refusedFor, 'type-not-accepted');
  assert.equal(shown.bytesToday, 154);
  assert.deepEqual(shown.topics, [{ topic: '3', ...seen.topics['3'] }]);
  assert.deepEqual(shown.refusals, [{ code: 'type-not-accepted', count: 1, lastAt: NOW, lastAddress: '192.0.2.7' }]);
  assert.deepEqual(shown.claimedRefusals, [
    { code: 'hmac-wrong', claimed: uuid, address: '192.0.2.7', count: 1, firstAt: NOW, lastAt: NOW },
  ]);

  fixture.ingest.clones = [uuid];
  assert.equal((await ask<SensorView>('GET', `/sensors/${uuid}`, 200)).state, 'cloned');
  fixture.ingest.clones = [];

  await ask('DELETE', `/sensors/${uuid}`, 204);
  assert.equal(activity.find(uuid), undefined);
});

test('lists come in pages and can be filtered by state', async () => {
  await using other = await startApiFixture();
  const uuids = Array.from({ length: 5 }, nextUuid);
  for (const [n, uuid] of uuids.entries()) {
    await other.call('POST', '/api/v1/sensors', { json: { uuid, key: 'k', approve: n % 2 === 0 } });
  }
  type Page = { items: SensorView[]; total: number; next: string | null };
  const list = async (query: string) => (await other.call('GET', `/api/v1/sensors?${query}`)).body as Page;
  const first = await list('limit=2');
  assert.deepEqual(
    first.items.map(({ uuid }) => uuid),
    uuids.slice(0, 2),
  );
  assert.equal(first.total, 5);
  const second = await list(`limit=3&after=${first.next}`);
  assert.deepEqual(
    second.items.map(({ uuid }) => uuid),
    uuids.slice(2),
  );
  assert.equal(second.next, null);
  assert.equal((await list('state=pending')).total, 2);
});

test('types are numbers or names, each once, whatever its case', async () => {
  const number = await ask<TypeView>('POST', '/types', 201, { name: '008' });
  const rules = { archivePriority: 0, archiveMaxAgeMs: null, archiveMaxBytes: null, maxJournalBytes: null };
  assert.deepEqual(number, { name: '8', title: 'passive DNS lines', revision: 1, ...rules, createdAt: NOW });
  await ask('POST', '/types', 201, { name: 'Maltrail' });
  await ask('POST', '/types', 200, { name: 'Maltrail' });
  await ask('POST', '/types', 200, { name: '8' });
  await ask('POST', '/types', 201, { name: '10' });
  assert.equal(await askForError('POST', '/types', 409, { name: 'maltrail' }), 'D4_CONFLICT');
  for (const name of ['0', '255', '-1', '1.5', '', 'a b', '../x', 'ä']) {
    assert.equal(await askForError('POST', '/types', 400, { name }), 'D4_BAD_TYPE', name);
  }
  const { items } = await ask<{ items: TypeView[] }>('GET', '/types', 200);
  assert.deepEqual(
    items.map(({ name }) => name),
    ['8', '10', 'Maltrail'],
  );
  await ask('DELETE', '/types/Maltrail', 204);
  assert.equal(await askForError('DELETE', '/types/Maltrail', 404), 'D4_NOT_FOUND');
});

test('a queue from its making to its removal', async () => {
  const made = await ask<QueueView>('POST', '/queues', 201, { type: 'maltrail', description: 'events' });
  assert.equal(made.key, `analyzer:maltrail:${made.uuid}`);
  const queue = fixture.queues.get(made.uuid);
  queue?.add('one\r', Buffer.from('z\0wei'), Buffer.from([0xff, 0x0a]), 'four');

  const binary = { data: '/wo=', encoding: 'base64' } as const;
  const peeked = await ask<Items>('GET', `/queues/${made.uuid}/items?count=3`, 200);
  assert.deepEqual(peeked, {
    items: [{ data: 'one\r', encoding: 'utf8' }, { data: 'z\0wei', encoding: 'utf8' }, binary],
    length: 4,
  });
  const one = await ask<Items>('POST', `/queues/${made.uuid}/pop`, 200);
  assert.deepEqual(one, { items: [{ data: 'one\r', encoding: 'utf8' }], length: 3 });
  const two = await ask<Items>('POST', `/queues/${made.uuid.replaceAll('-', '')}/pop?count=2`, 200);
  assert.deepEqual(two.items[1], binary);
  assert.equal((await ask<QueueView>('GET', `/queues/${made.uuid}`, 200)).taken, 3);
  assert.deepEqual(await ask('POST', `/queues/${made.uuid}/flush`, 200), { flushed: 1 });
  assert.deepEqual((await ask<Items>('POST', `/queues/${made.uuid}/pop`, 200)).items, []);

  assert.equal(await askForError('POST', '/queues', 409, { type: '3', uuid: made.uuid }), 'D4_CONFLICT');
  const { items } = await ask<{ items: QueueView[] }>('GET', '/queues', 200);
  assert.deepEqual(
    items.map(({ uuid }) => uuid),
    [made.uuid],
  );
  await ask('DELETE', `/queues/${made.uuid}`, 204);
  assert.equal(await askForError('DELETE', `/queues/${made.uuid}`, 404), 'D4_NOT_FOUND');
  assert.equal(await askForError('GET', `/queues/${made.uuid}/items`, 404), 'D4_NOT_FOUND');
});

test('a queue may be changed, and may have a credential', async () => {
  const sensors = [nextUuid(), nextUuid()];
  const group = sensors.map((uuid) => uuid.replaceAll('-', '').toUpperCase());
  const { uuid } = await ask<QueueView>('POST', '/queues', 201, { type: '3', group });
  assert.deepEqual(fixture.queues.get(uuid)?.wanted?.group, sensors);
  assert.equal(await askForError('POST', '/queues', 400, { type: '3', group: [] }), 'D4_BAD_REQUEST');
  assert.equal(await askForError('POST', '/queues', 400, { type: '3', group: ['x'] }), 'D4_BAD_UUID');
  const view = await ask<QueueView>('PATCH', `/queues/${uuid}`, 200, { revision: 1, limit: 5, add: [group[0]] });
  assert.deepEqual([view.group, view.credential, view.revision], [null, null, 1]);
  assert.equal(await askForError('PATCH', `/queues/${uuid}`, 400, { limit: 0 }), 'D4_BAD_REQUEST');
  assert.equal(await askForError('PATCH', `/queues/${nextUuid()}`, 404, { limit: 1 }), 'D4_NOT_FOUND');

  const issued = await ask<Credential>('POST', `/queues/${uuid}/credential`, 201, { push: true });
  assert.equal(fixture.queues.accessBy(issued.secret)?.queue, uuid);
  const shown = await fixture.call('GET', `/api/v1/queues/${uuid}`);
  assert.deepEqual((shown.body as QueueView).credential, { push: true, createdAt: 0 });
  assert.ok(!shown.text.includes(issued.secret));
  await ask('DELETE', `/queues/${uuid}/credential`, 204);
  await ask('DELETE', `/queues/${uuid}/credential`, 204);
  assert.equal(fixture.queues.accessBy(issued.secret), undefined);
  for (const method of ['POST', 'DELETE']) {
    assert.equal(await askForError(method, `/queues/${nextUuid()}/credential`, 404, {}), 'D4_NOT_FOUND');
  }
  await fixture.queues.remove(uuid);
});

test('a pop of large items stops at 8 MiB, and takes no more than it gives', async () => {
  const queue = fixture.queues.make('3');
  for (let n = 0; n < 100; n++) queue.add(Buffer.alloc(200 * 1024, 65 + (n % 26)));
  const { items, length } = await ask<Items>('POST', `/queues/${queue.uuid}/pop?count=100`, 200);
  assert.equal(items.length, 64);
  assert.equal(length, 36);
  const peeked = await ask<Items>('GET', `/queues/${queue.uuid}/items?count=100`, 200);
  assert.equal(peeked.items.length, 36);
  await fixture.queues.remove(queue.uuid);
});

test('what was popped goes back in its order, where the answer cannot be sent', async () => {
  const queue = fixture.queues.make('3');
  const items = Array.from({ length: 64 }, (_, n) => Buffer.alloc(200 * 1024, n));
  queue.add(...items);
  const socket = connect({ host: '127.0.0.1', port: fixture.api.address.port, ca: fixture.ca });
  await once(socket, 'secureConnect');
  const givenBack = Promise.withResolvers<void>();
  queue.onItems(givenBack.resolve);
  socket.write(
    `POST /api/v1/queues/${queue.uuid}/pop?count=64 HTTP/1.1\r\nHost: x\r\nAuthorization: ${LOCAL_TOKEN}\r\nContent-Length: 0\r\n\r\n`,
  );
  await once(socket, 'readable');
  assert.equal(queue.length, 0);
  socket.destroy();
  await givenBack.promise;
  const { items: again } = await ask<Items>('GET', `/queues/${queue.uuid}/items?count=64`, 200);
  const firstBytes = again.map(({ data, encoding }) => Buffer.from(data, encoding)[0]);
  assert.deepEqual(firstBytes.slice(0, 3), [0, 1, 2]);
  assert.equal(queue.length, 64);
  await fixture.queues.remove(queue.uuid);
});

test('what a client does not read goes back', async () => {
  await using stalling = await startApiFixture(0, { stallTimeoutMs: 200 });
  const queue = stalling.queues.make('3');
  queue.add(...Array.from({ length: 64 }, (_, n) => Buffer.alloc(200 * 1024, n)));
  const givenBack = Promise.withResolvers<void>();
  queue.onItems(givenBack.resolve);
  const socket = connect({ host: '127.0.0.1', port: stalling.api.address.port, ca: stalling.ca });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  socket.write(
    `POST /api/v1/queues/${queue.uuid}/pop?count=64 HTTP/1.1\r\nHost: x\r\nAuthorization: ${LOCAL_TOKEN}\r\nContent-Length: 0\r\n\r\n`,
  );
  await givenBack.promise;
  assert.equal(queue.length, 64);
  socket.destroy();
});

test('an error after the first items of a pop does not lose them', async () => {
  const queue = fixture.queues.make('3');
  queue.add(...Array.from({ length: 70 }, (_, n) => Buffer.from([n])));
  const pop = queue.pop.bind(queue);
  queue.pop = (count) => (queue.length < 70 ? Promise.reject(new Error('the disk')) : pop(count));
  assert.equal((await popItems(queue, 70)).length, 64);
  await assert.rejects(popItems(queue, 70), /the disk/);
  await fixture.queues.remove(queue.uuid);
});

test('blocks are written in one way, each once', async () => {
  const uuid = nextUuid();
  await ask('POST', '/sensors', 201, { uuid, key: 'k', approve: true });
  const network = await ask<BlockView>('POST', '/blocks', 201, { target: '192.0.2.99/24', reason: 'noise' });
  assert.deepEqual(network, {
    target: '192.0.2.0/24',
    kind: 'network',
    reason: 'noise',
    author: 'local',
    expiresAt: null,
    createdAt: NOW,
  });
  await ask('POST', '/blocks', 200, { target: '192.0.2.0/24' });

  await ask('POST', '/blocks', 201, { target: uuid.replaceAll('-', '') });
  assert.equal((await ask<SensorView>('GET', `/sensors/${uuid}`, 200)).state, 'blocked');
  await ask('POST', '/blocks', 201, { target: '2001:DB8::/32' });
  for (const target of ['9.0.0.1', '10.0.0.1', '::1']) await ask('POST', '/blocks', 201, { target });

  const sorted = ['9.0.0.1', '10.0.0.1', '192.0.2.0/24', '::1', '2001:db8::/32', uuid];
  const { items } = await ask<{ items: BlockView[] }>('GET', '/blocks', 200);
  assert.deepEqual(
    items.map(({ target }) => target),
    sorted,
  );
  const paged: string[] = [];
  for (let next: string | null = ''; next !== null; ) {
    const after: string = next === '' ? '' : `&after=${encodeURIComponent(next)}`;
    const page = await ask<{ items: BlockView[]; next: string | null }>('GET', `/blocks?limit=2${after}`, 200);
    paged.push(...page.items.map(({ target }) => target));
    next = page.next;
  }
  assert.deepEqual(paged, sorted);
  assert.equal(await askForError('POST', '/blocks', 400, { target: 'example.org' }), 'D4_BAD_BLOCK');
  for (const { target } of items) await ask('DELETE', `/blocks/${encodeURIComponent(target)}`, 204);
  assert.equal(await askForError('DELETE', '/blocks/192.0.2.1', 404), 'D4_NOT_FOUND');
  assert.equal((await ask<SensorView>('GET', `/sensors/${uuid}`, 200)).state, 'disconnected');
});

test('the status tells of the server as a whole', async () => {
  await using other = await startApiFixture();
  const { activity } = other.registry;
  const uuid = nextUuid();
  await other.call('POST', '/api/v1/sensors', { json: { uuid, key: 'k' } });
  activity.refused({ code: 'not-registered', address: '192.0.2.9', sensor: undefined, verified: false, at: NOW });
  activity.knocked({ uuid: nextUuid(), address: '192.0.2.9', type: 3, at: NOW });
  other.queues.unknown('analyzer:3:x', '127.0.0.1');
  other.queues.make('3');
  other.ingest.live = [session(uuid)];

  const status = (await other.call('GET', '/api/v1/status')).body as Status;
  assert.equal(status.version, '0.0.0-test');
  assert.equal(status.uptimeSeconds, 5);
  assert.equal(status.mode, 'registration');
  assert.deepEqual(status.addresses, { listen: '127.0.0.1:1', web: '127.0.0.1:2', redis: '127.0.0.1:3' });
  assert.deepEqual(status.connections, { sensors: 1, analyzers: 2 });
  assert.equal(status.sessions[0]?.sensor, uuid);
  assert.equal(status.sensors.total, 1);
  assert.equal(status.sensors.byState.pending, 1);
  assert.equal(status.sensors.byState.receiving, 0);
  assert.deepEqual(status.refusals, { 'not-registered': 1 });
  assert.equal(status.claimedRefusals[0]?.claimed, null);
  assert.equal(status.knocks[0]?.count, 1);
  assert.equal(status.queues.length, 1);
  assert.equal(status.unknownQueueConsumers[0]?.key, 'analyzer:3:x');
  assert.equal(status.backPressure.pauses, 3);
  assert.ok(status.memory.rssBytes > 0);
});

test('a viewer does not see what sensors have sent', async () => {
  const token = await fixture.addToken('viewer');
  const { uuid } = await ask<{ uuid: string }>('POST', '/queues', 201, { type: '3' });
  for (const [path, status] of [
    [`/queues/${uuid}`, 200],
    [`/queues/${uuid}/items`, 403],
  ] as const) {
    assert.equal((await fixture.call('GET', `/api/v1${path}`, { token })).status, status, path);
  }
});

test('changes are recorded under the name of who made them', async () => {
  const uuid = nextUuid();
  const changes: unknown[] = [];
  const stop = fixture.registry.sensors.watch((change) => changes.push(change.key));
  const token = await fixture.addToken('user');
  const answer = await fixture.call('POST', '/api/v1/sensors', { token, json: { uuid, key: 'private key to change' } });
  stop();
  assert.equal(answer.status, 201);
  assert.deepEqual(changes, [uuid]);
  assert.ok(fixture.logged.some(({ level, msg }) => level === 40 && /well-known default key/.test(msg)));
});

test('a change with If-Match is made only on what was read, and says who was faster', async () => {
  const uuid = nextUuid();
  const made = await fixture.call('POST', '/api/v1/sensors', { json: { uuid, key: 'the key', name: 'one' } });
  const { etag } = made.headers;
  assert.equal(etag, '"1"');
  const change = (name: string, tag: string) =>
    fixture.call('PATCH', `/api/v1/sensors/${uuid}`, { json: { name }, headers: { 'if-match': tag } });
  const changed = await change('two', etag);
  assert.deepEqual([changed.status, changed.headers.etag], [200, '"2"']);
  const late = await change('three', etag);
  assert.equal(late.status, 412);
  const { error } = late.body as { error: { code: string; message: string } };
  assert.equal(error.code, 'D4_CHANGED_MEANWHILE');
  assert.match(error.message, /by local \(name\) after you read it/);
  assert.equal((await change('four', 'W/"2"')).status, 200);
  assert.equal((await change('five', '*')).status, 200);
  assert.equal((await change('six', '4')).status, 400);
  const gone = (tag: string) => fixture.call('DELETE', `/api/v1/sensors/${uuid}`, { headers: { 'if-match': tag } });
  assert.equal((await gone('"3"')).status, 412);
  assert.equal((await gone('"4"')).status, 204);
  assert.equal((await gone('"4"')).status, 404);
});
