import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { type CaptureOptions, packet, pcapHeader, pcapPacket, sampleFile } from './captures-fixture.ts';
import { cutInPieces, type FormatSample, testFormatContract } from './contract.ts';
import { pcapFormat } from './pcap.ts';

const MIB = 1024 * 1024;

/** A capture of packets, of one kind and byte order. */
function capture(packets: readonly Buffer[], options: CaptureOptions = {}): Buffer {
  return Buffer.concat([pcapHeader(options), ...packets]);
}

function plain(length: number, options: CaptureOptions = {}, seconds = 1_700_000_000): Buffer {
  return pcapPacket({ seconds, fraction: 1, data: Buffer.alloc(length, 0x45) }, options);
}

/** The packets of a pcap file, by a plain reading of it. */
function packetsIn(file: Buffer): string[] {
  const packets: string[] = [];
  const isLittle = file[0] !== 0xa1;
  for (let at = 24; at < file.length; ) {
    const captured = isLittle ? file.readUInt32LE(at + 8) : file.readUInt32BE(at + 8);
    packets.push(file.toString('latin1', at, at + 16 + captured));
    at += 16 + captured;
  }
  return packets;
}

function sample(
  name: string,
  bytes: Buffer,
  packets: readonly Buffer[],
  other: Partial<FormatSample> = {},
): FormatSample {
  const items = packets.map((each) => each.toString('latin1'));
  return { name, bytes, records: items.length, items, ...other };
}

const files = [
  'dlt_sll.pcap',
  'dns_responses-nsec.pcap',
  'dns_responses.pcap',
  'ipv6-bigendian.pcap',
  'ipv6.pcap',
  'mixed_soup.pcap',
  'truncated.pcap',
].map((name) => {
  const bytes = sampleFile(name);
  return sample(
    name,
    bytes,
    packetsIn(bytes).map((each) => Buffer.from(each, 'latin1')),
    { preamble: bytes.subarray(0, 24) },
  );
});

const header = pcapHeader();
const some = Array.from({ length: 6 }, (_, i) => plain(60 + i, {}, 1_700_000_000 + i));
const all = Buffer.concat(some);
const nested = capture([plain(40), plain(41)]);
const large = pcapHeader({ snaplen: 2 * MIB });

const streams: FormatSample[] = [
  ...files,
  sample('a header alone', header, [], { skipped: 24 }),
  sample('half a header', header.subarray(0, 11), [], { skipped: 11 }),
  sample('a packet that is not whole', Buffer.concat([header, all.subarray(0, -3)]), some.slice(0, -1), {
    partial: true,
  }),
  sample('the first packet is not whole', Buffer.concat([header, all.subarray(0, 30)]), [], { partial: true }),
  sample('only a part of a packet header at the end', Buffer.concat([header, all, all.subarray(0, 7)]), some, {
    partial: true,
  }),
  sample('an empty packet', capture([plain(0), plain(5)]), [plain(0), plain(5)]),
  sample('a packet that holds a capture', capture([pcapPacket({ seconds: 1, fraction: 1, data: nested }), plain(3)]), [
    pcapPacket({ seconds: 1, fraction: 1, data: nested }),
    plain(3),
  ]),
  sample('packets of the largest size', Buffer.concat([large, plain(MIB), plain(MIB), plain(3)]), [
    plain(MIB),
    plain(MIB),
    plain(3),
  ]),
  sample('a large packet under a small snaplen', Buffer.concat([header, plain(262_144)]), [plain(262_144)]),
  sample('a packet over the limit', Buffer.concat([header, plain(9), plain(262_145), all]), [plain(9), ...some], {
    skipped: 262_145 + 16,
  }),
  sample('a packet over any limit', Buffer.concat([large, plain(9), plain(MIB + 1), all]), [plain(9), ...some], {
    skipped: MIB + 1 + 16,
  }),
  sample(
    'bytes that are none between packets',
    Buffer.concat([header, plain(9), Buffer.alloc(17, 0xff), all]),
    [plain(9), ...some],
    {
      skipped: 17,
    },
  ),
  sample('captures one after another', Buffer.concat([header, all, header, all]), [...some, ...some], { skipped: 24 }),
  sample('then one of another link type', Buffer.concat([header, all, pcapHeader({ linkType: 113 }), all]), some, {
    skipped: 24 + all.length,
    refused: true,
  }),
  sample('text', Buffer.from('not a capture, but a line of text\n'), [], { skipped: 34, refused: true }),
  sample('pcapng', sampleFile('mixed_soup.pcapng'), [], { skipped: 4680, refused: true }),
  sample('a modified header', Buffer.concat([Buffer.from('34cdb2a1', 'hex'), header.subarray(4), all]), [], {
    skipped: 24 + all.length,
    refused: true,
  }),
  sample('goes on in mid-packet', all.subarray(33), some.slice(1), { earlier: header, skipped: 43 }),
  sample('goes on at a packet', all, some, { earlier: header, preamble: header }),
  sample('goes on with a new header', Buffer.concat([pcapHeader({ snaplen: 96 }), all]), some, {
    earlier: header,
    preamble: pcapHeader({ snaplen: 96 }),
  }),
  sample('goes on with two packets only', Buffer.concat(some.slice(0, 2)), [], { earlier: header, skipped: 153 }),
  sample('goes on after zeros', Buffer.concat([Buffer.alloc(500), all]), some, { earlier: header, skipped: 500 }),
  sample('goes on, but the earlier one was no capture', all, [], {
    earlier: Buffer.alloc(24),
    skipped: all.length,
    refused: true,
  }),
];

