import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { parseSensorId } from '@d4ts/protocol';
import { type ApiFixture, startApiFixture } from './api-fixture.ts';

const PATH = '/api/v1/add/sensor/register';
const UUID = '5f2b3c1e-8d44-4c36-9a1f-0c1d2e3f4a5b';
const HEX = UUID.replaceAll('-', '');

let fixture: ApiFixture;
let token: string;

before(async () => {
  fixture = await startApiFixture();
  token = await fixture.addToken('sensor_register');
});
after(() => fixture[Symbol.asyncDispose]());

function register(json: unknown, options: object = {}) {
  return fixture.call('POST', PATH, { token, json, ...options });
}

const error = (reason: string) => ({ status: 'error', reason });

test('a sensor is registered as with the reference server, and waits for approval', async () => {
  const answer = await register({
    uuid: HEX,
    hmac_key: '<b>k</b>'.repeat(100),
    description: 'a & b',
    mail: 'a@example.org',
    third_party: true,
  });
  assert.equal(answer.status, 200);
  assert.deepEqual(answer.body, { uuid: HEX });
  const sensor = fixture.registry.sensors.get(parseSensorId(UUID))?.value;
  assert.equal(sensor?.state, 'pending');
  assert.equal(sensor?.key, '<b>k</b>'.repeat(100));
  assert.deepEqual([sensor?.description, sensor?.mail, sensor?.thirdParty], ['a & b', 'a@example.org', true]);

  const again = await register({ uuid: UUID, hmac_key: 'k' });
  assert.equal(again.status, 409);
  assert.deepEqual(again.body, error('Sensor already registered'));
});

test("an administrator's sensor waits too, and the well-known key is taken with a warning", async () => {
  const uuid = UUID.replace('5f', '6f');
  const admin = await fixture.addToken('admin');
  const answer = await register({ uuid, hmac_key: 'private key to change', mail: null }, { token: admin });
  assert.equal(answer.status, 200);
  assert.equal(fixture.registry.sensors.get(parseSensorId(uuid))?.value.state, 'pending');
  assert.ok(fixture.logged.some(({ level, msg }) => level === 40 && /well-known default key/.test(msg)));
});

test('what is missing or wrong is answered as by the reference server', async () => {
  const missing = 'Mandatory parameter(s) not provided';
  const fresh = UUID.replace('5f', '7f');
  const cases: [unknown, string][] = [
    [{}, missing],
    [{ hmac_key: 'k' }, missing],
    [{ uuid: fresh }, missing],
    [{ uuid: fresh, hmac_key: '' }, missing],
    [{ uuid: null, hmac_key: 'k' }, missing],
    [[], missing],
    [{ uuid: 'x', hmac_key: 'k' }, 'Invalid uuid'],
    [{ uuid: fresh.replace('4c36', '1c36'), hmac_key: 'k' }, 'Invalid uuid'],
  ];
  for (const [json, reason] of cases) {
    const answer = await register(json);
    assert.equal(answer.status, 400, JSON.stringify(json));
    assert.deepEqual(answer.body, error(reason), JSON.stringify(json));
  }
  const long = await register({ uuid: fresh, hmac_key: 'k'.repeat(1_024) });
  assert.equal(long.status, 400);
  for (const name of ['description', 'mail']) {
    const wordy = await register({ uuid: fresh, hmac_key: 'k', [name]: 'x'.repeat(10_001) });
    assert.equal(wordy.status, 400, name);
  }
  const broken = await register(undefined, { body: '{', headers: { 'content-type': 'application/json' } });
  assert.equal(broken.status, 400);
  assert.equal((broken.body as { status: string }).status, 'error');
  assert.equal(fixture.registry.sensors.get(fresh), undefined);
});

test('without a token or its role', async () => {
  const none = await register({ uuid: UUID, hmac_key: 'k' }, { token: null });
  assert.equal(none.status, 401);
  assert.deepEqual(none.body, error('Authentication needed'));
  const unknown = await register({ uuid: UUID, hmac_key: 'k' }, { token: 'nobody' });
  assert.equal(unknown.status, 401);
  assert.deepEqual(unknown.body, error('Authentication failed'));
  const viewer = await register({ uuid: UUID, hmac_key: 'k' }, { token: await fixture.addToken('viewer') });
  assert.equal(viewer.status, 403);
  assert.deepEqual(viewer.body, error('Access Forbidden'));
});

test('no sensor is silent while none can be monitored', async () => {
  const path = '/api/v1/sensors/monitoring/errors';
  const answer = await fixture.call('GET', path, { token: await fixture.addToken('user') });
  assert.equal(answer.status, 200);
  assert.deepEqual(answer.body, []);
  const forbidden = await fixture.call('GET', path, { token });
  assert.equal(forbidden.status, 403);
  assert.deepEqual(forbidden.body, error('Access Forbidden'));
});
