import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { parseSensorId, type SensorId } from '@d4ts/protocol';
import { type ApiFixture, NOW, startApiFixture } from './api-fixture.ts';
import type { BulkResult, SensorFacets } from './sensor-list-schemas.ts';
import type { SensorView } from './sensor-schemas.ts';
import { sortedPage } from './sorted-page.ts';

let fixture: ApiFixture;

const id = (n: number): SensorId => parseSensorId(`aaaaaaaa-aaaa-4aaa-8aaa-${String(n).padStart(12, '0')}`);
const QUEUE = 'bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb';

before(async () => {
  fixture = await startApiFixture();
  const drafts = [
    { name: 'Zürich roof', tags: ['roof', 'ch'], mail: 'ann@example.org', approve: true },
    { name: 'basel', tags: ['ch'], mail: 'bob@example.org', approve: true },
    { name: '', description: 'a 100% cellar', mail: 'ann@example.org' },
    { name: 'Aarau', tags: ['roof'], approve: true },
  ];
  for (const [at, draft] of drafts.entries()) {
    await ask('POST', '/sensors', 201, { uuid: id(at + 1), key: 'k', ...draft });
  }
  const { activity, queues } = fixture.registry;
  const counts = { frames: 1, bytes: 1, records: 1, sessions: 1, skippedBytes: 0, cutRecords: 0, firstSeen: 1 };
  for (const [sensor, topic, lastSeen] of [
    [id(1), '1', NOW - 2_000],
    [id(2), '3', NOW - 1_000],
  ] as const) {
    const seen = activity.sensor(sensor);
    seen.topics[topic] = { ...counts, lastSeen };
    seen.lastSeen = lastSeen;
    seen.lastAddress = '192.0.2.77';
    activity.touch(sensor);
  }
  const filters = [{ from: 0, sensors: [id(2), id(4)] }];
  const queue = { uuid: QUEUE, topic: '3', description: '', limit: 5, filters, createdAt: NOW };
  await queues.put(QUEUE, queue, { name: 'server' });
});
after(() => fixture[Symbol.asyncDispose]());

async function ask<T>(method: string, path: string, status: number, json?: unknown, token?: string): Promise<T> {
  const answer = await fixture.call(method, `/api/v1${path}`, { json, ...(token !== undefined && { token }) });
  assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
  return answer.body as T;
}

async function found(query: string): Promise<number[]> {
  const { items, total } = await ask<{ items: SensorView[]; total: number }>('GET', `/sensors?${query}`, 200);
  assert.equal(items.length, total);
  return items.map(({ uuid }) => Number(uuid.slice(-3)));
}

test('sensors are filtered by each of their sides, and by several', async () => {
  assert.deepEqual(await found('state=pending'), [3]);
  assert.deepEqual(await found('state=pending,disconnected'), [1, 2, 3, 4]);
  assert.deepEqual(await found('registration=approved'), [1, 2, 4]);
  assert.deepEqual(await found('tag=roof'), [1, 4]);
  assert.deepEqual(await found('mail=ann@example.org'), [1, 3]);
  assert.deepEqual(await found('type=3'), [2]);
  assert.deepEqual(await found(`group=${QUEUE}`), [2, 4]);
  assert.deepEqual(await found(`group=${QUEUE.replaceAll('-', '')}&tag=roof`), [4]);
  assert.deepEqual(await found('text=Z%C3%9CRICH'), [1]);
  assert.deepEqual(await found('text=100%25'), [3]);
  assert.deepEqual(await found('text=aaaaaaaaaaaa4aaa8aaa000000000002'), [2]);
  assert.deepEqual(await found('text=192.0.2.77'), [1, 2]);
  await ask('GET', '/sensors?state=asleep', 400);
  await ask('GET', '/sensors?type=x%20y', 400);
});

