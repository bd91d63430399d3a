import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runningCrc, sensorIdFrom } from '@d4ts/protocol';
import fc from 'fast-check';
import {
  type Chunk,
  encodeChunkHeader,
  encodeSegmentHeader,
  MAX_CHUNK_BYTES,
  readSegment,
  segmentIdentity,
} from './segment-format.ts';
import { identityFromJson, identityToJson, type StreamIdentity } from './stream-identity.ts';

const sensor = sensorIdFrom('6f8a3b52-1c4d-4e7f-9a21-5d0c7be41f93');
assert.ok(sensor !== undefined);
const IDENTITY: StreamIdentity = {
  id: '00112233445566778899aabbccddeeff',
  sensor,
  type: 254,
  metaHeader: Buffer.from('{"type":"maltrail"}'),
  previous: 'ffeeddccbbaa99887766554433221100',
  source: 'the standard input',
  startedAt: 1_795_321_490_000,
};

/** Data of chunks; they hold what a header looks like, too. */
const chunkData = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  fc.constant(Buffer.from('D4CKD4CKD4CK')),
  fc.constant(encodeChunkHeader('f'.repeat(32), { offset: 0, data: Buffer.from('x'), crc: 0, startsRecord: true })),
);

interface Written {
  readonly bytes: Buffer;
  /** Each chunk, and where it lies. */
  readonly chunks: readonly (Chunk & { readonly from: number; readonly to: number })[];
  readonly headerBytes: number;
}

function segmentOf(pieces: readonly Buffer[], from: number): Written {
  const header = encodeSegmentHeader(IDENTITY);
  const parts = [header];
  const chunks: (Chunk & { from: number; to: number })[] = [];
  let [offset, crc, at] = [from, 0, header.length];
  for (const [i, data] of pieces.entries()) {
    const chunk = { offset, data, crc, startsRecord: i % 3 === 0 };
    const head = encodeChunkHeader(IDENTITY.id, chunk);
    parts.push(head, data);
    chunks.push({ ...chunk, from: at, to: at + head.length + data.length });
    at += head.length + data.length;
    offset += data.length;
    crc = runningCrc(crc, data);
  }
  return { bytes: Buffer.concat(parts), chunks, headerBytes: header.length };
}

const segments = fc
  .tuple(fc.array(chunkData, { maxLength: 30 }), fc.nat(1_000_000))
  .map(([pieces, from]) => segmentOf(pieces, from));

test('a segment that is whole is read as it was written', () => {
  fc.assert(
    fc.property(segments, ({ bytes, chunks }) => {
      const read = readSegment(bytes, IDENTITY.id, 'a test');
      assert.deepEqual(read.identity, IDENTITY);
      assert.deepEqual(read.damage, []);
      assert.equal(read.validBytes, bytes.length);
      assert.deepEqual(
        read.chunks.map(({ offset, length, at, crc, startsRecord }) => {
          return { offset, crc, startsRecord, data: bytes.subarray(at, at + length) };
        }),
        chunks.map(({ offset, crc, startsRecord, data }) => ({ offset, crc, startsRecord, data })),
      );
    }),
  );
});

/** The chunks that were not touched must be read, and nothing else. */
function assertOnlyHitIsLost(written: Written, bytes: Buffer, isHit: (from: number, to: number) => boolean): void {
  const read = readSegment(bytes, IDENTITY.id, 'a test');
  const found = new Set(read.chunks.map(({ offset }) => offset));
  for (const { offset, from, to } of written.chunks) {
    assert.equal(found.has(offset), !isHit(from, to), `the chunk at ${offset}`);
  }
  for (const { offset, length, at } of read.chunks) {
    const original = written.chunks.find((chunk) => chunk.offset === offset);
    assert.ok(original?.data.equals(bytes.subarray(at, at + length)));
  }
  assert.equal(read.identity === undefined, isHit(0, written.headerBytes));
}

test('bits that flip anywhere: no more than the chunks that were hit are lost', () => {
  fc.assert(
    fc.property(
      segments,
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { maxLength: 5 }),
      (written, flips) => {
        const bytes = Buffer.from(written.bytes);
        for (const [place, mask] of flips) {
          const at = place % bytes.length;
          bytes.writeUInt8(bytes.readUInt8(at) ^ mask, at);
        }
        const isHit = (from: number, to: number) => !bytes.subarray(from, to).equals(written.bytes.subarray(from, to));
        assertOnlyHitIsLost(written, bytes, isHit);
      },
    ),
    { numRuns: 1000 },
  );
});

test('a segment that is cut anywhere, or ends in zeros: everything before is read', () => {
  fc.assert(
    fc.property(segments, fc.nat(), fc.nat(100), (written, place, zeros) => {
      const cut = place % (written.bytes.length + 1);
      const bytes = Buffer.concat([written.bytes.subarray(0, cut), Buffer.alloc(zeros)]);
      // Zeros that happen to be right are as good as what was written.
      const isHit = (from: number, to: number) => !bytes.subarray(from, to).equals(written.bytes.subarray(from, to));
      assertOnlyHitIsLost(written, bytes, isHit);
      const read = readSegment(bytes, IDENTITY.id, 'a test');
      assert.ok(read.damage.every(({ torn }, i) => torn === (i === read.damage.length - 1)));
    }),
    { numRuns: 500 },
  );
});

test('any bytes at all can be read', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 500 }),
      fc.array(fc.constantFrom('D4CK', 'D4SPOOL\n', '\0\0\0\0')),
      (noise, words) => {
        const bytes = Buffer.concat([Buffer.from(noise), ...words.map((word) => Buffer.from(word))]);
        assert.deepEqual(readSegment(bytes, IDENTITY.id, 'a test').chunks, []);
      },
    ),
  );
});

test('a chunk of another stream is none, nor is one that lies before what was read', () => {
  const other = { offset: 10, data: Buffer.from('other'), crc: 0, startsRecord: true };
  const copy = Buffer.concat([encodeChunkHeader('f'.repeat(32), other), other.data]);
  const { bytes, chunks } = segmentOf([Buffer.from('one'), Buffer.from('two')], 10);
  const first = chunks[0];
  assert.ok(first !== undefined);
  const again = Buffer.concat([bytes, copy, bytes.subarray(first.from, first.to)]);
  const read = readSegment(again, IDENTITY.id, 'a test');
  assert.deepEqual(
    read.chunks.map(({ offset }) => offset),
    [10, 13],
  );
});

test('many false starts do not take long', () => {
  const bytes = Buffer.alloc(4 * 1_048_576, 'D4CK');
  assert.deepEqual(readSegment(bytes, IDENTITY.id, 'a test').chunks, []);
  assert.ok(MAX_CHUNK_BYTES <= 65_536);
});

test('what a newer version wrote is refused', () => {
  assert.equal(segmentIdentity(encodeSegmentHeader(IDENTITY), 'a test')?.id, IDENTITY.id);
  const newer = { ...identityToJson(IDENTITY), format: 2 };
  assert.throws(() => identityFromJson(newer, 'a/file'), {
    code: 'D4_SPOOL_FORMAT',
    message: /^a\/file has format 2.*newer/,
  });
});
