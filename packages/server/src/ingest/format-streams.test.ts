import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { parseSensorId, type SensorId } from '@d4ts/protocol';
import { temporaryFolder } from '@d4ts/testkit';
import fc from 'fast-check';
import {
  interfaceBlock,
  ipfixMessage,
  ipfixSet,
  ipfixTemplate,
  packetBlock,
  pcapHeader,
  pcapPacket,
  sampleFile,
  sectionBlock,
} from '../formats/captures-fixture.ts';
import { filewatcherFormat } from '../formats/filewatcher.ts';
import { type LinesOptions, linesFormat } from '../formats/lines.ts';
import { formatFor } from '../formats/registry.ts';
import { ENTRY_FLAG, ENTRY_KIND, type Entry } from '../journal/port.ts';
import { type IngestFixture, peerClosed, startIngestFixture, until } from './ingest-fixture.ts';

// Streams of every format through the listener into the journal.

/** What the journal holds of a stream, checked against what was sent (docs/journal.md, rules 4, 5, 31). */
interface Kept {
  readonly bytes: Buffer;
  /** What is left of a record at the end, which is the end of `bytes`. */
  readonly partial: Buffer;
  readonly gaps: readonly { readonly from: number; readonly to: number; readonly why: string }[];
  readonly records: number;
  readonly preamble: Buffer;
  readonly flags: readonly number[];
}

function checkStream(entries: readonly Entry[], sent: Buffer): Kept {
  const data: Buffer[] = [];
  const partial: Buffer[] = [];
  const gaps: { from: number; to: number; why: string }[] = [];
  const flags: number[] = [];
  let position = 0;
  let records = 0;
  for (const entry of entries) {
    if (entry.kind === ENTRY_KIND.gap) {
      const gap = JSON.parse(entry.bytes.toString()) as { from: number; to: number; why: string };
      assert.deepEqual([gap.from, gap.to], [position, entry.offset]);
      assert.ok(gap.to > gap.from);
      gaps.push(gap);
      position = gap.to;
    } else if (entry.kind === ENTRY_KIND.data) {
      assert.equal(entry.offset, position);
      position += entry.bytes.length;
      assert.deepEqual(entry.bytes, sent.subarray(entry.offset, position));
      data.push(entry.bytes);
      if ((entry.flags & ENTRY_FLAG.partial) !== 0) partial.push(entry.bytes);
      flags.push(entry.flags);
    }
    records += entry.records;
  }
  if (entries.length > 0) {
    assert.equal(entries.at(-1)?.kind, ENTRY_KIND.close);
    assert.equal(position, sent.length, 'what is kept and what is left out are the whole stream');
  }
  const preamble = entries[0]?.stream.preamble ?? Buffer.alloc(0);
  return { bytes: Buffer.concat(data), partial: Buffer.concat(partial), gaps, records, preamble, flags };
}

/** A sensor that sends streams, each over a connection of its own. */
class SendingSensor {
  readonly fixture: IngestFixture;
  readonly id: SensorId;

  constructor(fixture: IngestFixture, id: SensorId) {
    this.fixture = fixture;
    this.id = id;
  }

  /** Sends the pieces as payloads of frames, ends, and gives what the journal has of that stream. */
  async send(topic: string, pieces: readonly Buffer[], metaHeader?: string): Promise<Kept> {
    const before = (await this.fixture.entries(topic)).length;
    const socket = await this.fixture.connect();
    const encoder = this.fixture.encoder(this.id);
    const type = metaHeader === undefined ? Number(topic) : 254;
    const frames = pieces.map((piece) => encoder.encode(type, piece, 1));
    const first = metaHeader === undefined ? [] : [encoder.encode(2, Buffer.from(metaHeader), 1)];
    socket.end(Buffer.concat([...first, ...frames]));
    await peerClosed(socket);
    const entries = (await this.fixture.entries(topic)).slice(before);
    assert.ok(entries.every((entry) => entry.stream.sensor === this.id));
    return checkStream(entries, Buffer.concat(pieces));
  }

  get activity() {
    return this.fixture.registry.activity.sensor(this.id);
  }

