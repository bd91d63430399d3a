import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LeakyBuckets } from './leaky-buckets.ts';

test('a bucket is full after its burst, and leaks', () => {
  const buckets = new LeakyBuckets({ burst: 3, perSecond: 2, buckets: 10 });
  for (let i = 0; i < 3; i++) {
    assert.equal(buckets.isFull('a', 1_000), false);
    buckets.add('a', 1_000);
  }
  assert.equal(buckets.isFull('a', 1_000), true);
  assert.equal(buckets.isFull('b', 1_000), false);
  assert.equal(buckets.isFull('a', 1_499), true);
  assert.equal(buckets.isFull('a', 1_500), false);
});

test('the one filled longest ago is forgotten for a new one', () => {
  const buckets = new LeakyBuckets({ burst: 1, perSecond: 1, buckets: 2 });
  for (const key of ['a', 'b', 'a', 'c']) buckets.add(key, 0);
  assert.equal(buckets.size, 2);
  assert.deepEqual(
    ['a', 'b', 'c'].map((key) => buckets.isFull(key, 0)),
    [true, false, true],
  );
});
