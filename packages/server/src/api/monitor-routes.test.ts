import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { newSensorId } from '@d4ts/protocol';
import { tokenHash } from '../registry/tokens.ts';
import { type ApiFixture, NOW, startApiFixture } from './api-fixture.ts';
import type { Overview } from './monitor-schemas.ts';

const PATHS = ['/overview', '/rates', '/ledger', '/alerts', '/events', '/metrics'];

async function open({ api, ca }: ApiFixture, path: string, token: string): Promise<IncomingMessage> {
  const { port } = api.address;
  const asked = request({ host: '127.0.0.1', port, ca, path, agent: false, headers: { authorization: token } });
  asked.end();
  const [response] = await once(asked, 'response');
  return response;
}

test('monitoring is for viewers and better, tails and tests of alerts for users', async () => {
  await using fixture = await startApiFixture();
  const { call, addToken } = fixture;
  const [viewer, register] = [await addToken('viewer'), await addToken('sensor_register')];
  const uuid = newSensorId();
  await call('POST', '/api/v1/sensors', { json: { uuid, key: 'k', approve: true } });
  for (const path of PATHS) {
    assert.equal((await call('GET', `/api/v1${path}`, { token: null })).status, 401, path);
    assert.equal((await call('GET', `/api/v1${path}`, { token: register })).status, 403, path);
    if (path !== '/events') assert.equal((await call('GET', `/api/v1${path}`, { token: viewer })).status, 200, path);
  }
  assert.equal((await call('GET', `/api/v1/sensors/${uuid}/history`, { token: viewer })).status, 200);
  assert.equal((await call('GET', `/api/v1/sensors/${uuid}/ledger`, { token: viewer })).status, 200);
  assert.equal((await call('GET', `/api/v1/sensors/${uuid}/tail`, { token: viewer })).status, 403);
  assert.equal((await call('POST', '/api/v1/alerts/test', { token: viewer })).status, 403);
  for (const path of ['history', 'ledger', 'tail']) {
    assert.equal((await call('GET', `/api/v1/sensors/${newSensorId()}/${path}`)).status, 404, path);
    assert.equal((await call('GET', `/api/v1/sensors/${uuid}/${path}?unknown=1`)).status, 400, path);
  }
});

test('an overview with nothing in it is whole, and what needs attention is in it', async () => {
  await using fixture = await startApiFixture();
  const { call, ingest, registry } = fixture;
  const empty = (await call('GET', '/api/v1/overview')).body as Overview;
  assert.deepEqual([empty.sensors.total, empty.attention, empty.today.sensors], [0, [], []]);
  const [cloned, pending] = [newSensorId(), newSensorId()];
  await call('POST', '/api/v1/sensors', { json: { uuid: cloned, key: 'k', approve: true } });
  await call('POST', '/api/v1/sensors', { json: { uuid: pending, key: 'k' } });
  ingest.clones = [cloned];
  registry.activity.knocked({ uuid: newSensorId(), address: '192.0.2.1', type: 3, at: NOW });
  const { attention, sensors } = (await call('GET', '/api/v1/overview')).body as Overview;
  assert.deepEqual(
    attention.map(({ kind, urgency, count }) => [kind, urgency, count]),
    [
      ['cloned', 'now', 1],
      ['pending', 'soon', 1],
      ['knocking', 'info', 1],
    ],
  );
  assert.deepEqual([sensors.byState.cloned, sensors.byState.pending], [1, 1]);
});

test('a stream of events ends with the token that opened it', async () => {
  await using fixture = await startApiFixture();
  const token = await fixture.addToken('viewer');
  const stream = await open(fixture, '/api/v1/events', token);
  assert.equal(stream.headers['content-type'], 'text/event-stream; charset=utf-8');
  assert.equal(stream.headers['cache-control'], 'no-store');
  const all = text(stream);
  await fixture.registry.tokens.remove(tokenHash(token), { name: 'test' });
  assert.match(await all, /^id: .*\nevent: hello\ndata: \{/);
});
