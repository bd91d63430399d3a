import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressGroup, plainAddress } from './address.ts';

test('IPv4 addresses are shown as such', () => {
  assert.equal(plainAddress('::ffff:192.0.2.1'), '192.0.2.1');
  assert.equal(plainAddress('192.0.2.1'), '192.0.2.1');
  assert.equal(plainAddress('2001:db8::1'), '2001:db8::1');
});

test('an IPv6 site is a /64', () => {
  assert.equal(addressGroup('192.0.2.1'), '192.0.2.1');
  assert.equal(addressGroup('2001:db8:1:2:3:4:5:6'), addressGroup('2001:db8:1:2::1'));
  assert.equal(addressGroup('2001:db8::1'), addressGroup('2001:db8::2:1'));
  assert.notEqual(addressGroup('2001:db8:0:1::1'), addressGroup('2001:db8::1'));
  assert.equal(addressGroup('fe80::1%eth0'), 'fe80:0:0:0::/64');
  assert.equal(addressGroup('::1'), '0:0:0:0::/64');
  assert.equal(addressGroup('64:ff9b::192.0.2.1'), '64:ff9b:0:0::/64');
});
