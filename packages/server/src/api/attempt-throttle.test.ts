import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AttemptThrottle } from './attempt-throttle.ts';

test('an address is held back after thirty failures, and gets one more attempt each 2 s', () => {
  const throttle = new AttemptThrottle();
  for (let attempt = 0; attempt < 30; attempt++) {
    assert.equal(throttle.waitFor('192.0.2.1', 1_000), 0);
    throttle.failed('192.0.2.1', 1_000);
  }
  assert.equal(throttle.waitFor('192.0.2.1', 1_000), 2_000);
  assert.equal(throttle.waitFor('192.0.2.1', 2_500), 500);
  assert.equal(throttle.waitFor('192.0.2.2', 1_000), 0);

  assert.equal(throttle.waitFor('192.0.2.1', 3_000), 0);
  throttle.failed('192.0.2.1', 3_000);
  assert.equal(throttle.waitFor('192.0.2.1', 3_000), 2_000);

  assert.equal(throttle.waitFor('192.0.2.1', 3_000 + 31 * 2_000), 0);
});

test('an IPv6 address counts with its /64', () => {
  const throttle = new AttemptThrottle();
  for (let attempt = 0; attempt < 30; attempt++) throttle.failed(`2001:db8:0:1::${attempt}`, 0);
  assert.equal(throttle.waitFor('2001:db8:0:1:ffff::1', 0), 2_000);
  assert.equal(throttle.waitFor('2001:db8:0:2::1', 0), 0);
});

test('only so many addresses are remembered', () => {
  const throttle = new AttemptThrottle();
  for (let attempt = 0; attempt < 30; attempt++) throttle.failed('192.0.2.1', 0);
  for (let n = 0; n < 10_000; n++) throttle.failed(`10.0.${n >> 8}.${n & 255}`, 0);
  assert.equal(throttle.waitFor('192.0.2.1', 0), 0);
});

test('a clock that goes back neither frees nor holds for ever', () => {
  const throttle = new AttemptThrottle();
  for (let attempt = 0; attempt < 30; attempt++) throttle.failed('192.0.2.1', 10_000);
  assert.equal(throttle.waitFor('192.0.2.1', 0), 2_000);
});
