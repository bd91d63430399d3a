import assert from 'node:assert/strict';
import { test } from 'node:test';
import { durationText, sizeText, terminalText, timeText } from './terminal-text.ts';

test('what a terminal would obey is written out', () => {
  assert.equal(terminalText('\x1b[2Jowned\r\n\x07'), '\\x1b[2Jowned\\x0d\\x0a\\x07');
  assert.equal(terminalText('\x9b31m\x7f'), '\\x9b31m\\x7f');
  assert.equal(terminalText('abc\u202edcba'), 'abc\\u{202e}dcba');
  assert.equal(terminalText('a\u2028b\ud800'), 'a\\u{2028}b\\u{d800}');
  assert.equal(terminalText('Dach, été, 屋根, 🛰'), 'Dach, été, 屋根, 🛰');
});

test('times, sizes and durations are short', () => {
  assert.equal(timeText(1_790_000_000_999), '2026-09-21T14:13:20Z');
  assert.equal(timeText(null), '-');
  assert.equal(sizeText(0), '0 B');
  assert.equal(sizeText(999), '999 B');
  assert.equal(sizeText(1_000), '1.0 kB');
  assert.equal(sizeText(123_456), '123 kB');
  assert.equal(sizeText(999_900), '1.0 MB');
  assert.equal(sizeText(64 * 1024 * 1024), '67.1 MB');
  assert.equal(durationText(0), '0 s');
  assert.equal(durationText(59), '59 s');
  assert.equal(durationText(3_600), '1 h 0 min');
  assert.equal(durationText(200_000), '2 d 7 h');
});
