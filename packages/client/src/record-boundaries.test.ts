import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { boundariesOf, type RecordBoundaries } from './record-boundaries.ts';

const samples = new URL('../../../test/data/samples/', import.meta.url);

/** All boundaries of `bytes`, found piece by piece with `first`. */
function all(boundaries: RecordBoundaries, bytes: Buffer, cuts: readonly number[]): number[] {
  const found: number[] = [];
  const edges = [...new Set([...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
  let from = 0;
  for (const edge of edges) {
    let index = -1;
    while (from < edge) {
      index = boundaries.first(bytes.subarray(from, edge));
      if (index === -1) break;
      from += index;
      found.push(from);
      if (index === 0) break;
    }
    from = Math.max(from, index === -1 ? edge : from);
  }
  return found;
}

test('lines end after their newline', () => {
  const boundaries = boundariesOf(3);
  assert.equal(boundaries.last(Buffer.from('one\ntwo\nthr')), 8);
  assert.equal(boundaries.last(Buffer.from('ee')), -1);
  assert.equal(boundaries.last(Buffer.from('\n')), 1);
  assert.equal(boundaries.first(Buffer.from('one\ntwo\nthr')), 4);
  assert.equal(boundaries.preamble.length, 0);
});

test('a dnscap record starts with [ at the start of a line', () => {
  const text = readFileSync(new URL('dnscap.txt', samples));
  const starts: number[] = [];
  for (let at = text.indexOf('\n['); at !== -1; at = text.indexOf('\n[', at + 1)) starts.push(at + 1);
  assert.ok(starts.length > 1);
  assert.equal(boundariesOf(4).last(text), starts.at(-1));
  const split = boundariesOf(4);
  assert.equal(split.last(text.subarray(0, starts[0])), -1, 'what follows the newline decides');
  assert.equal(split.last(text.subarray(starts[0], starts[1])), 0);
});

test('what has no known records can be cut anywhere', () => {
  for (const type of [5, 7, 99]) {
    const boundaries = boundariesOf(type);
    assert.equal(boundaries.last(Buffer.from('abc')), 3);
    assert.equal(boundaries.first(Buffer.from('abc')), 0);
  }
});

for (const name of [
  'ipv6.pcap',
  'ipv6-bigendian.pcap',
  'mixed_soup.pcap',
  'truncated.pcap',
  'dns_responses-nsec.pcap',
]) {
  test(`the packets of ${name}, however it is cut`, () => {
    const bytes = readFileSync(new URL(name, samples));
    const big = bytes.readUInt32BE(0) === 0xa1b2c3d4 || bytes.readUInt32BE(0) === 0xa1b23c4d;
    const expected = [24];
    for (let at = 24; at + 16 <= bytes.length; ) {
      at += 16 + (big ? bytes.readUInt32BE(at + 8) : bytes.readUInt32LE(at + 8));
      if (at <= bytes.length) expected.push(at);
    }
    assert.ok(expected.length > 1);
    const whole = boundariesOf(1);
    assert.equal(whole.last(bytes), expected.at(-1));
    assert.deepEqual(whole.preamble, bytes.subarray(0, 24));
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 40 }), (cuts) => {
        assert.deepEqual(all(boundariesOf(1), bytes, cuts), expected);
      }),
      { numRuns: 50 },
    );
  });
}

test('what is no capture, and a capture with an impossible length, can be cut anywhere', () => {
  const noise = Buffer.alloc(100, 'x');
  assert.equal(boundariesOf(1).last(noise), 100);
  assert.equal(boundariesOf(1).preamble.length, 0);
  const capture = Buffer.from(readFileSync(new URL('ipv6.pcap', samples)));
  capture.writeUInt32LE(0x7fffffff, 24 + 8);
  const boundaries = boundariesOf(1);
  assert.equal(boundaries.last(capture), capture.length);
  assert.equal(boundaries.last(noise), 100);
});
