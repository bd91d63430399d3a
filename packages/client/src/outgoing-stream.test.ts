import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { OutgoingStream } from './outgoing-stream.ts';
import { boundariesOf } from './record-boundaries.ts';

const capture = readFileSync(new URL('../../../test/data/samples/mixed_soup.pcap', import.meta.url));
const LIMITS = { bytes: 1000, record: 100 };

function rest(stream: OutgoingStream): string {
  let text = '';
  for (let bytes = stream.next(7); bytes !== undefined; bytes = stream.next(7)) text += bytes.toString('latin1');
  return text;
}

test('gives out what came in, in pieces of at most the size that is asked for', () => {
  const stream = new OutgoingStream(boundariesOf(3), LIMITS);
  stream.append(Buffer.from('abc'));
  stream.append(Buffer.from('defgh'));
  assert.equal(String(stream.next(2)), 'ab');
  assert.equal(String(stream.next(4)), 'cdef');
  assert.equal(String(stream.next(100)), 'gh');
  assert.equal(stream.next(100), undefined);
  assert.equal(stream.exhausted, false);
  stream.end();
  assert.equal(stream.exhausted, true);
});

test('starts again at the record in which the flushed bytes end', () => {
  const stream = new OutgoingStream(boundariesOf(3), LIMITS);
  stream.append(Buffer.from('one\ntwo\nthree\nfour\n'));
  assert.equal(String(stream.next(16)), 'one\ntwo\nthree\nfo');
  stream.flushed(10);
  stream.release();
  assert.equal(stream.kept, 11);
  stream.restart();
  assert.equal(rest(stream), 'three\nfour\n');
});

test('starts again at the very start where nothing may be forgotten', () => {
  const stream = new OutgoingStream(boundariesOf(3), LIMITS);
  stream.append(Buffer.from('one\ntwo\n'));
  stream.next(8);
  stream.flushed(8);
  stream.restart();
  assert.equal(rest(stream), 'one\ntwo\n');
});

test('is full at its limit, and has room again when bytes are forgotten', () => {
  const stream = new OutgoingStream(boundariesOf(3), LIMITS);
  stream.append(Buffer.alloc(999, 'x\n'));
  assert.equal(stream.full, false);
  stream.append(Buffer.from('\n'));
  assert.equal(stream.full, true);
  assert.equal(stream.unflushed, 1000);
  stream.next(1000);
  stream.flushed(1000);
  stream.release();
  assert.equal(stream.full, false);
  assert.equal(stream.unflushed, 0);
});

test('a record whose start is gone is left out after a broken connection, and counted', () => {
  const stream = new OutgoingStream(boundariesOf(3), LIMITS);
  stream.append(Buffer.from(`first\n${'x'.repeat(200)}`));
  stream.next(206);
  stream.flushed(206);
  stream.release();
  assert.equal(stream.kept, 0);
  stream.restart();
  stream.append(Buffer.from('xxx'));
  assert.equal(stream.next(10), undefined);
  stream.append(Buffer.from('xx\nnext\n'));
  assert.equal(rest(stream), 'next\n');
  assert.equal(stream.skippedBytes, 6);
});

test('a stream that ends within a record that is left out is exhausted', () => {
  const stream = new OutgoingStream(boundariesOf(3), LIMITS);
  stream.append(Buffer.alloc(200, 'x'));
  stream.next(200);
  stream.flushed(200);
  stream.release();
  stream.append(Buffer.from('xx'));
  stream.restart();
  stream.end();
  assert.equal(stream.exhausted, true);
  assert.equal(stream.unflushed, 0);
});

test('a capture starts again with its global header, at a packet', () => {
  const stream = new OutgoingStream(boundariesOf(1), { bytes: 100_000, record: 10_000 });
  stream.append(capture);
  const first = 24 + 16 + capture.readUInt32LE(24 + 8);
  stream.next(first + 5);
  stream.flushed(first + 5);
  stream.release();
  assert.deepEqual(stream.restart(), capture.subarray(0, 24));
  assert.deepEqual(stream.next(100_000), capture.subarray(first));
});

test('a capture that starts from its start has its header already', () => {
  const stream = new OutgoingStream(boundariesOf(1), { bytes: 100_000, record: 10_000 });
  stream.append(capture);
  stream.next(30);
  stream.flushed(20);
  stream.release();
  assert.equal(stream.restart().length, 0);
  assert.deepEqual(stream.next(100_000), capture);
});

test('whatever breaks when, every line arrives at least once, whole and in order', () => {
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constant('append' as const), size: fc.integer({ min: 1, max: 60 }) }),
    },
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('next' as const), size: fc.integer({ min: 1, max: 40 }) }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('flush' as const), size: fc.nat(100) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('break' as const), size: fc.nat(100) }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
      const source = Buffer.from(Array.from({ length: 600 }, (_, i) => `line ${i}\n`).join(''));
      const stream = new OutgoingStream(boundariesOf(3), { bytes: 5000, record: 100 });
      const connections: Buffer[][] = [[]];
      let at = 0;
      let flushed = 0;
      const take = (size: number) => {
        const bytes = stream.next(size);
        if (bytes !== undefined) connections.at(-1)?.push(bytes);
        return bytes !== undefined;
      };
      for (const { kind, size } of steps) {
        if (kind === 'append') {
          stream.append(source.subarray(at, at + size));
          at = Math.min(at + size, source.length);
        } else if (kind === 'next') {
          take(size);
        } else if (kind === 'flush') {
          flushed = Math.min(flushed + size, stream.taken);
          stream.flushed(flushed);
          stream.release();
        } else {
          // The server got everything that was written.
          stream.restart();
          flushed = stream.taken;
          connections.push([]);
        }
      }
      while (take(50)) {}
      const texts = connections.map((pieces) => Buffer.concat(pieces).toString());
      const numbers: number[] = [];
      for (const [i, text] of texts.entries()) {
        const lines = text.split('\n');
        if (i < texts.length - 1) lines.pop();
        for (const line of lines) {
          if (/^line \d+$/.test(line)) numbers.push(Number(line.slice(5)));
          else if (line !== '') assert.equal(i, texts.length - 1, `a broken line: ${line}`);
        }
      }
      const complete = source.subarray(0, at).toString().split('\n').length - 1;
      const seen = new Set(numbers);
      for (let n = 0; n < complete; n++) assert.ok(seen.has(n), `line ${n} is missing`);
    }),
    { numRuns: 300 },
  );
});
