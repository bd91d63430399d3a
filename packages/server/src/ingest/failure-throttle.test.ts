import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FailureThrottle } from './failure-throttle.ts';

const DAY_MS = 86_400_000;

function failing(group: string, times: number): FailureThrottle {
  const throttle = new FailureThrottle({ failuresPerAddress: 5, failuresPerSecond: 1 });
  for (let i = 0; i < times; i++) throttle.failed(group, 0);
  return throttle;
}

test('an address that only fails has to wait, others need not', () => {
  assert.equal(failing('a', 4).holdsBack('a', 0), false);
  const throttle = failing('a', 5);
  assert.equal(throttle.holdsBack('a', 0), true);
  assert.equal(throttle.holdsBack('b', 0), false);
  assert.equal(throttle.holdsBack('a', 1_000), false);
});

test('an address with a proved sensor is not held back for a day', () => {
  const throttle = failing('a', 5_000_000);
  throttle.proved('a', 0);
  assert.equal(throttle.holdsBack('a', DAY_MS - 1), false);
  assert.equal(throttle.holdsBack('a', DAY_MS), true);
});
