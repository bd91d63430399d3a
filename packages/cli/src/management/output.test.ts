import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonText } from './output.ts';

test('JSON holds nothing that a terminal would obey, and says the same', () => {
  const value = { description: '\x1b[2J\x9b31m\x7f\u202eabc\u2028\u{e0001}\n', list: ['Dach, 屋根, 🛰'] };
  const text = jsonText(value);
  assert.deepEqual(JSON.parse(text), value);
  assert.doesNotMatch(text.replaceAll('\n', ''), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  assert.match(text, /Dach, 屋根, 🛰/);
});
