import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { indentJson } from './indent-json.ts';

test('JSON is indented as JSON.stringify does it', () => {
  fc.assert(
    fc.property(fc.json(), (json) => {
      assert.equal(indentJson(json), JSON.stringify(JSON.parse(json), null, 2));
    }),
  );
});

test('numbers stay as they came', () => {
  assert.equal(
    indentJson('{"id":12345678901234567890,"n":1.50,"e":{}}'),
    '{\n  "id": 12345678901234567890,\n  "n": 1.50,\n  "e": {}\n}',
  );
});
