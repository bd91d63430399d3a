import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { pcapLine, pcapngLine } from './capture-records.ts';
import { LINK_TYPE, packetSummary } from './packet-summary.ts';
import { addressText6 } from './packet-text.ts';

const ETHERNET = '02000000000202000000000108';
const hex = (...parts: string[]): Buffer => Buffer.from(parts.join('').replaceAll(' ', ''), 'hex');

const PACKETS: [title: string, packet: Buffer, linkType: number, text: string][] = [
  [
    'TCP',
    hex(
      ETHERNET,
      '00 4500002d 00010000 40060000 0a000001 0a000002 d431 01bb 00000000 00000000 5018 0000 00000000 6162636465',
    ),
    LINK_TYPE.ethernet,
    '10.0.0.1:54321 > 10.0.0.2:443 TCP [P.] 5 B',
  ],
  [
    'UDP to port 53, in a VLAN',
    hex(
      '020000000002020000000001 8100 0005 0800 4500 0020 00010000 40110000 0a000001 0a000002 cafe 0035 000c 0000 00000000',
    ),
    LINK_TYPE.ethernet,
    '10.0.0.1:51966 > 10.0.0.2:53 UDP DNS 4 B',
  ],
  [
    'ICMP',
    hex('4500 001c 00010000 40010000 0a000001 0a000002 08000000 00000000'),
    LINK_TYPE.raw,
    '10.0.0.1 > 10.0.0.2 ICMP echo request, 8 B',
  ],
  [
    'a later fragment',
    hex('4500 0024 0001 00b9 40110000 0a000001 0a000002 00000000 00000000 00000000 00000000'),
    LINK_TYPE.ipv4,
    '10.0.0.1 > 10.0.0.2 fragment, 16 B',
  ],
  [
    'ICMPv6 behind hop-by-hop options, cooked',
    hex(
      '0000 0001 0006 020000000001 0000 86dd 60000000 0010 00 40 fe800000000000000000000000000001 ff020000000000000000000000000002',
      '3a00 0502 0000 0100 85000000 00000000',
    ),
    LINK_TYPE.linuxCooked,
    'fe80::1 > ff02::2 ICMPv6 router solicitation, 8 B',
  ],
  [
    'IPv6 with ports',
    hex('60000000 0008 11 40 20010db8000000000000000000000001 20010db8000000000000000000000002 0035 1f90 0008 0000'),
    LINK_TYPE.raw,
    '[2001:db8::1]:53 > [2001:db8::2]:8080 UDP DNS 0 B',
  ],
  [
    'ARP',
    hex('ffffffffffff 020000000001 0806 0001 0800 06 04 0001 020000000001 0a000001 000000000000 0a000002'),
    LINK_TYPE.ethernet,
    '02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff ARP who has 10.0.0.2? tell 10.0.0.1',
  ],
  ['a packet that is cut short', hex(ETHERNET, '00 4500'), LINK_TYPE.ethernet, 'IPv4 cut short, 16 B'],
  ['an unknown link type', hex('0102'), 147, 'link type 147, 2 B'],
];

for (const [title, packet, linkType, text] of PACKETS) {
  test(`${title} in a line`, () => assert.equal(packetSummary(packet, linkType), text));
}

test('whatever the bytes are, there is a line of bounded length', () => {
  const linkTypes = fc.constantFrom(...Object.values(LINK_TYPE), 147);
  const changed = fc
    .tuple(fc.constantFrom(...PACKETS), fc.nat(), fc.nat(255), fc.nat())
    .map(([[, packet], at, value, cut]) => {
      const bytes = Buffer.from(packet);
      bytes[at % bytes.length] = value;
      return bytes.subarray(0, cut % (bytes.length + 1));
    });
  const any = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.oneof(any, changed), any, linkTypes, (bytes, preamble, linkType) => {
      assert.ok(packetSummary(bytes, linkType).length < 300);
      assert.ok((pcapLine(bytes, preamble)?.text.length ?? 0) < 300);
      assert.ok((pcapngLine(bytes, preamble)?.text.length ?? 0) < 300);
    }),
    { numRuns: 5_000 },
  );
});

test('IPv6 addresses are written as RFC 5952 says', () => {
  const texts = ['::', '::1', '1::', '2001:db8::1', '1:0:2:0:3:0:4:0', '1:0:0:2::3', '2001:db8:0:1:1:1:1:1'];
  for (const text of texts) {
    const [head = '', tail] = text.split('::');
    const groups = (part: string | undefined): number[] =>
      part === undefined || part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
    const [left, right] = [groups(head), groups(tail)];
    const zeros = Array.from({ length: 8 - left.length - right.length }, () => 0);
    const bytes = Buffer.alloc(16);
    for (const [at, group] of [...left, ...zeros, ...right].entries()) bytes.writeUInt16BE(group, at * 2);
    assert.equal(addressText6(bytes, 0), text);
  }
});
