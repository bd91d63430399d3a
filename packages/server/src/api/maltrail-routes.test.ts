import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startApiFixture } from './api-fixture.ts';

test('where nothing was found, lists are empty; who may see what; what is no filter is refused', async () => {
  await using api = await startApiFixture();
  const paths = ['threats', 'events', 'summary'].map((name) => `/api/v1/maltrail/${name}`);
  const answers = await Promise.all(paths.map((path) => api.call('GET', path)));
  const [threats, events, summary] = answers.map(({ body }) => body as Record<string, unknown>);
  assert.deepEqual(threats, { items: [], next: null });
  assert.deepEqual([events?.items, events?.next, events?.heldFrom], [[], null, null]);
  assert.deepEqual(summary?.bySeverity, { high: 0, medium: 0, low: 0 });
  assert.deepEqual(summary?.total, { events: 0, others: 0, missed: 0, tooOld: 0, tooMany: 0 });

  const viewer = await api.addToken('viewer');
  const statuses = await Promise.all(
    paths.map(async (path) => (await api.call('GET', path, { token: viewer })).status),
  );
  assert.deepEqual(statuses, [200, 403, 200]);
  const refused = [
    'threats?severity=bad',
    'threats?sort=name',
    'threats?after=x',
    'threats?sort=first&after=last:1:1',
    'events?sensor=x',
  ];
  for (const path of refused) {
    const { status, text } = await api.call('GET', `/api/v1/maltrail/${path}`);
    assert.equal(status, 400, `${path}: ${text}`);
  }
});
