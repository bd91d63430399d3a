import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ipfixMessage, ipfixSet, ipfixTemplate } from './captures-fixture.ts';
import { cutInPieces, type FormatSample, testFormatContract } from './contract.ts';
import { IpfixTemplates } from './ipfix-templates.ts';
import { yafFormat } from './yaf.ts';

const MIB = 1024 * 1024;

function sample(
  name: string,
  messages: readonly Buffer[],
  records: number,
  other: Partial<FormatSample> = {},
): FormatSample {
  return { name, bytes: Buffer.concat(messages), records, ...other };
}

function data(
  length: number,
  options: { seconds?: number; sequence?: number; domain?: number } = {},
  id = 256,
): Buffer {
  return ipfixMessage([ipfixSet(id, Buffer.alloc(length, 7))], options);
}

const flows = ipfixTemplate(256, [8, 12, 0x8015]);
const statistics = ipfixTemplate(257, [130, 0x8064], 1);
const first = ipfixMessage([ipfixSet(2, flows), ipfixSet(3, statistics), ipfixSet(256, Buffer.alloc(12))]);
const templates = Buffer.concat([ipfixMessage([ipfixSet(2, flows)]), ipfixMessage([ipfixSet(3, statistics)])]);
const some = Array.from({ length: 5 }, (_, i) => data(40 + i, { sequence: i }));
const all = Buffer.concat(some);

const streams: FormatSample[] = [
  sample('templates and flows', [first, all], 6, { preamble: templates }),
  sample('templates that are said again', [first, all, first, all], 12, { preamble: templates }),
  sample(
    'a template that is replaced',
    [first, ipfixMessage([ipfixSet(2, ipfixTemplate(256, [8]))], { sequence: 9 })],
    2,
    {
      preamble: Buffer.concat([
        ipfixMessage([ipfixSet(2, ipfixTemplate(256, [8]))], { sequence: 9 }),
        ipfixMessage([ipfixSet(3, statistics)], { sequence: 9 }),
      ]),
    },
  ),
  sample('a message that is not whole', [first, all.subarray(0, -2)], 5, { partial: true }),
  sample('half of the first message', [first.subarray(0, 17)], 0, { skipped: 17 }),
  sample('the largest message', [first, data(0xffff - 20)], 2),
  sample('bytes that are none', [first, Buffer.alloc(9, 0xff), all], 6, { skipped: 9 }),
  sample('goes on in mid-message', [all.subarray(5)], 4, { earlier: templates, skipped: 55, preamble: templates }),
  sample('NetFlow version 9', [Buffer.from([0, 9]), all], 0, { skipped: all.length + 2, refused: true }),
  sample('sets that do not fill the first message', [ipfixMessage([Buffer.from([1, 0, 0, 9, 1])])], 0, {
    skipped: 21,
    refused: true,
  }),
  sample('a message without sets', [first, ipfixMessage([]), all], 7),
];

const ids = fc.integer({ min: 256, max: 262 });
const elements = fc.array(fc.constantFrom(1, 2, 8, 0x8001), { minLength: 1, maxLength: 4 });
const set = fc.oneof(
  { weight: 5, arbitrary: fc.tuple(ids, fc.nat(80)).map(([id, length]) => ipfixSet(id, Buffer.alloc(length, 1))) },
  { weight: 2, arbitrary: fc.tuple(ids, elements).map(([id, list]) => ipfixSet(2, ipfixTemplate(id, list))) },
  { weight: 1, arbitrary: fc.tuple(ids, elements).map(([id, list]) => ipfixSet(3, ipfixTemplate(id, list, 1))) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(2, 3), fc.oneof(ids, fc.constantFrom(2, 3)))
      .map(([id, withdrawn]) => ipfixSet(id, ipfixTemplate(withdrawn, []))),
  },
);
const message = fc
  .record({
    sets: fc.array(set, { minLength: 1, maxLength: 4 }),
    sequence: fc.nat(9),
    domain: fc.nat(2),
    seconds: fc.integer({ min: 1, max: 9 }),
  })
  .map(({ sets, ...options }) => ipfixMessage(sets, options));
