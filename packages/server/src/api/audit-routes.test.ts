import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { parseSensorId } from '@d4ts/protocol';
import { type ApiFixture, NOW, startApiFixture } from './api-fixture.ts';
import type { AuditEntry, AuditPage } from './audit-schemas.ts';

let fixture: ApiFixture;

before(async () => {
  fixture = await startApiFixture();
});
after(() => fixture[Symbol.asyncDispose]());

async function list(query = ''): Promise<AuditPage> {
  const answer = await fixture.call('GET', `/api/v1/audit${query}`);
  assert.equal(answer.status, 200, answer.text);
  return answer.body as AuditPage;
}

const short = ({ who, action, kind, key }: AuditEntry) => `${who} ${action} ${kind} ${key}`;

test('every change leaves who, from where, what, before and after, without secrets', async () => {
  const user = await fixture.addToken('user');
  const uuid = 'aaaaaaaa-aaaa-4aaa-8aaa-000000000001';
  const json = { uuid, key: 'the very secret key', description: 'roof' };
  assert.equal((await fixture.call('POST', '/api/v1/sensors', { token: user, json })).status, 201);
  const change = { description: 'cellar' };
  await fixture.call('PATCH', `/api/v1/sensors/${uuid}`, { token: user, json: change });
  await fixture.call('POST', '/api/v1/blocks', { json: { target: '192.0.2.1', reason: '=cmd()' } });
  await fixture.call('DELETE', '/api/v1/blocks/192.0.2.1');
  const { items } = await list();
  assert.deepEqual(items.slice(0, 4).map(short), [
    'local removed blocks 192.0.2.1',
    'local added blocks 192.0.2.1',
    `user@example.org changed sensors ${uuid}`,
    `user@example.org added sensors ${uuid}`,
  ]);
  const [, , changed] = items;
  assert.ok(changed !== undefined);
  assert.equal(changed.address, '127.0.0.1');
  assert.equal((changed.before as { description: string }).description, 'roof');
  assert.equal((changed.after as { description: string }).description, 'cellar');
  assert.equal((changed.after as { key: string }).key, '(secret)');
  assert.doesNotMatch(JSON.stringify(items), /very secret/);
});

test('the filters, alone and together, and the pages', async () => {
  assert.deepEqual((await list('?kind=blocks&who=local')).items.map(short), [
    'local removed blocks 192.0.2.1',
    'local added blocks 192.0.2.1',
  ]);
  assert.equal((await list('?key=192.0.2.1')).items.length, 2);
  assert.equal((await list('?text=CELLAR')).items.length, 1);
  assert.equal((await list('?text=%25')).items.length, 0);
  assert.equal((await list(`?from=${Date.now() + 60_000}`)).items.length, 0);
  assert.equal((await list(`?to=${NOW}&kind=sensors`)).items.length, Date.now() < NOW ? 2 : 0);
  const seen: number[] = [];
  let after = '';
  do {
    const page = await list(`?limit=2${after}`);
    assert.ok(page.items.length <= 2);
    seen.push(...page.items.map(({ id }) => id));
    after = page.next === null ? '' : `&after=${page.next}`;
  } while (after !== '');
  assert.deepEqual(
    seen,
    (await list()).items.map(({ id }) => id),
  );
  assert.equal((await fixture.call('GET', '/api/v1/audit?after=x')).status, 400);
});

test('the export has all of it, and is recorded itself', async () => {
  const { items } = await list();
  const lines = await fixture.call('GET', '/api/v1/audit/export');
  assert.match(
    String(lines.headers['content-disposition']),
    /^attachment; filename="d4-audit-\d{4}-\d\d-\d\d.ndjson"$/,
  );
  const entries = lines.text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as AuditEntry);
  assert.deepEqual(entries.slice(1), items);
  assert.equal(entries[0]?.kind, 'audit-exported');
  const table = await fixture.call('GET', '/api/v1/audit/export?format=csv&kind=blocks');
  assert.match(String(table.headers['content-type']), /^text\/csv/);
  const [header, ...rows] = table.text.trim().split('\r\n');
  assert.equal(header, 'id,time,who,address,action,kind,key,before,after');
  assert.equal(rows.length, 2);
  assert.match(rows[0] ?? '', /^\d+,\d{4}-\d\d-\d\dT[\d:.]+Z,local,127\.0\.0\.1,removed,blocks,192\.0\.2\.1,"/);
});

test('sensors and queues in the records are named as they are called now', async () => {
  const [sensor, queue] = ['aaaaaaaa-aaaa-4aaa-8aaa-000000000001', 'bbbbbbbb-aaaa-4aaa-8aaa-000000000001'];
  const definition = { uuid: queue, topic: '3', description: 'For one\nanalyzer', limit: 5, createdAt: NOW };
  const filters = [{ from: 0, sensors: [parseSensorId(sensor)] }];
  await fixture.registry.queues.put(queue, { ...definition, filters }, { name: 'local' });
  assert.deepEqual((await list(`?key=${queue}`)).names, { [queue]: 'For one', [sensor]: 'cellar' });
  await fixture.registry.sensors.remove(sensor, { name: 'local' });
  assert.deepEqual((await list(`?key=${queue}`)).names, { [queue]: 'For one' });
  await fixture.registry.queues.remove(queue, { name: 'local' });
  assert.deepEqual((await list(`?key=${queue}`)).names, {});
});

test('it is for administrators', async () => {
  for (const role of ['user', 'viewer', 'sensor_register'] as const) {
    const token = await fixture.addToken(role);
    for (const path of ['/audit', '/audit/export']) {
      assert.equal((await fixture.call('GET', `/api/v1${path}`, { token })).status, 403, `${role} ${path}`);
    }
  }
});
