import { deepStrictEqual } from 'node:assert/strict';
import type { FuzzTarget, Random } from '@d4ts/testkit';
import {
  block,
  interfaceBlock,
  ipfixMessage,
  ipfixSet,
  ipfixTemplate,
  type Packet,
  packetBlock,
  pcapHeader,
  pcapPacket,
  sampleFile,
  sectionBlock,
  statisticsBlock,
} from './captures-fixture.ts';
import { comparable, cutInPieces } from './contract.ts';
import { linesFormat } from './lines.ts';
import type { Format } from './port.ts';
import { formatFor } from './registry.ts';

/** Every call of a cutter is checked; one stream in so many is compared with itself in one piece, which takes longer. */
const COMPARED = 8;
/** Samples are cut to this length: short inputs find more in the same time. */
const SAMPLE_BYTES = 300;

function packetOf(random: Random): Packet {
  const data = Buffer.alloc(random.of([1, 14, 60]), random.below(256));
  return { seconds: 1_700_000_000 + random.below(3600), fraction: random.below(1_000_000), data };
}

function several(random: Random, one: () => Buffer): Buffer {
  return Buffer.concat(Array.from({ length: random.below(5) }, one));
}

function pcap(random: Random): Buffer {
  const options = { littleEndian: random.below(2) === 0, nanoseconds: random.below(2) === 0 };
  return Buffer.concat([pcapHeader(options), several(random, () => pcapPacket(packetOf(random), options))]);
}

function pcapng(random: Random): Buffer {
  const littleEndian = random.below(2) === 0;
  const blocks = several(random, () =>
    random.of([
      () => packetBlock(packetOf(random), littleEndian),
      () => statisticsBlock(littleEndian),
      () => interfaceBlock(littleEndian),
      () => sectionBlock(littleEndian),
      () => block(random.below(12), Buffer.alloc(random.below(20)), littleEndian),
    ])(),
  );
  return Buffer.concat([sectionBlock(littleEndian), interfaceBlock(littleEndian), blocks]);
}

function ipfix(random: Random): Buffer {
  return several(random, () =>
    ipfixMessage([
      ipfixSet(2, ipfixTemplate(256 + random.below(3), random.of([[], [8, 12], [8, 0x8001]]))),
      ipfixSet(256 + random.below(3), Buffer.alloc(random.below(40), random.below(256))),
    ]),
  );
}

const TEXT = [
  '[1.2.3.4] ',
  '\n',
  '\n\n',
  '\t',
  '\r\n',
  '{"a":1}',
  '{',
  '}',
  '"',
  '\\"',
  'aGVsbG8=',
  '2026-11-22 10:00:00',
  '||',
];
const WORDS = [...TEXT.map((text) => Buffer.from(text)), pcapHeader(), sectionBlock(), interfaceBlock()];

function text(random: Random): Buffer {
  return Buffer.from(Array.from({ length: random.below(14) }, () => random.of(TEXT)).join(''));
}

const sample = (name: string): Buffer => sampleFile(name).subarray(0, SAMPLE_BYTES);

function target(
  name: string,
  format: Format,
  generate: (random: Random) => Buffer,
  corpus: readonly Buffer[] = [Buffer.from('one\ntwo\n')],
): FuzzTarget {
  const run = (input: Buffer, random: Random): void => {
    const cut = cutInPieces(format, random.split(input));
    if (random.below(COMPARED) > 0) return;
    deepStrictEqual(comparable(format, cut), comparable(format, cutInPieces(format, [input])));
  };
  return { name: `cutter-${name}`, corpus, words: WORDS, generate, run };
}

export default [
  target('pcap', formatFor('1'), pcap, [sample('ipv6.pcap'), sample('ipv6-bigendian.pcap'), sample('truncated.pcap')]),
  target('lines', formatFor('3'), text, [Buffer.from('a line\n\nanother\n')]),
  target('short-lines', linesFormat(16), text),
  target('dnscap', formatFor('4'), text, [sample('dnscap.txt')]),
  target('pcapng', formatFor('5'), pcapng, [sample('mixed_soup.pcapng')]),
  target('ndjson', formatFor('6'), text, [sample('suricata-eve.ndjson')]),
  target('yaf', formatFor('7'), ipfix, [ipfixMessage([ipfixSet(2, ipfixTemplate(256, [8, 12]))])]),
  target('passivedns', formatFor('8'), text, [sample('passivedns.txt')]),
  target('ja3-jl', formatFor('ja3-jl'), text, [sample('ja3-jl.ndjson')]),
  target('filewatcher', formatFor('filewatcher'), text),
  target('filewatcherjson', formatFor('filewatcherjson'), text),
  target('maltrail', formatFor('maltrail'), text),
  target('raw', formatFor('99'), text),
];
