import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startApiFixture } from './api-fixture.ts';

test('a backup is for administrators, and each is recorded', async () => {
  await using fixture = await startApiFixture();
  const made = await fixture.call('POST', '/api/v1/backup', { json: { data: 'journal' } });
  assert.equal(made.status, 200);
  assert.equal(made.text, 'a backup: journal');
  assert.equal(made.headers['content-type'], 'application/gzip');
  assert.match(String(made.headers['content-disposition']), /attachment; filename="d4-\d{8}T\d{6}\.tar\.gz"/);
  assert.equal((await fixture.call('POST', '/api/v1/backup', { json: {} })).text, 'a backup: none');
  const { records } = fixture.registry.audit.list({ kind: 'backup-made' }, 10);
  assert.deepEqual(
    records.map(({ key, actor }) => [key, actor]),
    [
      ['none', 'local'],
      ['journal', 'local'],
    ],
  );
  const wrong = await fixture.call('POST', '/api/v1/backup', { json: { data: 'everything' } });
  assert.equal(wrong.status, 400);
  for (const role of ['user', 'viewer', 'sensor_register'] as const) {
    const token = await fixture.addToken(role);
    assert.equal((await fixture.call('POST', '/api/v1/backup', { token, json: {} })).status, 403, role);
  }
});

test('what was damaged and set aside needs attention until it is taken away', async () => {
  await using fixture = await startApiFixture();
  const attention = async (): Promise<{ kind: string; message: string }[]> =>
    ((await fixture.call('GET', '/api/v1/overview')).body as { attention: { kind: string; message: string }[] })
      .attention;
  assert.ok((await attention()).every(({ kind }) => kind !== 'damaged'));
  fixture.state.damaged = ['20261001T000000Z-registry.sqlite'];
  const item = (await attention()).find(({ kind }) => kind === 'damaged');
  assert.match(item?.message ?? '', /1 damaged file was set aside/);
});