const generated = fc
  .record({
    options: fc.record({ littleEndian: fc.boolean(), nanoseconds: fc.boolean() }),
    packets: fc.array(packet, { maxLength: 30 }),
  })
  .map(({ options, packets }) => {
    const written = packets.map((each) => pcapPacket(each, options));
    const bytes = capture(written, options);
    return sample(
      'generated',
      bytes,
      written,
      packets.length === 0 ? { skipped: 24 } : { preamble: bytes.subarray(0, 24) },
    );
  });

/** Heads that look like a packet's but lead to nothing, so that each is waited for. */
function decoys(count: number): Buffer {
  const head = pcapPacket({ seconds: 1_700_000_000, fraction: 1, data: Buffer.alloc(0), original: 262_144 });
  head.writeUInt32LE(262_000, 8);
  return Buffer.concat(Array.from({ length: count }, () => head));
}

/** Three packets and a byte, again and again: boundaries are found and lost. */
const lostAndFound = Buffer.concat(
  Array.from({ length: 5_000 }, () => Buffer.concat([plain(1), plain(1), plain(1), Buffer.from([0xff])])),
);

testFormatContract(pcapFormat, {
  streams,
  generated,
  hard: [
    { name: 'a packet of the largest size', bytes: Buffer.concat([large, plain(MIB), plain(3)]), pieceBytes: 1 },
    { name: 'garbage to search in', bytes: Buffer.alloc(MIB / 4, 'garbage'), pieceBytes: 1, earlier: header },
    { name: 'decoys', bytes: decoys(60_000), pieceBytes: 1, earlier: header },
    { name: 'decoys in one piece', bytes: decoys(60_000), pieceBytes: MIB, earlier: header },
    {
      name: 'boundaries found and lost behind a decoy',
      bytes: Buffer.concat([header, ...some, Buffer.alloc(4, 0xff), decoys(1), lostAndFound]),
      pieceBytes: 100,
    },
  ],
});

test("the packets of the Go client's and the C client's recordings", () => {
  for (const [name, bytes] of [
    ['go-t1-pcap', 1454],
    ['c-t1-pcap', 1516],
  ] as const) {
    const recording = readFileSync(new URL(`../../../../test/data/wire-vectors/${name}.d4`, import.meta.url));
    assert.equal(recording.length, bytes);
    const cut = cutInPieces(pcapFormat, [recording.subarray(62, 62 + recording.readUInt32LE(58))]);
    assert.deepEqual([cut.partial, cut.refused, cut.ranges], [false, false, [1392]]);
    assert.equal(
      cut.runs.reduce((sum, { records }) => sum + records, 0),
      12,
    );
  }
});

test('the preamble is nothing until the header has been reported, and the header from then on', () => {
  const cutter = pcapFormat.newCutter();
  const seen: string[] = [];
  const sink = {
    records: (_: unknown, bytes: number) =>
      void seen.push(`${bytes} bytes after a preamble of ${cutter.preamble.length}`),
    cut: () => undefined,
    skipped: () => undefined,
  };
  cutter.push(header, sink);
  assert.equal(cutter.preamble.length, 0);
  assert.equal(cutter.pendingBytes, 24);
  cutter.push(plain(4), sink);
  assert.deepEqual(cutter.preamble, header);
  cutter.push(plain(5), sink);
  assert.deepEqual(seen, ['44 bytes after a preamble of 0', '21 bytes after a preamble of 24']);
});
