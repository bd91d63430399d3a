import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { linesFormat, MAX_LINE_BYTES } from './lines.ts';
import type { Format } from './port.ts';

/** What a cutter reported, so that the same stream in other pieces compares equal. */
interface Cut {
  bytes: Buffer;
  records: number;
  /** Stream offsets after which a record was cut. */
  cuts: number[];
  /** Stream offsets that were reported as boundaries. */
  ends: number[];
  partial: boolean;
}

function cutInPieces(format: Format, pieces: readonly Buffer[]): Cut {
  const cutter = format.newCutter();
  const seen: Buffer[] = [];
  const cut: Cut = { bytes: Buffer.alloc(0), records: 0, cuts: [], ends: [], partial: false };
  let length = 0;
  const sink = {
    records(parts: readonly Buffer[], bytes: number, records: number) {
      assert.equal(
        parts.reduce((sum, part) => sum + part.length, 0),
        bytes,
      );
      seen.push(...parts);
      length += bytes;
      cut.records += records;
      cut.ends.push(length);
    },
    cut: () => cut.cuts.push(length),
    skipped: () => assert.fail('lines skip nothing'),
  };
  for (const piece of pieces) {
    assert.equal(cutter.push(piece, sink), undefined);
    assert.ok(cutter.pendingBytes <= format.maxRecordBytes);
  }
  cut.partial = cutter.end(sink);
  assert.equal(cutter.pendingBytes, 0);
  cut.bytes = Buffer.concat(seen);
  return cut;
}

/** The items as a consumer gets them, by walking each reported run. */
function itemsOf(format: Format, cut: Cut): string[] {
  const items: string[] = [];
  let from = 0;
  for (const to of cut.ends) {
    const run = cut.bytes.subarray(from, to);
    for (let at = 0; at < run.length; ) {
      const end = format.recordEnd(run, at);
      const itemEnd = format.itemEnd(run, at, end);
      if (itemEnd > at) items.push(run.toString('latin1', at, itemEnd));
      at = end;
    }
    from = to;
  }
  return items;
}

function split(bytes: Buffer, at: readonly number[]): Buffer[] {
  const edges = [0, ...at.map((position) => position % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return edges.slice(1).map((edge, i) => bytes.subarray(edges[i], edge));
}

/** The lines by a direct reading of the rule, limit included. */
function expectedItems(bytes: Buffer, max: number): { items: string[]; cuts: number[] } {
  const items: string[] = [];
  const cuts: number[] = [];
  let line: number[] = [];
  bytes.forEach((byte, at) => {
    if (line.length === max) {
      items.push(Buffer.from(line).toString('latin1'));
      cuts.push(at);
      line = [];
    }
    if (byte !== 0x0a) line.push(byte);
    else {
      if (line.length > 0) items.push(Buffer.from(line).toString('latin1'));
      line = [];
    }
  });
  if (line.length > 0) items.push(Buffer.from(line).toString('latin1'));
  return { items, cuts };
}

const lineBytes = fc
  .array(fc.constantFrom(0x0a, 0x0a, 0x0d, 0x00, 0x61, 0x62, 0xff), { maxLength: 200 })
  .map((values) => Buffer.from(values));

test('any split of the stream gives the same bytes, records and cuts', () => {
  const format = linesFormat(16);
  fc.assert(
    fc.property(lineBytes, fc.array(fc.nat()), (bytes, at) => {
      const whole = cutInPieces(format, [bytes]);
      const singly = cutInPieces(
        format,
        [...bytes].map((byte) => Buffer.from([byte])),
      );
      const randomly = cutInPieces(format, split(bytes, at));
      const expected = expectedItems(bytes, 16);
      for (const cut of [whole, singly, randomly]) {
        assert.deepEqual(cut.bytes, bytes);
        assert.deepEqual(cut.cuts, expected.cuts);
        assert.equal(cut.records, expected.items.length);
        assert.deepEqual(itemsOf(format, cut), expected.items);
        assert.equal(cut.partial, bytes.length > 0 && bytes.at(-1) !== 0x0a);
      }
    }),
    { numRuns: 500 },
  );
});

test('an unfinished line is held in memory of its own', () => {
  const cutter = linesFormat().newCutter();
  const reported: Buffer[] = [];
  const sink = {
    records: (pieces: readonly Buffer[]) => void reported.push(...pieces.map((piece) => Buffer.from(piece))),
    cut: () => undefined,
    skipped: () => undefined,
  };
  const chunk = Buffer.from('one\ntw');
  cutter.push(chunk, sink);
  chunk.fill('x');
  cutter.push(Buffer.from('o\n'), sink);
  assert.equal(Buffer.concat(reported).toString(), 'one\ntwo\n');
});

test('a line of exactly the limit is not cut, one byte more is', () => {
  const format = linesFormat();
  const fits = Buffer.alloc(MAX_LINE_BYTES, 'a');
  fits[MAX_LINE_BYTES - 1] = 0x0a;
  assert.deepEqual(cutInPieces(format, [fits]).cuts, []);
  const tooLong = cutInPieces(format, split(Buffer.alloc(MAX_LINE_BYTES + 1, 'a'), [70_000, 900_000]));
  assert.deepEqual(tooLong.cuts, [MAX_LINE_BYTES]);
  assert.equal(tooLong.records, 2);
  assert.ok(tooLong.partial);
});
