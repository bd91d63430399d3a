import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isRefusalCode, REFUSALS } from './refusals.ts';

test('a code is told from any other text', () => {
  for (const code of Object.keys(REFUSALS)) assert.equal(isRefusalCode(code), true);
  for (const text of ['', 'hmac', 'HMAC-WRONG', 'toString', '__proto__', 'constructor']) {
    assert.equal(isRefusalCode(text), false, text);
  }
});

test('codes are plain words, and each says something of its own', () => {
  for (const code of Object.keys(REFUSALS)) assert.match(code, /^[a-z0-9]+(-[a-z0-9]+)*$/);
  const meanings = Object.values(REFUSALS);
  assert.equal(new Set(meanings).size, meanings.length);
});
