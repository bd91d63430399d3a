import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDuration } from './duration.ts';

test('durations as Go writes them', () => {
  const table: [string, number | undefined][] = [
    ['0', 0],
    ['30s', 30_000],
    ['200ms', 200],
    ['1m30s', 90_000],
    ['1.5h', 5_400_000],
    ['.5s', 500],
    ['+2s', 2000],
    ['250us', 0.25],
    ['250µs', 0.25],
    ['', undefined],
    ['+', undefined],
    ['30', undefined],
    ['5mn', undefined],
    ['-1s', undefined],
    ['s', undefined],
    ['1s x', undefined],
    ['1 s', undefined],
  ];
  for (const [text, expected] of table) assert.equal(parseDuration(text), expected, JSON.stringify(text));
});
