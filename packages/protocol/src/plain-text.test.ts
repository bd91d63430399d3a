import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { escapeUnprintable, plainLine, plainLines } from './plain-text.ts';

const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

test('what could act on a terminal is a question mark', () => {
  assert.equal(plainLine('a\u001b[2Jb\nc\td\u202eé 漢'), 'a?[2Jb?c?d?é 漢');
  assert.equal(plainLines('a\u001b[2Jb\nc\td\u202eé\r\n'), 'a?[2Jb\nc\td?é?\n');
});

test('escaped JSON is the same JSON, without anything unprintable', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.jsonValue()), (any) => {
      const json = JSON.stringify(any);
      const escaped = escapeUnprintable(json);
      assert.doesNotMatch(escaped, UNPRINTABLE);
      assert.deepEqual(JSON.parse(escaped), JSON.parse(json));
    }),
  );
  assert.equal(escapeUnprintable('\u{e0001}'), '\\udb40\\udc01');
});
