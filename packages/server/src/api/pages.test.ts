import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { pageOf } from './pages.ts';

const same = (text: string) => text;

test('the pages together are the list, whatever their size', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string(), { maxLength: 40 }), fc.integer({ min: 1, max: 10 }), (keys, limit) => {
      const seen: string[] = [];
      let after: string | undefined;
      for (;;) {
        const page = pageOf(keys, same, same, { limit, ...(after !== undefined && { after }) });
        assert.ok(page.items.length <= limit);
        assert.equal(page.total, keys.length);
        seen.push(...page.items);
        if (page.next === null) break;
        after = page.next;
      }
      assert.deepEqual(seen, [...keys].sort());
    }),
  );
});

test('a page starts after a key that has been removed', () => {
  assert.deepEqual(pageOf(['a', 'd', 'c'], same, same, { after: 'b' }), { items: ['c', 'd'], total: 3, next: null });
});
