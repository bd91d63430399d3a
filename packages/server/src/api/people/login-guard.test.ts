import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LoginGuard } from './login-guard.ts';

const ANN = 'ann@example.org';
const BOB = 'bob@example.org';
const HERE = '192.0.2.1';
const MINUTE = 60_000;

function failOften(guard: LoginGuard, times: number, mail: string, address: string, now = 0): void {
  for (let at = 0; at < times; at++) guard.failed(mail, address, now);
}

test('a user from an address waits after five failures, longer each time, and not elsewhere', () => {
  const guard = new LoginGuard();
  failOften(guard, 4, ANN, HERE);
  assert.equal(guard.waitFor(ANN, HERE, 0), 0);
  const [lockout] = guard.failed(ANN, HERE, 0);
  assert.deepEqual(lockout, {
    kind: 'user-and-address',
    mail: ANN,
    address: HERE,
    failures: 5,
    lastFailureAt: 0,
    until: 30_000,
  });
  assert.equal(guard.waitFor(ANN, HERE, 10_000), 20_000);
  assert.equal(guard.waitFor(ANN, '192.0.2.2', 0), 0);
  assert.equal(guard.waitFor(BOB, HERE, 0), 0);
  assert.deepEqual(guard.failed(ANN, HERE, 30_000), []);
  assert.equal(guard.waitFor(ANN, HERE, 30_000), MINUTE);
  failOften(guard, 20, ANN, HERE, MINUTE);
  assert.equal(guard.waitFor(ANN, HERE, MINUTE), 15 * MINUTE);
});

test('signing in forgets the failures of the pair, and a day without any forgets all', () => {
  const guard = new LoginGuard();
  failOften(guard, 4, ANN, HERE);
  guard.succeeded(ANN, HERE);
  failOften(guard, 4, ANN, HERE);
  assert.equal(guard.waitFor(ANN, HERE, 0), 0);
  const later = 25 * 60 * MINUTE;
  failOften(guard, 4, ANN, HERE, later);
  assert.equal(guard.waitFor(ANN, HERE, later), 0);
});

test('an address that tries many users waits; an IPv6 address with its /64', () => {
  const guard = new LoginGuard();
  for (let at = 0; at < 20; at++) guard.failed(`user${at}@example.org`, `2001:db8::${at + 1}`, 0);
  assert.equal(guard.waitFor(ANN, '2001:db8::ffff', 0), 30_000);
  assert.equal(guard.waitFor(ANN, '2001:db8:0:1::1', 0), 0);
  assert.deepEqual(
    guard.lockouts(0).map(({ kind, address }) => [kind, address]),
    [['address', '2001:db8::/64']],
  );
});

test('nobody can lock a user out: not from known addresses, nor on the machine, and elsewhere for ten seconds', () => {
  const guard = new LoginGuard();
  guard.succeeded(ANN, HERE);
  for (let at = 0; at < 60; at++) guard.failed(ANN, `198.51.100.${at}`, 0);
  assert.equal(guard.waitFor(ANN, HERE, 0), 0);
  assert.equal(guard.waitFor(ANN, '127.0.0.1', 0), 0);
  assert.equal(guard.waitFor(ANN, '::1', 0), 0);
  assert.equal(guard.waitFor(ANN, '203.0.113.9', 0), 10_000);
  assert.equal(guard.waitFor(ANN, '203.0.113.9', 10_000), 0);
  assert.equal(guard.waitFor(BOB, '203.0.113.9', 0), 0);
});

test('lock-outs are cleared by user, by address, by both, or all', () => {
  const all = () => {
    const guard = new LoginGuard();
    failOften(guard, 20, ANN, HERE);
    failOften(guard, 5, BOB, HERE);
    failOften(guard, 5, ANN, '192.0.2.9');
    return guard;
  };
  assert.equal(all().lockouts(0).length, 4);
  assert.equal(all().clear({ mail: ANN }, 0), 2);
  assert.equal(all().clear({ address: HERE }, 0), 3);
  assert.equal(all().clear({ mail: ANN, address: HERE }, 0), 1);
  const guard = all();
  assert.equal(guard.clear({}, 0), 4);
  assert.equal(guard.waitFor(ANN, HERE, 0), 0);
});

test('it remembers a bounded number of failures', () => {
  const guard = new LoginGuard();
  failOften(guard, 5, ANN, HERE);
  for (let at = 0; at < 10_000; at++) guard.failed(`${at}@example.org`, `10.${at >> 8}.${at & 255}.1`, 1);
  assert.equal(guard.waitFor(ANN, HERE, 1), 0);
});
