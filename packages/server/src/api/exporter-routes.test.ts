import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
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
  const json = { name: 'x', type: '3', target: { kind: 'file', path: join(tmpdir(), 'not-there', 'x') } };
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
  const http = { kind: 'http', url: 'https://h/' };
  for (const [json, status] of [
    [{ ...good, name: '../x' }, 400],
    [{ ...good, target: { kind: 'pigeon' } }, 400],
    [{ ...good, target: { kind: 'udp', host: 'h' } }, 400],
    [{ ...good, target: { kind: 'udp', host: 'h', port: 1, ca: 'x' } }, 400],
    [{ ...good, target: { kind: 'syslog', transport: 'tls' } }, 400],
    [{ ...good, type: '4' }, 422],
    [{ ...good, sensors: ['x'] }, 400],
    [{ ...good, target: { kind: 'file', path: join(api.home, 'DEFAULT_PASSWORD') } }, 400],
    [{ ...good, target: http, secrets: { headers: { 'X-A': 'a\r\nX-B: b' } } }, 400],
    [{ ...good, target: http, secrets: { headers: { 'X A': 'a' } } }, 400],
    [{ ...good, target: http, secrets: { headers: { 'Content-Length': '1' } } }, 400],
    [{ ...good, target: http, secrets: { headers: { host: 'elsewhere' } } }, 400],
  ] as const) {
    const answer = await api.call('POST', '/api/v1/exporters', { json });
    assert.equal(answer.status, status, answer.text);
  }
  for (const path of ['pause', 'resume']) {
    assert.equal((await api.call('POST', `/api/v1/exporters/none/${path}`)).status, 404);
  }
});

test('values in the query of an address are shown to nobody, kept where they stay, and not sent to another server', async () => {
  await using api = await startApiFixture();
  await api.registry.types.put('3', { name: '3', createdAt: 0 }, ACTOR);
  const at = (url: string) => ({ kind: 'http', url });
  const secrets = { headers: { Authorization: 'Bearer very-secret' } };
  const target = at('https://127.0.0.1:1/in?token=very-secret&a=&very-secret');
  const made = await api.call('POST', '/api/v1/exporters', {
    json: { name: 'hook', type: '3', target, secrets, paused: true },
  });
  const shown = 'https://127.0.0.1:1/in?token=***&a=&***';
  assert.deepEqual([made.status, (made.body as { target: unknown }).target], [201, at(shown)]);
  const patch = (json: object) => api.call('PATCH', '/api/v1/exporters/hook', { json });
  const stored = () => JSON.parse(api.registry.exporters.get('hook')?.value.secrets ?? '{}');

  assert.equal((await patch({ target: at(`${shown.replace('/in', '/other')}&b=2`) })).status, 200);
  assert.deepEqual(stored(), { ...secrets, query: 'token=very-secret&a=&very-secret&b=2' });
  for (const [url, message] of [
    ['https://127.0.0.2:1/in', /give the headers with the address/],
    ['http://127.0.0.1:1/in', /give the headers with the address/],
    ['https://127.0.0.1:1/in?key=***', /key=\*\*\*\\" in the address stands for a value/],
  ] as const) {
    const refused = await patch({ target: at(url) });
    assert.equal(refused.status, 400);
    assert.match(refused.text, /"D4_BAD_EXPORTER"/);
    assert.match(refused.text, message);
  }
  const masked = await patch({ target: at('https://127.0.0.2:1/in?token=***'), secrets: { headers: {} } });
  assert.match(masked.text, /stands for a value that is not shown/);
  assert.equal((await patch({ target: at('https://127.0.0.2:1/in?token=new'), secrets: {} })).status, 200);
  assert.deepEqual(stored(), { query: 'token=new' });
  // Nor by way of another kind.
  await patch({ target: at('https://127.0.0.1:1/'), secrets });
  await patch({ target: { kind: 'udp', host: 'h', port: 1 } });
  assert.deepEqual(stored(), {});
  for (const path of ['/api/v1/exporters', '/api/v1/audit']) {
    const answer = await api.call('GET', path);
    assert.equal(answer.status, 200);
    assert.doesNotMatch(answer.text, /very-secret|token=new/);
  }
});
