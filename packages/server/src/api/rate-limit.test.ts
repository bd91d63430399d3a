import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RetryLater } from './api-errors.ts';
import { RateLimit } from './rate-limit.ts';

test('a burst passes, then so many each second, for each caller', () => {
  const limit = new RateLimit({ burst: 3, perSecond: 2 });
  for (let at = 0; at < 3; at++) limit.take('a', 0);
  assert.throws(
    () => limit.take('a', 0),
    (error) => error instanceof RetryLater && error.code === 'D4_RATE_LIMITED' && error.retryAfterSeconds === 1,
  );
  limit.take('b', 0);
  limit.take('a', 500);
  assert.throws(() => limit.take('a', 500), { code: 'D4_RATE_LIMITED' });
  limit.take('a', 10_000);
  limit.take('a', 10_000);
});

test('it remembers a bounded number of callers', () => {
  const limit = new RateLimit({ burst: 1, perSecond: 0.001 });
  limit.take('first', 0);
  for (let at = 0; at < 10_000; at++) limit.take(`caller ${at}`, 0);
  limit.take('first', 0);
});
