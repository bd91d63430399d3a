import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newSensorId } from '@d4ts/protocol';
import { type ApiFixture, startApiFixture } from './api-fixture.ts';
import type { RetentionView } from './retention-schemas.ts';
import type { TypeView } from './schemas.ts';
import type { SensorView } from './sensor-schemas.ts';

let fixture: ApiFixture;

before(async () => {
  fixture = await startApiFixture();
});
after(() => fixture[Symbol.asyncDispose]());

async function ask<T>(method: string, path: string, status: number, json?: object): Promise<T> {
  const answer = await fixture.call(method, `/api/v1${path}`, json === undefined ? {} : { json });
  assert.equal(answer.status, status, answer.text);
  return answer.body as T;
}

test('what holds is shown, and no limit is null', async () => {
  const { policy, state, journal } = await ask<RetentionView>('GET', '/retention', 200);
  assert.deepEqual([state, journal, policy.rewindAgeMs, policy.rewindBytes], ['ok', [], 86_400_000, 100]);
  assert.equal(policy.archiveBytes, null);
  assert.deepEqual(await ask('GET', '/retention/plan', 200), { removals: [] });
  assert.deepEqual(await ask('POST', '/retention/accept-clock', 200, {}), { changed: false });
});

test('a sensor and a type have rules of their own, which can be taken away', async () => {
  const uuid = newSensorId();
  await ask('POST', '/sensors', 201, { uuid, key: 'k' });
  const rules = { archivePriority: -3, archiveMaxAgeMs: 1_000, archiveMaxBytes: 5 };
  const held = await ask<SensorView>('PATCH', `/sensors/${uuid}`, 200, { hold: true, ...rules });
  assert.deepEqual({ ...held, hold: true, ...rules }, held);
  assert.deepEqual(fixture.registry.sensors.get(uuid)?.value.archive, { priority: -3, maxAgeMs: 1_000, maxBytes: 5 });
  await ask('DELETE', `/sensors/${uuid}`, 409);
  const none = { archivePriority: 0, archiveMaxAgeMs: null, archiveMaxBytes: null };
  const released = await ask<SensorView>('PATCH', `/sensors/${uuid}`, 200, { hold: false, ...none });
  assert.deepEqual({ ...released, hold: false, ...none }, released);
  assert.equal(fixture.registry.sensors.get(uuid)?.value.archive, undefined);
  await ask('DELETE', `/sensors/${uuid}`, 204);

  await ask('POST', '/types', 201, { name: 'maltrail' });
  const changed = await ask<TypeView>('PATCH', '/types/maltrail', 200, { ...rules, maxJournalBytes: 7 });
  assert.deepEqual({ ...changed, ...rules, maxJournalBytes: 7, revision: 2 }, changed);
  const kept = await ask<TypeView>('PATCH', '/types/maltrail', 200, { archiveMaxAgeMs: null });
  assert.deepEqual([kept.archiveMaxAgeMs, kept.archiveMaxBytes, kept.maxJournalBytes], [null, 5, 7]);
  await ask('PATCH', '/types/other', 404, { archivePriority: 1 });
});

test('only an administrator erases, and only what there is', async () => {
  const uuid = newSensorId();
  await ask('DELETE', `/sensors/${uuid}/data`, 404);
  const token = await fixture.addToken('user');
  assert.equal((await fixture.call('DELETE', `/api/v1/sensors/${uuid}/data`, { token })).status, 403);
  assert.equal((await fixture.call('GET', '/api/v1/retention', { token })).status, 200);
});
