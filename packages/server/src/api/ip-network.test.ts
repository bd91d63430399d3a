import assert from 'node:assert/strict';
import { BlockList } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { networkOrder, normalNetwork, plainAddress } from './ip-network.ts';

test('addresses and networks are written in one way', () => {
  const cases: [string, string | undefined][] = [
    ['192.0.2.1', '192.0.2.1'],
    ['192.0.2.1/32', '192.0.2.1'],
    ['192.0.2.77/24', '192.0.2.0/24'],
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    [' 192.0.2.1 ', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1/120', '192.0.2.0/24'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8::1/128', '2001:db8::1'],
    ['2001:db8:1:2:3:4:5:6/48', '2001:db8:1::/48'],
    ['2001:db8:0:1:0:0:0:1', '2001:db8:0:1::1'],
    ['2001:0:0:1:0:0:1:1', '2001::1:0:0:1:1'],
    ['1:0:2:0:3:0:4:0', '1:0:2:0:3:0:4:0'],
    ['::/0', '::/0'],
    ['::', '::'],
    ['::1', '::1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['192.0.2.1/33', undefined],
    ['2001:db8::/129', undefined],
    ['192.0.2', undefined],
    ['192.0.2.1/', undefined],
    ['192.0.2.1/-1', undefined],
    ['fe80::1%eth0', undefined],
    ['example.org', undefined],
    ['', undefined],
  ];
  for (const [text, expected] of cases) assert.equal(normalNetwork(text), expected, text);
});

test('an IPv4 address that came through an IPv6 socket is shown as IPv4', () => {
  assert.equal(plainAddress('::ffff:192.0.2.1'), '192.0.2.1');
  assert.equal(plainAddress('2001:db8::1'), '2001:db8::1');
});

test('a network that was written anew holds the same addresses', () => {
  const address = fc.oneof(
    fc.tuple(fc.constant('ipv4' as const), fc.ipV4()),
    fc.tuple(fc.constant('ipv6' as const), fc.ipV6()),
  );
  fc.assert(
    fc.property(address, address, fc.nat(128), ([family, base], [otherFamily, other], bits) => {
      fc.pre(plainAddress(base) === base);
      const prefix = family === 'ipv4' ? bits % 33 : bits;
      const normal = normalNetwork(`${base}/${prefix}`) ?? '';
      const [network = '', written = family === 'ipv4' ? '32' : '128'] = normal.split('/');
      const given = new BlockList();
      given.addSubnet(base, prefix, family);
      const anew = new BlockList();
      anew.addSubnet(network, Number(written), family);
      assert.equal(anew.check(base, family), true);
      assert.equal(anew.check(other, otherFamily), given.check(other, otherFamily));
      assert.equal(normalNetwork(normal), normal);
    }),
  );
});

test('addresses and networks are in order by number, IPv4 first, a network before what is in it', () => {
  const sorted = [
    '2.0.0.0/8',
    '9.255.0.1',
    '10.0.0.0/8',
    '10.0.0.0/24',
    '10.0.0.0',
    '10.0.0.9',
    '10.0.0.10',
    '192.0.2.1',
  ]
    .concat(['::1', '9::', '2001:db8::/32', '2001:db8::', '2001:db8:0:1::', 'a000::'])
    .map((network) => ({ network, order: networkOrder(network) }));
  const again = sorted.toReversed().sort((a, b) => (a.order < b.order ? -1 : 1));
  assert.deepEqual(again, sorted);
});
