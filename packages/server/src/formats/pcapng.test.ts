import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  block,
  interfaceBlock,
  packet,
  packetBlock,
  sampleFile,
  sectionBlock,
  statisticsBlock,
} from './captures-fixture.ts';
import { cutInPieces, type FormatSample, testFormatContract } from './contract.ts';
import { pcapngFormat } from './pcapng.ts';

const MIB = 1024 * 1024;

function plain(length: number, littleEndian = true): Buffer {
  return packetBlock({ seconds: 1, fraction: 2, data: Buffer.alloc(length, 0x45) }, littleEndian);
}

function sample(
  name: string,
  blocks: readonly Buffer[],
  records: number,
  other: Partial<FormatSample> = {},
): FormatSample {
  return { name, bytes: Buffer.concat(blocks), records, ...other };
}

const start = Buffer.concat([sectionBlock(), interfaceBlock()]);
const bigStart = Buffer.concat([sectionBlock(false), interfaceBlock(false)]);
const some = Array.from({ length: 5 }, (_, i) => plain(50 + i));
const all = Buffer.concat(some);
const soup = sampleFile('mixed_soup.pcapng');
const soupStart = soup.subarray(0, 0x6c + soup.readUInt32LE(0x6c + 4));
const resolution = block(4, Buffer.alloc(8));
const simple = block(3, Buffer.alloc(12));
const oldPacket = block(2, Buffer.alloc(20));
const custom = block(0x0bad, Buffer.alloc(8));
const broken = Buffer.from(plain(40));
broken.writeUInt32LE(40, broken.length - 4);

const streams: FormatSample[] = [
  sample('mixed_soup.pcapng', [soup], 47, { preamble: soupStart }),
  sample('all kinds of blocks', [start, resolution, ...some, simple, oldPacket, custom, statisticsBlock()], 7, {
    items: [...some, simple, oldPacket].map((each) => each.toString('latin1')),
    preamble: start,
  }),
  sample('big-endian', [bigStart, plain(9, false), statisticsBlock(false)], 1, { preamble: bigStart }),
  sample('interfaces that come later', [start, ...some, interfaceBlock(), plain(1), interfaceBlock(), plain(2)], 7, {
    preamble: Buffer.concat([start, interfaceBlock(), interfaceBlock()]),
  }),
  sample(
    'sections of either byte order',
    [start, ...some, bigStart, plain(256, false), plain(3, false), start, plain(4)],
    8,
    {
      preamble: start,
    },
  ),
  sample('interfaces at the end', [start, plain(1), interfaceBlock()], 1),
  sample('a section header and interfaces alone', [start], 0, { skipped: start.length }),
  sample('half a section header', [start.subarray(0, 20)], 0, { skipped: 20 }),
  sample('a block that is not whole', [start, all.subarray(0, -9)], 4, { partial: true }),
  sample('an interface and half a block', [start, all, interfaceBlock(), all.subarray(0, 20)], 5, { partial: true }),
  sample('a large packet', [start, plain(MIB), plain(5)], 2),
  sample('a block over the limit', [start, plain(1), plain(MIB + 70_000), all], 6, { skipped: MIB + 70_000 + 32 }),
  sample('a block whose lengths differ', [start, plain(1), broken, all], 6, { skipped: broken.length }),
  sample('bytes that are none', [start, plain(1), Buffer.alloc(13, 0xff), all], 6, { skipped: 13 }),
  sample('goes on in mid-block', [all.subarray(10)], 4, { earlier: start, skipped: (some[0]?.length ?? 0) - 10 }),
  sample(
    'goes on, and has nothing but a section and its interfaces',
    [plain(400).subarray(0, 12), start, interfaceBlock()],
    0,
    {
      earlier: start,
      skipped: 12 + start.length + interfaceBlock().length,
    },
  ),
  sample('goes on with a new section', [start, all], 5, { earlier: bigStart }),
  sample('pcap', [sampleFile('mixed_soup.pcap')], 0, { skipped: 3731, refused: true }),
  sample('a packet before any section', [plain(4)], 0, { skipped: plain(4).length, refused: true }),
  sample('a section of a later version', [sectionBlock().fill(2, 12, 13)], 0, { skipped: 28, refused: true }),
  sample(
    'interfaces over the limit of a preamble',
    [start, plain(1), ...Array(5).fill(interfaceBlock(true, Buffer.alloc(60_000))), plain(2)],
    1,
    {
      refused: true,
      skipped: 60_020 + plain(2).length,
    },
  ),
];

const generated = fc
  .array(
    fc.record({
      littleEndian: fc.boolean(),
      blocks: fc.array(
        fc.oneof(
          { weight: 6, arbitrary: packet.map((each) => ({ each })) },
          { weight: 1, arbitrary: fc.constantFrom('interface' as const, 'statistics' as const) },
        ),
        { minLength: 1, maxLength: 12 },
      ),
    }),
    { minLength: 1, maxLength: 3 },
  )
  .map((sections) => {
    const blocks: Buffer[] = [];
    const items: string[] = [];
    let hasOthers = false;
    let preamble = Buffer.alloc(0);
    for (const { littleEndian, blocks: inside } of sections) {
      preamble = Buffer.concat([sectionBlock(littleEndian), interfaceBlock(littleEndian)]);
      blocks.push(preamble);
      for (const each of inside) {
        if (each === 'interface') {
          const written = interfaceBlock(littleEndian, Buffer.alloc(4));
          preamble = Buffer.concat([preamble, written]);
          blocks.push(written);
        } else if (each === 'statistics') {
          blocks.push(statisticsBlock(littleEndian));
          hasOthers = true;
        } else {
          const written = packetBlock(each.each, littleEndian);
          blocks.push(written);
          items.push(written.toString('latin1'));
        }
      }
    }
    const bytes = Buffer.concat(blocks);
    const isNothing = items.length === 0 && !hasOthers;
    return {
      name: 'generated',
      bytes,
      records: items.length,
      items,
      ...(isNothing ? { skipped: bytes.length } : { preamble }),
    };
  });

testFormatContract(pcapngFormat, {
  streams,
  generated,
  hard: [
    { name: 'a block of the largest size', bytes: Buffer.concat([start, plain(MIB), plain(3)]), pieceBytes: 1 },
    { name: 'garbage to search in', bytes: Buffer.alloc(MIB / 4, 'garbage'), pieceBytes: 1, earlier: start },
    {
      name: 'interfaces and packets in turn',
      bytes: Buffer.concat([start, ...Array.from({ length: 10_000 }, () => [interfaceBlock(), plain(1)]).flat()]),
      pieceBytes: 56,
    },
    { name: 'section headers alone', bytes: Buffer.concat(Array(40_000).fill(sectionBlock())), pieceBytes: 28 },
  ],
});

test('a file that begins behind interfaces of several sections has those of its own section', () => {
  const cut = cutInPieces(pcapngFormat, [
    start,
    plain(1),
    bigStart,
    interfaceBlock(false),
    plain(2, false),
    plain(3, false),
  ]);
  assert.deepEqual(cut.runs.at(-1)?.preamble, Buffer.concat([bigStart, interfaceBlock(false)]));
});
