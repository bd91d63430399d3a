import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backoff } from './backoff.ts';

test('waits double up to the limit, and start again after a success', () => {
  const backoff = new Backoff(3000, () => 1);
  const waits = Array.from({ length: 6 }, () => backoff.next());
  assert.deepEqual(waits, [250, 500, 1000, 2000, 3000, 3000]);
  backoff.reset();
  assert.equal(backoff.next(), 250);
});

test('jitter takes between half and all of a wait', () => {
  assert.equal(new Backoff(30_000, () => 0).next(), 125);
  assert.equal(new Backoff(30_000, () => 0.5).next(), 187.5);
});

test('the limit holds for the first wait too, and for thousands of attempts', () => {
  const backoff = new Backoff(20, () => 1);
  for (let i = 0; i < 5000; i++) assert.equal(backoff.next(), 20);
});
