import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMetaTypeName, knownWireTypes, WIRE_TYPE, wireTypeTitle } from './types.ts';

test('every wire type has a number and a title', () => {
  assert.deepEqual(knownWireTypes(), [1, 2, 3, 4, 5, 6, 7, 8, 254]);
  assert.deepEqual(Object.values(WIRE_TYPE), knownWireTypes());
  for (const type of knownWireTypes()) assert.equal(typeof wireTypeTitle(type), 'string');
  for (const type of [0, 9, 253, 255]) assert.equal(wireTypeTitle(type), undefined);
});

test('names of meta types are those of journal rule 1', () => {
  const inTheField = 'ja3-jl d4-telemetry fascia maltrail filewatcher filewatcherjson suricata-eve'.split(' ');
  for (const name of [...inTheField, 'a', 'A_b-1', '3a', '1-2', 'x'.repeat(64)]) {
    assert.equal(isMetaTypeName(name), true, name);
  }
  for (const name of ['', '3', '254', '-a', '_a', 'a b', 'a/b', '..', 'a.b', 'a\n', 'é', 'x'.repeat(65)]) {
    assert.equal(isMetaTypeName(name), false, name);
  }
});
