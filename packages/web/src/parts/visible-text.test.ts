import assert from 'node:assert/strict';
import { test } from 'node:test';
import { visibleText } from './visible-text.ts';

test('what a terminal or a browser would act on is shown instead', () => {
  assert.equal(visibleText('a\u001b[31mred\u0000\r'), 'a␛[31mred␀␍');
  assert.equal(visibleText('exe.\u202etxt\u007f\u0085'), 'exe.⟨U+202E⟩txt␡⟨U+0085⟩');
});

test('tabs, new lines and writing of any language stay', () => {
  assert.equal(visibleText('a\tb\nžluťoučký שלום 日本'), 'a\tb\nžluťoučký שלום 日本');
});