  get lines() {
    return this.fixture.logged.filter(({ sensor }) => sensor === this.id).map(({ msg, why }) => `${msg}: ${why}`);
  }
}

async function newSensor(fixture: IngestFixture): Promise<SendingSensor> {
  return new SendingSensor(fixture, await fixture.addSensor());
}

function split(bytes: Buffer, at: readonly number[]): Buffer[] {
  const edges = [0, ...at.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return edges.slice(1).map((edge, i) => bytes.subarray(edges[i], edge));
}

function singly(bytes: Buffer): Buffer[] {
  return [...bytes].map((byte) => Buffer.from([byte]));
}

function packetsOf(...seconds: readonly number[]): Buffer[] {
  return seconds.map((second) => pcapPacket({ seconds: second, fraction: 5, data: Buffer.alloc(60 + second, second) }));
}

const SAMPLES: readonly {
  readonly topic: string;
  readonly name: string;
  readonly records: number;
  readonly metaHeader?: string;
}[] = [
  { topic: '1', name: 'dlt_sll.pcap', records: 1 },
  { topic: '1', name: 'dns_responses.pcap', records: 2 },
  { topic: '1', name: 'dns_responses-nsec.pcap', records: 2 },
  { topic: '1', name: 'ipv6.pcap', records: 3 },
  { topic: '1', name: 'ipv6-bigendian.pcap', records: 3 },
  { topic: '1', name: 'mixed_soup.pcap', records: 47 },
  { topic: '1', name: 'truncated.pcap', records: 10 },
  { topic: '4', name: 'dnscap.txt', records: 8 },
  { topic: '5', name: 'mixed_soup.pcapng', records: 47 },
  { topic: '8', name: 'passivedns.txt', records: 5 },
  { topic: 'ja3-jl', name: 'ja3-jl.ndjson', records: 3, metaHeader: '{"type":"ja3-jl"}' },
  { topic: 'suricata-eve', name: 'suricata-eve.ndjson', records: 3, metaHeader: '{"type":"suricata-eve"}' },
];

describe('the samples, whole, byte by byte and in random pieces', () => {
  let fixture: IngestFixture;
  before(async () => {
    fixture = await startIngestFixture();
  });
  after(() => fixture[Symbol.asyncDispose]());

  for (const { topic, name, records, metaHeader } of SAMPLES) {
    test(`${name} as ${topic}`, async () => {
      const sensor = await newSensor(fixture);
      const bytes = sampleFile(name);
      const ways = [
        [bytes],
        singly(bytes),
        ...fc.sample(fc.array(fc.nat(), { maxLength: 20 }), { numRuns: 5, seed: 7 }).map((at) => split(bytes, at)),
      ];
      for (const pieces of ways) {
        const kept = await sensor.send(topic, pieces, metaHeader);
        assert.deepEqual(kept.bytes, bytes);
        assert.deepEqual([kept.gaps, kept.partial.length, kept.records], [[], 0, records]);
        assert.equal(kept.preamble.length, 0, 'a header at the start is data');
      }
      const { records: counted, skippedBytes, cutRecords } = sensor.activity.topics[topic] ?? assert.fail();
      assert.deepEqual([counted, skippedBytes, cutRecords], [records * ways.length, 0, 0]);
    });
  }

  test('recordings of the clients', async () => {
    const uuid = parseSensorId('6f8a3b52-1c4d-4e7f-9a21-5d0c7be41f93');
    await fixture.addSensor({ uuid, key: 'private key to change' });
    for (const [name, topic] of [
      ['c-t1-pcap', '1'],
      ['go-t1-pcap', '1'],
      ['c-t3-4096-pipe', '3'],
      ['go-t254-maltrail', 'maltrail'],
    ] as const) {
      const wire = await readFile(new URL(`../../../../test/data/wire-vectors/${name}.d4`, import.meta.url));
      const payloads: Buffer[] = [];
      for (let at = 0; at < wire.length; ) {
        const size = wire.readUInt32LE(at + 58);
        if (wire[at + 1] !== 2) payloads.push(wire.subarray(at + 62, at + 62 + size));
        at += 62 + size;
      }
      const before = (await fixture.entries(topic)).length;
      const socket = await fixture.connect();
      socket.end(wire);
      await peerClosed(socket);
      const kept = checkStream((await fixture.entries(topic)).slice(before), Buffer.concat(payloads));
      assert.deepEqual(kept.gaps, []);
      assert.ok(kept.records > 0);
    }
  });
});

describe('a capture', () => {
  const header = pcapHeader();
  const packets = packetsOf(1, 2, 3, 4, 5, 6, 7, 8);
  const capture = Buffer.concat([header, ...packets]);

  test('has its header as data, and what is left of a packet as a rest of its own', async () => {
    await using fixture = await startIngestFixture();
    const sensor = await newSensor(fixture);
    const kept = await sensor.send('1', split(capture.subarray(0, -10), [5, 30, 200]));
    assert.deepEqual([kept.gaps, kept.records, kept.preamble.length], [[], 7, 0]);
    assert.deepEqual(kept.partial, packets[7]?.subarray(0, -10));
    const next = await sensor.send('1', [capture]);
    assert.ok(
      next.flags.every((flags) => flags === 0),
      'a packet is not continued by a later stream',
    );
  });

  test('goes on without its header after a reconnect, also after a restart of the server', async (t) => {
    const folder = temporaryFolder(t);
    const middle = Buffer.concat(packets).subarray(20);
    const found = middle.indexOf(packets[1] ?? '');
    let id: SensorId;
    {
      await using fixture = await startIngestFixture({ folder });
      const sensor = await newSensor(fixture);
      id = sensor.id;
      await sensor.send('1', [capture]);
      const kept = await sensor.send('1', split(middle, [3, 50, 90, 200]));
      assert.deepEqual(kept.gaps, [{ from: 0, to: found, why: 'the stream goes on without its beginning' }]);
      assert.deepEqual([kept.preamble, kept.bytes, kept.records], [header, middle.subarray(found), 7]);
      assert.equal(sensor.activity.topics['1']?.skippedBytes, found);
      assert.deepEqual(
        sensor.lines.filter((line) => line.includes('left out')),
        [
          'bytes of a stream are left out: the stream goes on without its beginning',
          'so many bytes of a stream were left out: the stream goes on without its beginning',
        ],
      );
    }
    await using fixture = await startIngestFixture({ folder });
    const sensor = new SendingSensor(fixture, id);
    const kept = await sensor.send('1', [middle]);
    assert.deepEqual([kept.preamble, kept.bytes, kept.records], [header, middle.subarray(found), 7]);
    assert.equal(sensor.activity.topics['1']?.skippedBytes, 2 * found);

    const other = await newSensor(fixture);
    assert.equal((await other.send('1', [middle])).bytes.length, 0, "another sensor's header is not taken");
    await fixture.registry.sensors.remove(id, { name: 'test' });
    await fixture.addSensor({ uuid: id });
    assert.equal((await sensor.send('1', [middle])).bytes.length, 0, 'a sensor that was removed is a new one');
  });

  test('with damage in the middle is found again, and the gap is in the journal', async () => {
    await using fixture = await startIngestFixture();
    const sensor = await newSensor(fixture);
    const damaged = Buffer.concat([header, ...packets.slice(0, 2), Buffer.alloc(333, 0xff), ...packets.slice(2)]);
    for (const pieces of [[damaged], split(damaged, [100, 300, 400, 500]), singly(damaged)]) {
      const kept = await sensor.send('1', pieces);
      const from = header.length + (packets[0]?.length ?? 0) + (packets[1]?.length ?? 0);
      assert.deepEqual(kept.gaps, [{ from, to: from + 333, why: 'no record begins where one should' }]);
      assert.deepEqual([kept.bytes, kept.records], [capture, 8]);
    }
    assert.equal(sensor.activity.topics['1']?.skippedBytes, 3 * 333);
  });

  test('that is none is refused: verified, shown at the sensor, and nothing is kept', async () => {
    await using fixture = await startIngestFixture();
    const sensor = await newSensor(fixture);
    const text = Buffer.from('this is no capture but a line of some log\n');
    assert.equal((await sensor.send('1', [text])).bytes.length, 0);
    assert.equal(sensor.activity.refusals['not-the-format']?.count, 1);
    assert.equal(sensor.activity.topics['1']?.skippedBytes, text.length);
    assert.deepEqual(await fixture.entries('1'), []);
  });
});

describe('what a reader must have seen', () => {
  const yaf = [
    ipfixMessage([ipfixSet(2, ipfixTemplate(256, [8, 12]))], { sequence: 0 }),
    ...Array.from({ length: 5 }, (_, i) => ipfixMessage([ipfixSet(256, Buffer.alloc(8, i))], { sequence: i })),
  ];
  const pcapng = [
    Buffer.concat([sectionBlock(), interfaceBlock()]),
    ...[1, 2, 3, 4, 5].map((seconds) => packetBlock({ seconds, fraction: 0, data: Buffer.alloc(40, seconds) })),
  ];
  const streams: readonly [string, readonly Buffer[]][] = [
    ['1', [pcapHeader(), ...packetsOf(1, 2, 3, 4, 5)]],
    ['5', pcapng],
    ['7', yaf],
  ];
  for (const [topic, pieces] of streams) {
    test(`is defined in each segment of a ${formatFor(topic).name} stream, also after a cut`, async () => {
      // Each append is a segment of its own.
      await using fixture = await startIngestFixture({ segmentBytes: 1 });
      const sensor = await newSensor(fixture);
      const encoder = fixture.encoder(sensor.id);
      const socket = await fixture.connect();
      const log = await fixture.journal.open(topic);
      const [header = assert.fail(), first = assert.fail(), ...others] = pieces;
      socket.write(encoder.encode(Number(topic), Buffer.concat([header, first]), 1));
      await until(async () => (await fixture.entries(topic)).length === 1);
      for (const [i, piece] of others.entries()) {
        const [{ stream } = assert.fail()] = await fixture.entries(topic);
        // Whoever asks for it knows the stream as it was.
        await log.cut(stream);
        socket.write(encoder.encode(Number(topic), piece, 1));
        await until(async () => (await fixture.entries(topic)).length === 3 + 2 * i);
      }
      socket.end();
      await peerClosed(socket);
      const entries = await fixture.entries(topic);
      assert.deepEqual(checkStream(entries, Buffer.concat(pieces)).bytes, Buffer.concat(pieces));
      const data = entries.filter(({ kind }) => kind === ENTRY_KIND.data);
      const preambles = data.map(({ stream }) => stream.preamble);
      const expected = formatFor(topic).preambleAfter?.(Buffer.alloc(0), header);
      assert.equal(log.stats().segments, entries.length);
      assert.deepEqual(preambles, [Buffer.alloc(0), ...others.map(() => expected)]);
    });
  }
});

test('a line over the limit that is left out leaves a gap; a cut one is counted', async () => {
  const options: Partial<LinesOptions> = { name: 'short', archive: filewatcherFormat.archive };
  const skipping = linesFormat(100, { ...options, overLimit: 'skip' });
  const cutting = linesFormat(100, { ...options, overLimit: 'cut' });
  await using fixture = await startIngestFixture({
    formats: (topic) => (topic === 'filewatcher' ? skipping : topic === '3' ? cutting : formatFor(topic)),
  });
  const sensor = await newSensor(fixture);
  const text = Buffer.from(`one\n${'x'.repeat(1_000)}\ntwo\n${'y'.repeat(150)}`);
  const kept = await sensor.send('filewatcher', split(text, [2, 50, 300, 700, 1_010]), '{"type":"filewatcher"}');
  assert.equal(kept.bytes.toString(), 'one\ntwo\n');
  assert.deepEqual(
    kept.gaps.map(({ from, to }) => [from, to]),
    [
      [4, 1_005],
      [1_009, 1_159],
    ],
  );
  const cut = await sensor.send('3', [text]);
  assert.deepEqual([cut.bytes, cut.gaps], [text, []]);
  const { topics } = sensor.activity;
  assert.deepEqual([topics.filewatcher?.skippedBytes, topics.filewatcher?.cutRecords], [1_151, 0]);
  assert.deepEqual([topics['3']?.skippedBytes, topics['3']?.cutRecords], [0, 11]);
});
