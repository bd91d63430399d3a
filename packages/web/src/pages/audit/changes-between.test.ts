import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changesBetween } from './changes-between.ts';

test('only what differs is told', () => {
  assert.deepEqual(changesBetween({ a: 1, b: 'x', c: [1] }, { a: 1, b: 'y', d: true, c: [1] }), [
    { name: 'b', before: 'x', after: 'y' },
    { name: 'd', before: undefined, after: true },
  ]);
});

test('what was added or removed is told whole', () => {
  assert.deepEqual(changesBetween(null, { a: 1 }), [{ name: 'a', before: undefined, after: 1 }]);
  assert.deepEqual(changesBetween({ a: 1 }, null), [{ name: 'a', before: 1, after: undefined }]);
  assert.deepEqual(changesBetween(null, undefined), []);
  assert.deepEqual(changesBetween(null, 5), [{ name: 'value', before: undefined, after: 5 }]);
});

test('of what is in objects and lists of objects only the values that differ are told', () => {
  const before = { archive: { maxAgeMs: 1, maxBytes: 2 }, filters: [{ from: 0, sensors: 'all' }], empty: {} };
  const after = { archive: { maxAgeMs: 3, maxBytes: 2 }, filters: [{ from: 0, sensors: ['x'] }], empty: {} };
  assert.deepEqual(changesBetween(before, after), [
    { name: 'archive.maxAgeMs', before: 1, after: 3 },
    { name: 'filters.1.sensors', before: 'all', after: ['x'] },
  ]);
});
