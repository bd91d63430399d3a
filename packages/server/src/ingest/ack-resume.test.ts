import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { decideResume } from './ack-resume.ts';

const open = (offset: number, crc: number | undefined = 1) => ({ kind: 'open', offset, crc }) as const;
const ended = (total: number) => ({ kind: 'ended', total }) as const;

suite('where a stream goes on (rule 41)', () => {
  const cases: [string, Parameters<typeof decideResume>, ReturnType<typeof decideResume>][] = [
    ['new', [undefined, { from: 0, end: 0, crc: 0 }], { kind: 'resume', offset: 0, lost: 0 }],
    ['new to the server', [undefined, { from: 5, end: 9, crc: 1 }], { kind: 'resume', offset: 5, lost: 5 }],
    ['the ACK came', [open(5), { from: 5, end: 9, crc: 1 }], { kind: 'resume', offset: 5, lost: 0 }],
    ['the ACK did not come', [open(7), { from: 5, end: 9, crc: 2 }], { kind: 'resume', offset: 7, lost: 0 }],
    ['all of it is there', [open(9), { from: 5, end: 9, crc: 2 }], { kind: 'resume', offset: 9, lost: 0 }],
    ['the server lost some', [open(3), { from: 5, end: 9, crc: 2 }], { kind: 'resume', offset: 5, lost: 2 }],
    ['the server has more', [open(10), { from: 5, end: 9, crc: 2 }], { kind: 'refuse', code: 'stream-ahead' }],
    ['another stream', [open(5), { from: 5, end: 9, crc: 2 }], { kind: 'refuse', code: 'stream-forked' }],
    [
      'a CRC that is not known',
      [
        { ...open(5), crc: undefined },
        { from: 5, end: 9, crc: 2 },
      ],
      { kind: 'resume', offset: 5, lost: 0 },
    ],
    ['the ACK of END did not come', [ended(9), { from: 5, end: 9, crc: 2 }], { kind: 'ended', offset: 9 }],
    ['more behind the end', [ended(8), { from: 5, end: 9, crc: 2 }], { kind: 'refuse', code: 'stream-ended' }],
    ['less than the end', [ended(10), { from: 5, end: 9, crc: 2 }], { kind: 'refuse', code: 'stream-ahead' }],
  ];
  for (const [name, args, expected] of cases) {
    test(name, () => assert.deepEqual(decideResume(...args), expected));
  }

  test('the client is never asked for what it has not, and nothing it has is left out', () => {
    const offset = fc.nat(20);
    fc.assert(
      fc.property(offset, offset, offset, (at, from, more) => {
        const decision = decideResume(open(at), { from, end: from + more, crc: 1 });
        if (decision.kind !== 'resume') return assert.ok(at > from + more);
        assert.ok(decision.offset >= from && decision.offset <= from + more);
        assert.equal(decision.offset - decision.lost, at);
      }),
    );
  });
});
