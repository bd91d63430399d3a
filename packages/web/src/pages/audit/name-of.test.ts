import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nameOf } from './name-of.ts';

const NONE = new Map<string, string>();

test('what a record is about has the name of now, else that of the record', () => {
  const sensor = { kind: 'sensors', key: 'a uuid', before: { name: 'Roof' }, after: null };
  assert.equal(nameOf(sensor, new Map([['a uuid', 'Cellar']])), 'Cellar');
  assert.equal(nameOf(sensor, NONE), 'Roof');
  assert.equal(nameOf({ ...sensor, kind: 'queues', before: { description: 'one\ntwo' } }, NONE), 'one');
  const token = { kind: 'tokens', key: 'ab12…', before: null, after: { name: 'script', user: 'ann@example.org' } };
  assert.equal(nameOf(token, NONE), 'script, ann@example.org');
});

test('where the key is all there is, there is no name', () => {
  assert.equal(
    nameOf({ kind: 'types', key: 'constructor', before: null, after: { name: 'constructor' } }, NONE),
    undefined,
  );
  assert.equal(nameOf({ kind: 'sensors', key: 'a uuid', before: null, after: { name: '' } }, NONE), undefined);
  assert.equal(nameOf({ kind: 'exporters', key: 'x', before: null, after: { description: 'words' } }, NONE), undefined);
});
