import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sampleFile } from './captures-fixture.ts';
import { type FormatSample, testFormatContract } from './contract.ts';
import { dnscapFormat, dnscapFormatOf, MAX_DNSCAP_BYTES } from './dnscap.ts';

function sample(name: string, text: string, items: readonly string[], other: Partial<FormatSample> = {}): FormatSample {
  return { name, bytes: Buffer.from(text, 'latin1'), records: items.length, items, ...other };
}

const dnscap = sampleFile('dnscap.txt').toString('latin1');
const ofSample = dnscap.slice(0, -1).split(/\n(?=\[)/);

/** A record of dnscap: all lines but the last end with a backslash. */
const escaped = fc
  .array(fc.string({ unit: fc.constantFrom(...'\tab[]. 09'), maxLength: 20 }), { maxLength: 4 })
  .map((lines) => ['[75] 2023-11-14 22:13:20.000000 [#0 x 4095] ', ...lines.map((line) => `\t${line}`)].join('\\\n'));
/** A record whose lines end without one. */
const plain = fc
  .array(fc.string({ unit: fc.constantFrom(...'\t ab]9'), maxLength: 20 }), { maxLength: 4 })
  .map((lines) => ['[7] first', ...lines].join('\n'));

const generated = fc.array(fc.oneof(escaped, plain), { maxLength: 20 }).map((records) => {
  const text = records.map((record) => `${record}\n`).join('');
  return sample('generated', text, records);
});

testFormatContract(dnscapFormat, {
  streams: [
    sample('dnscap.txt', dnscap, ofSample),
    sample('begins in mid-record', dnscap.slice(30), [ofSample[0]?.slice(30) ?? '', ...ofSample.slice(1)]),
    sample('ends in mid-line', dnscap.slice(0, -5), [...ofSample.slice(0, -1), ofSample.at(-1)?.slice(0, -4) ?? ''], {
      partial: true,
    }),
    sample('ends where a line goes on', '[1] a \\\n\tb\n[2] c \\\n', ['[1] a \\\n\tb', '[2] c \\'], { partial: true }),
    sample('lines without a backslash', '[1] a\n b\n\n c\n[2] d\n', ['[1] a\n b\n\n c', '[2] d']),
    sample('text in front', 'a banner\nof two lines\n[1] a\n', ['a banner\nof two lines', '[1] a']),
    sample('a record that breaks off', '[1] a \\\n[2] b\n', ['[1] a \\', '[2] b']),
    sample('an empty line in front', '\n[1] a\n', ['[1] a']),
  ],
  generated,
  hard: [
    { name: 'a record of the largest size', bytes: Buffer.alloc(MAX_DNSCAP_BYTES + 9, '[a\n b\n'), pieceBytes: 1 },
    { name: 'line ends', bytes: Buffer.alloc(MAX_DNSCAP_BYTES, '\n'), pieceBytes: 3 },
  ],
});

testFormatContract(dnscapFormatOf(8), {
  streams: [sample('over the limit', '[1] abcdefgh\n[2]\n', ['[1] abcd', 'efgh', '[2]'], { cuts: 1 })],
  generated: fc.constant(sample('short', '[1]\n[2]\n', ['[1]', '[2]'])),
  hard: [],
});

test("a record of dnscap's own is reported with its last line, another one when the next begins", () => {
  const cutter = dnscapFormat.newCutter();
  const counts: number[] = [];
  const sink = {
    records: (_: unknown, _bytes: number, records: number) => void counts.push(records),
    cut: () => undefined,
    skipped: () => undefined,
  };
  cutter.push(Buffer.from('[1] a \\\n\tb\n'), sink);
  assert.deepEqual(counts, [1]);
  cutter.push(Buffer.from('[2] a\n b\n'), sink);
  assert.deepEqual(counts, [1]);
  cutter.push(Buffer.from('['), sink);
  assert.deepEqual(counts, [1, 1]);
});