const generated = fc.array(message, { maxLength: 20 }).map((messages) => ({
  name: 'generated',
  bytes: Buffer.concat(messages),
  records: messages.length,
  items: messages.map((each) => each.toString('latin1')),
}));

/** Messages of one new template each, which the templates in force grow by. */
const growing = Array.from({ length: 1_000 }, (_, i) => ipfixMessage([ipfixSet(2, ipfixTemplate(256 + i, [8]))]));
const allWithdrawals = ipfixSet(2, ...Array.from({ length: 1_000 }, () => ipfixTemplate(2, [])));

testFormatContract(yafFormat, {
  streams,
  generated,
  hard: [
    {
      name: 'the largest messages',
      bytes: Buffer.concat([first, ...Array.from({ length: 8 }, () => data(0xffff - 20))]),
      pieceBytes: 1,
    },
    { name: 'garbage to search in', bytes: Buffer.alloc(MIB / 4, 'garbage'), pieceBytes: 1, earlier: templates },
    {
      name: 'withdrawals of everything while options templates are in force',
      bytes: Buffer.concat([
        ipfixMessage([ipfixSet(3, ...Array.from({ length: 4_000 }, (_, i) => ipfixTemplate(256 + i, [1], 1)))]),
        ...Array.from({ length: 300 }, () => ipfixMessage([allWithdrawals])),
      ]),
      pieceBytes: 4_096,
    },
  ],
});

describe('templates in force', () => {
  it('are the same when they are read from what was said of them', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 30 }), fc.nat(), (messages, at) => {
        const templatesAfter = (list: readonly Buffer[], before: Buffer): Buffer => {
          const known = new IpfixTemplates(before);
          for (const each of list) assert.ok(known.take(each));
          return known.messages;
        };
        const whole = templatesAfter(messages, Buffer.alloc(0));
        const half = messages.slice(0, at % (messages.length + 1));
        assert.deepEqual(templatesAfter(messages.slice(half.length), templatesAfter(half, Buffer.alloc(0))), whole);
        assert.deepEqual(yafFormat.preambleAfter?.(Buffer.alloc(0), whole), whole);
      }),
      { numRuns: 300 },
    );
  });

  it('are of one kind for each id, go when they are withdrawn, and are those of their own domain', () => {
    const known = new IpfixTemplates(Buffer.alloc(0));
    known.take(ipfixMessage([ipfixSet(2, flows)], { domain: 1 }));
    known.take(ipfixMessage([ipfixSet(2, flows)], { domain: 2 }));
    known.take(ipfixMessage([ipfixSet(3, ipfixTemplate(256, [1], 1))], { domain: 1 }));
    known.take(ipfixMessage([ipfixSet(2, ipfixTemplate(256, []))], { domain: 2 }));
    assert.deepEqual(known.messages, ipfixMessage([ipfixSet(3, ipfixTemplate(256, [1], 1))], { domain: 1 }));
    known.take(ipfixMessage([ipfixSet(3, ipfixTemplate(3, []))], { domain: 1 }));
    assert.equal(known.messages.length, 0);
  });

  it('fill as many messages as they need, and are refused beyond the limit of a preamble', () => {
    const long = Array.from({ length: 6 }, (_, i) =>
      ipfixMessage([ipfixSet(2, ipfixTemplate(256 + i, Array(10_000).fill(8)))]),
    );
    const fits = cutInPieces(yafFormat, long);
    assert.equal(fits.refused, false);
    assert.equal(fits.preamble.length, 6 * (16 + 4 + 4 + 40_000));
    const tooMany = cutInPieces(yafFormat, [
      ...long,
      ipfixMessage([ipfixSet(2, ipfixTemplate(300, Array(10_000).fill(8)))]),
    ]);
    assert.equal(tooMany.refused, true);
    const small = cutInPieces(yafFormat, growing);
    assert.equal(small.refused, false);
    assert.equal(small.preamble.length, 1_000 * 8 + 20);
  });
});
