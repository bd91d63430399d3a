import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { startApiFixture } from './api-fixture.ts';

const ACTOR = { name: 'test' };

test('exporters are made, shown, changed, paused and removed; secrets are not shown', async () => {
  await using api = await startApiFixture();
  await api.registry.types.put('maltrail', { name: 'maltrail', createdAt: 0 }, ACTOR);
  const target = { kind: 'http', url: 'https://127.0.0.1:1/in' };
  const draft = {
    name: 'siem',
    type: 'maltrail',
    target,
    paused: true,
    secrets: { headers: { Authorization: 'Bearer very-secret' } },
  };
  const made = await api.call('POST', '/api/v1/exporters', { json: draft });
  assert.equal(made.status, 201, made.text);
  assert.doesNotMatch(made.text, /very-secret/);
  const { createdAt: _, ...shown } = made.body as { createdAt: number };
  assert.deepEqual(shown, {
    name: 'siem',
    topic: 'maltrail',
    sensors: null,
    description: '',
    target,
    headers: ['Authorization'],
    declared: false,
    revision: 1,
    state: 'paused',
    problem: null,
    lastError: null,
    lag: 0,
    rate: 0,
    delivered: 0,
    skipped: 0,
    lost: 0,
    leftOut: 0,
    errors: 0,
    repeated: 0,
    remark: '',
  });
  assert.equal((await api.call('POST', '/api/v1/exporters', { json: draft })).status, 409);

  const uuid = '5f2b3c1e-8d44-4c36-9a1f-0c1d2e3f4a5b';
  const change = { revision: 1, sensors: [uuid.replaceAll('-', '')], description: 'to the SIEM' };
  const changed = await api.call('PATCH', '/api/v1/exporters/siem', { json: change });
  assert.deepEqual([changed.status, (changed.body as { sensors: unknown }).sensors], [200, [uuid]]);
  assert.equal((await api.call('PATCH', '/api/v1/exporters/siem', { json: change })).status, 409);

  const resumed = await api.call('POST', '/api/v1/exporters/siem/resume?revision=2');
  assert.notEqual((resumed.body as { state: string }).state, 'paused');
  const paused = await api.call('POST', '/api/v1/exporters/siem/pause');
  assert.equal((paused.body as { state: string }).state, 'paused');

  const list = await api.call('GET', '/api/v1/exporters');
  assert.deepEqual(
    (list.body as { items: { name: string }[] }).items.map(({ name }) => name),
    ['siem'],
  );
  assert.equal((await api.call('DELETE', '/api/v1/exporters/siem?revision=1')).status, 409);
  assert.equal((await api.call('DELETE', '/api/v1/exporters/siem')).status, 204);
  assert.equal((await api.call('GET', '/api/v1/exporters/siem')).status, 404);
});

test('only administrators say where data goes; operators may pause', async () => {
  await using api = await startApiFixture();
  await api.registry.types.put('3', { name: '3', createdAt: 0 }, ACTOR);
  const [viewer, user] = [await api.addToken('viewer'), await api.addToken('user')];
  const json = { name: 'x', type: '3', target: { kind: 'file', path: join(api.home, 'x') } };
  for (const token of [viewer, user]) {
    assert.equal((await api.call('POST', '/api/v1/exporters', { token, json })).status, 403);
  }
  assert.equal((await api.call('POST', '/api/v1/exporters', { json })).status, 201);
  assert.equal((await api.call('GET', '/api/v1/exporters/x', { token: viewer })).status, 200);
  assert.equal((await api.call('POST', '/api/v1/exporters/x/pause', { token: viewer })).status, 403);
  assert.equal((await api.call('POST', '/api/v1/exporters/x/pause', { token: user })).status, 200);
  const patch = { token: user, json: { target: { kind: 'file', path: '/etc/passwd' } } };
  assert.equal((await api.call('PATCH', '/api/v1/exporters/x', patch)).status, 403);
  assert.equal((await api.call('DELETE', '/api/v1/exporters/x', { token: user })).status, 403);
});

test('what is no exporter is refused', async () => {
  await using api = await startApiFixture();
  await api.registry.types.put('3', { name: '3', createdAt: 0 }, ACTOR);
  const good = { name: 'x', type: '3', target: { kind: 'udp', host: 'h', port: 1 } };
  for (const [json, status] of [
    [{ ...good, name: '../x' }, 400],
    [{ ...good, target: { kind: 'pigeon' } }, 400],
    [{ ...good, target: { kind: 'udp', host: 'h' } }, 400],
    [{ ...good, target: { kind: 'udp', host: 'h', port: 1, ca: 'x' } }, 400],
    [{ ...good, target: { kind: 'syslog', transport: 'tls' } }, 400],
    [{ ...good, type: '4' }, 422],
    [{ ...good, sensors: ['x'] }, 400],
  ] as const) {
    const answer = await api.call('POST', '/api/v1/exporters', { json });
    assert.equal(answer.status, status, answer.text);
  }
  for (const path of ['pause', 'resume']) {
    assert.equal((await api.call('POST', `/api/v1/exporters/none/${path}`)).status, 404);
  }
});
