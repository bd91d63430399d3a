import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cutInPieces, type FormatSample, split, testFormatContract } from './contract.ts';
import { linesFormat, MAX_LINE_BYTES } from './lines.ts';

/** What lines become by a direct reading of the rule, limit included. */
function sampleOf(bytes: Buffer, max: number, overLimit: 'cut' | 'skip' = 'cut'): FormatSample {
  const items: string[] = [];
  let cuts = 0;
  let skipped = 0;
  let from = 0;
  while (from < bytes.length) {
    const newline = bytes.indexOf(0x0a, from);
    const end = newline === -1 ? bytes.length : newline + 1;
    let at = from;
    if (end - from > max && overLimit === 'skip') skipped += end - from;
    else {
      for (; end - at > max; at += max, cuts += 1) items.push(bytes.toString('latin1', at, at + max));
      const item = bytes.toString('latin1', at, newline === -1 ? end : newline);
      if (item !== '') items.push(item);
    }
    from = end;
  }
  const partial =
    bytes.length > 0 &&
    bytes.at(-1) !== 0x0a &&
    (overLimit === 'cut' || bytes.length - bytes.lastIndexOf(0x0a) - 1 <= max);
  return { name: 'generated', bytes, records: items.length, items, cuts, skipped, partial };
}

const lineBytes = fc
  .array(fc.constantFrom(0x0a, 0x0a, 0x0d, 0x00, 0x61, 0x62, 0xff), { maxLength: 200 })
  .map((values) => Buffer.from(values));
const fits = Buffer.alloc(MAX_LINE_BYTES, 'a');
fits[MAX_LINE_BYTES - 1] = 0x0a;
const tooLong = Buffer.alloc(MAX_LINE_BYTES + 1, 'a');
const hard = { name: 'lines of more than the largest size', bytes: Buffer.concat([tooLong, fits]), pieceBytes: 1 };

testFormatContract(linesFormat(), {
  streams: [
    { name: 'no line is over the limit', bytes: fits, records: 1 },
    { name: 'one byte more than the limit', bytes: tooLong, records: 2, cuts: 1, partial: true },
    { name: 'empty lines', bytes: Buffer.from('\n\na\n\n'), records: 1, items: ['a'] },
    {
      name: 'an unfinished line',
      bytes: Buffer.from('a\nb\r\nc\0d'),
      records: 3,
      items: ['a', 'b\r', 'c\0d'],
      partial: true,
    },
  ],
  generated: lineBytes.map((bytes) => sampleOf(bytes, MAX_LINE_BYTES)),
  hard: [hard],
});

testFormatContract(linesFormat(16, { name: 'lines of 16 bytes' }), {
  streams: [],
  generated: lineBytes.map((bytes) => sampleOf(bytes, 16)),
  hard: [],
});

testFormatContract(linesFormat(16, { name: 'lines of 16 bytes or nothing', overLimit: 'skip' }), {
  streams: [],
  generated: lineBytes.map((bytes) => sampleOf(bytes, 16, 'skip')),
  hard: [{ ...hard, pieceBytes: 10 }],
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

test('the limit is the same in pieces that go over it', () => {
  const cut = cutInPieces(linesFormat(), split(tooLong, [70_000, 900_000]));
  assert.deepEqual(cut.cuts, [MAX_LINE_BYTES]);
  assert.ok(cut.partial);
});
