import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { parseSensorId, type SensorId } from '@d4ts/protocol';
import { removeExpired } from '../registry/expiry.ts';
import { keysOf } from '../registry/sensor-key.ts';
import { type ApiFixture, NOW, startApiFixture } from './api-fixture.ts';
import type { KeyChanged, RevealedKey } from './sensor-key-schemas.ts';
import type { SensorView } from './sensor-schemas.ts';

const DAY = 24 * 3_600_000;
let fixture: ApiFixture;
let lastSensor = 0;

before(async () => {
  fixture = await startApiFixture();
});
after(() => fixture[Symbol.asyncDispose]());

async function ask<T>(method: string, path: string, status: number, json?: unknown, token?: string): Promise<T> {
  const answer = await fixture.call(method, `/api/v1${path}`, { json, ...(token !== undefined && { token }) });
  assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
  return answer.body as T;
}

async function addSensor(key: string): Promise<SensorId> {
  const uuid = parseSensorId(`aaaaaaaa-aaaa-4aaa-8aaa-${String(++lastSensor).padStart(12, '0')}`);
  await ask('POST', '/sensors', 201, { uuid, key, approve: true });
  return uuid;
}

function held(uuid: SensorId, now: number): string[] {
  const sensor = fixture.registry.sensors.get(uuid)?.value;
  return sensor === undefined ? [] : keysOf(sensor, now).map(({ key }) => key);
}

test('a replaced key holds for a day, or as long as was asked for', async () => {
  const uuid = await addSensor('old');
  const { sensor, key } = await ask<KeyChanged>('POST', `/sensors/${uuid}/key`, 200, { revision: 1 });
  assert.match(key ?? '', /^[A-Za-z0-9_-]{43}$/);
  assert.equal(sensor.previousKeyUntil, NOW + DAY);
  assert.deepEqual(held(uuid, NOW + DAY - 1), [key, 'old']);
  assert.deepEqual(held(uuid, NOW + DAY), [key]);
  await ask('POST', `/sensors/${uuid}/key`, 409, { revision: 1 });

  const given = await ask<KeyChanged>('POST', `/sensors/${uuid}/key`, 200, { key: 'given', overlapSeconds: 60 });
  assert.equal(given.key, null);
  assert.deepEqual(held(uuid, NOW), ['given', key]);
  await removeExpired(fixture.registry, NOW + 60_000);
  assert.equal(fixture.registry.sensors.get(uuid)?.value.previousKey, undefined);
  assert.equal((await ask<SensorView>('GET', `/sensors/${uuid}`, 200)).previousKeyUntil, null);

  await ask('POST', `/sensors/${uuid}/key`, 200, { key: 'at once', overlapSeconds: 0 });
  assert.deepEqual(held(uuid, NOW), ['at once']);
  await ask('POST', `/sensors/${uuid}/key`, 200, { key: 'next' });
  await ask('DELETE', `/sensors/${uuid}/key/previous`, 200);
  assert.deepEqual(held(uuid, NOW), ['next']);
  await ask('POST', `/sensors/${uuid}/key`, 400, { key: '' });
  await ask('POST', `/sensors/${uuid}/key`, 403, {}, await fixture.addToken('viewer'));
});

test('a sensor with a key of its own is proven, and the default key ends with it', async () => {
  const uuid = await addSensor('default');
  const sensor = fixture.registry.sensors.get(uuid)?.value;
  assert.ok(sensor !== undefined);
  await fixture.registry.sensors.put(uuid, { ...sensor, unproven: true }, { name: 'server' });
  const changed = await ask<KeyChanged>('POST', `/sensors/${uuid}/key`, 200, { key: 'own' });
  assert.deepEqual([changed.sensor.unproven, changed.sensor.previousKeyUntil], [false, null]);
  assert.deepEqual(held(uuid, NOW), ['own']);
});

test('a key is revealed to administrators, and that is recorded', async () => {
  const uuid = await addSensor('<clé>');
  const user = await fixture.addToken('user');
  await ask('POST', `/sensors/${uuid}/key/reveal`, 403, undefined, user);
  assert.deepEqual(await ask<RevealedKey>('POST', `/sensors/${uuid}/key/reveal`, 200), {
    key: '<clé>',
    keyEncoding: 'utf8',
  });
  const [record] = fixture.registry.audit.list({ kind: 'key-revealed' }, 5).records;
  assert.deepEqual([record?.actor, record?.key], ['local', uuid]);
  await ask('POST', `/sensors/${uuid}/key`, 200, { key: '/wAK', keyEncoding: 'base64' });
  const bytes = await ask<RevealedKey>('POST', `/sensors/${uuid}/key/reveal`, 200);
  assert.deepEqual(bytes, { key: '/wAK', keyEncoding: 'base64' });
  const { records } = fixture.registry.audit.list({ key: uuid }, 50);
  assert.doesNotMatch(JSON.stringify([records, fixture.logged]), /clé|\/wAK/);
});

test('a block has an author and a reason, and ends', async () => {
  const block = { target: '192.0.2.0/24', reason: 'scans', expiresAt: NOW + 1_000 };
  const added = await ask('POST', '/blocks', 201, block, await fixture.addToken('user'));
  assert.deepEqual(added, { ...block, kind: 'network', author: 'user@example.org', createdAt: NOW });
  await ask('POST', '/blocks', 400, { target: '192.0.2.1', expiresAt: NOW });
  assert.equal(await removeExpired(fixture.registry, NOW + 999), 0);
  assert.equal(await removeExpired(fixture.registry, NOW + 1_000), 1);
  assert.equal(fixture.registry.blocks.size, 0);
});
