import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { afterwards, temporaryFolder } from './afterwards.ts';

test('what a test began is undone, the latest first, and its folder goes last', async (t) => {
  const undone: string[] = [];
  let folder = '';
  await t.test('leaves things', (inner) => {
    folder = temporaryFolder(inner);
    afterwards(inner, () => undone.push('first', String(existsSync(folder))));
    afterwards(inner, async () => undone.push('second'));
    writeFileSync(join(folder, 'file'), '');
  });
  assert.deepEqual(undone, ['second', 'first', 'true']);
  assert.ok(!existsSync(folder));
});
