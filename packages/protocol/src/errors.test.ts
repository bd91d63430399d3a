import assert from 'node:assert/strict';
import { test } from 'node:test';
import { D4Error } from './errors.ts';

test('an error has its code, its message, and the error underneath if there is one', () => {
  const cause = new Error('ENOSPC');
  const error = new D4Error('D4_DISK_FULL', 'nothing can be written', cause);
  assert.ok(error instanceof Error);
  assert.deepEqual(
    [error.name, error.code, error.message, error.cause],
    ['D4Error', 'D4_DISK_FULL', 'nothing can be written', cause],
  );
  assert.equal('cause' in new D4Error('D4_DISK_FULL', 'nothing can be written'), false);
});
