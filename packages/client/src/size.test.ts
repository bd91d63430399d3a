import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSize, sizeText } from './size.ts';

test('sizes', () => {
  const table: [string, number | undefined][] = [
    ['0', 0],
    ['1048576', 1_048_576],
    ['500MB', 500_000_000],
    ['2GiB', 2 * 2 ** 30],
    ['2 gib', 2 * 2 ** 30],
    ['1.5M', 1.5 * 2 ** 20],
    ['64k', 65_536],
    ['', undefined],
    ['-1', undefined],
    ['1XB', undefined],
    ['GB', undefined],
    ['1e9', undefined],
  ];
  for (const [text, bytes] of table) assert.equal(parseSize(text), bytes, text);
  assert.equal(sizeText(1023), '1023 bytes');
  assert.equal(sizeText(1.5 * 2 ** 30), '1.5 GiB');
});
