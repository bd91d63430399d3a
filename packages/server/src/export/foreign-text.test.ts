import assert from 'node:assert/strict';
import { test } from 'node:test';
import { foreignText } from './foreign-text.ts';

test('text of another server is cut, and nothing in it acts on a terminal or a page', () => {
  assert.equal(foreignText('clé: \x1b[2J\u009b31m\u202eEVIL\n'), 'clé: \\u{1b}[2J\\u{9b}31m\\u{202e}EVIL\\u{a}');
  assert.equal(foreignText('a'.repeat(5_000)).length, 1_001);
});
