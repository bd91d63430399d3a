import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { globTest } from './glob.ts';

describe('globTest', () => {
  for (const [pattern, text, expected] of [
    ['*', '', true],
    ['*', 'analyzer:3:x', true],
    ['analyzer:*', 'analyzer:3:x', true],
    ['analyzer:*:x', 'analyzer:3:x', true],
    ['analyzer:*:y', 'analyzer:3:x', false],
    ['a*b*c', 'aXbYbZc', true],
    ['a*b*c', 'aXbYbZ', false],
    ['h?llo', 'hello', true],
    ['h?llo', 'hllo', false],
    ['h[ae]llo', 'hallo', true],
    ['h[^a-d]llo', 'hello', true],
    ['h[^a-e]llo', 'hello', false],
    ['h[e-a]llo', 'hello', true],
    ['\\*', '*', true],
    ['\\*', 'a', false],
    ['[\\]]', ']', true],
    ['', '', true],
    ['', 'a', false],
  ] as const) {
    it(`"${pattern}" ${expected ? 'fits' : 'does not fit'} "${text}"`, () =>
      assert.equal(globTest(pattern)(text), expected));
  }

  it('takes a pattern of many stars without trouble', () => {
    assert.equal(globTest(`${'*a'.repeat(500)}b`)('a'.repeat(10_000)), false);
  });
});
