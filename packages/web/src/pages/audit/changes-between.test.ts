import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changesBetween } from './changes-between.ts';

test('only what differs is told', () => {
  assert.deepEqual(changesBetween({ a: 1, b: 'x', c: [1] }, { a: 1, b: 'y', d: true, c: [1] }), [
    { name: 'b', before: '"x"', after: '"y"' },
    { name: 'd', before: undefined, after: 'true' },
  ]);
});

test('what was added or removed is told whole', () => {
  assert.deepEqual(changesBetween(null, { a: 1 }), [{ name: 'a', before: undefined, after: '1' }]);
  assert.deepEqual(changesBetween({ a: 1 }, null), [{ name: 'a', before: '1', after: undefined }]);
  assert.deepEqual(changesBetween(null, undefined), []);
  assert.deepEqual(changesBetween(null, 5), [{ name: 'value', before: undefined, after: '5' }]);
});