test('sensors are sorted, either way, page after page', async () => {
  assert.deepEqual(await found('sort=name'), [3, 4, 2, 1]);
  assert.deepEqual(await found('sort=name&descending=true'), [1, 2, 4, 3]);
  assert.deepEqual(await found('sort=lastSeen&descending=true'), [2, 1, 4, 3]);
  assert.deepEqual(await found('sort=state'), [3, 1, 2, 4]);
  assert.deepEqual(await found('sort=uuid&descending=true'), [4, 3, 2, 1]);
  const seen: string[] = [];
  for (let after = ''; ; ) {
    const page = await ask<{ items: SensorView[]; next: string | null }>(
      'GET',
      `/sensors?sort=mail&limit=1${after}`,
      200,
    );
    seen.push(...page.items.map(({ mail }) => mail));
    if (page.next === null) break;
    after = `&after=${page.next}`;
  }
  assert.deepEqual(seen, ['', 'ann@example.org', 'ann@example.org', 'bob@example.org']);
  await ask('GET', '/sensors?sort=mail&after=nonsense', 400);
});

test('a page of a sorted list starts after where the last item stood, though it has gone', () => {
  const list = (values: number[]) => values.map((value) => ({ item: value, value, key: `${value}` }));
  const first = sortedPage(list([3, 1, 2]), String, { limit: 2, descending: false });
  assert.deepEqual(first.items, ['1', '2']);
  const next = sortedPage(list([3, 1, 2.5]), String, { limit: 2, descending: false, after: first.next ?? '' });
  assert.deepEqual(next, { items: ['2.5', '3'], total: 3, next: null });
});

test('what there is to filter by', async () => {
  const { total, byState, tags, types, mails, groups } = await ask<SensorFacets>('GET', '/sensors/facets', 200);
  assert.deepEqual([total, byState.pending, byState.disconnected, byState.blocked], [4, 1, 3, 0]);
  assert.deepEqual(tags, [
    { value: 'ch', sensors: 2 },
    { value: 'roof', sensors: 2 },
  ]);
  assert.deepEqual(
    types.map(({ value }) => value),
    ['1', '3'],
  );
  assert.deepEqual(mails[0], { value: 'ann@example.org', sensors: 2 });
  assert.deepEqual(
    groups.map(({ value, sensors }) => [value, sensors]),
    [[QUEUE, 2]],
  );
});

test('the same is done to many sensors, each for itself', async () => {
  const bulk = (json: object, token?: string) => ask<BulkResult>('POST', '/sensors/bulk', 200, json, token);
  const approved = await bulk({ action: 'approve', uuids: [id(3), id(4), id(3), 'x', id(99)] });
  assert.deepEqual([approved.done, approved.failed], [2, 2]);
  assert.deepEqual(
    approved.items.map(({ ok, error }) => error?.code ?? ok),
    [true, true, 'D4_BAD_UUID', 'D4_NOT_FOUND'],
  );
  await bulk({ action: 'tag', uuids: [id(1), id(3)], tag: 'roof' });
  assert.deepEqual(await found('tag=roof'), [1, 3, 4]);
  await bulk({ action: 'untag', uuids: [id(1), id(3)], tag: 'roof' });
  assert.deepEqual(await found('tag=roof'), [4]);
  await bulk({ action: 'block', uuids: [id(1)], reason: 'noisy' });
  assert.deepEqual(await found('state=blocked'), [1]);
  assert.equal(fixture.registry.blocks.get(id(1))?.value.author, 'local');
  await bulk({ action: 'unblock', uuids: [id(1)] });
  await bulk({ action: 'revoke', uuids: [id(1), id(2)] });
  assert.deepEqual(await found('registration=revoked'), [1, 2]);
  await bulk({ action: 'kick', uuids: [id(1)] });
  assert.equal(fixture.registry.audit.list({ kind: 'kicked' }, 5).records.length, 1);
  await ask('POST', '/sensors/bulk', 400, { action: 'tag', uuids: [id(1)] });
  await ask('POST', '/sensors/bulk', 400, { action: 'tag', uuids: [] });
  await ask('POST', '/sensors/bulk', 403, { action: 'remove', uuids: [id(1)] }, await fixture.addToken('viewer'));
  await bulk({ action: 'remove', uuids: [id(1)] });
  assert.equal(fixture.registry.sensors.get(id(1)), undefined);
});
