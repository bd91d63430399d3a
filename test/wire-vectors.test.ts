import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { FrameDecoder, FrameEncoder, type FrameHeader, FrameHmac, HmacScratch, parseSensorId } from '@d4ts/protocol';
import fc from 'fast-check';

const FOLDER = join(import.meta.dirname, 'data', 'wire-vectors');
const HEADER = 62;

/** What the recording's `.json` says of it. */
interface Recording {
  readonly key: string;
  readonly uuid: string;
  readonly total_bytes: number;
  readonly trailing_bytes: number;
  readonly stream_sha256: string;
  readonly payload_sha256: string;
  readonly payload_sha256_by_type?: Record<string, string>;
  readonly frames: {
    readonly offset: number;
    readonly version: number;
    readonly type: number;
    readonly uuid: string;
    readonly timestamp: number;
    readonly size: number;
    readonly hmac_ok: boolean;
  }[];
}

/** A frame as it was decoded. */
interface Decoded {
  readonly version: number;
  readonly type: number;
  readonly uuid: string;
  readonly timestamp: number;
  readonly size: number;
  readonly hmac_ok: boolean;
  readonly payload: Buffer;
}

const scratch = new HmacScratch();
const sha256 = (...parts: Buffer[]): string => createHash('sha256').update(Buffer.concat(parts)).digest('hex');

/** The frames in these chunks, and how many bytes are left over. */
function decode(chunks: Iterable<Buffer>, key: string): { frames: Decoded[]; left: number } {
  const hmac = new FrameHmac(Buffer.from(key));
  const frames: Decoded[] = [];
  const decoder = new FrameDecoder({
    header: () => true,
    frame: (header: FrameHeader, payload: Buffer) => {
      const { version, type, sensor: uuid, timestamp, size } = header;
      const hmac_ok = hmac.verify(header.bytes, header.at, payload, scratch);
      frames.push({ version, type, uuid, timestamp, size, hmac_ok, payload: Buffer.from(payload) });
      return true;
    },
  });
  for (const chunk of chunks) decoder.push(Buffer.from(chunk));
  return { frames, left: decoder.pendingBytes };
}

function encode(frame: Decoded, key: string): Buffer {
  const sensor = parseSensorId(frame.uuid);
  const encoder = new FrameEncoder({ sensor, key: Buffer.from(key), version: frame.version, scratch });
  return encoder.encode(frame.type, frame.payload, frame.timestamp);
}

function* pieces(bytes: Buffer, lengths: readonly number[]): Generator<Buffer> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const length = lengths[i % lengths.length] ?? 1;
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

const names = readdirSync(FOLDER).filter((name) => name.endsWith('.d4'));

test('the recordings are there', () => assert.ok(names.length >= 8, names.join(', ')));

for (const name of names) {
  const bytes = readFileSync(join(FOLDER, name));
  const recording: Recording = JSON.parse(readFileSync(join(FOLDER, name.replace('.d4', '.json')), 'utf8'));
  const { key } = recording;
  const whole = decode([bytes], key);

  suite(name, () => {
    test('parse: the frames are those that were recorded, and every HMAC verifies', () => {
      assert.equal(bytes.length, recording.total_bytes);
      assert.equal(sha256(bytes), recording.stream_sha256);
      assert.deepEqual(
        whole.frames.map(({ payload, ...fields }) => fields),
        recording.frames.map(({ offset, ...fields }) => fields),
      );
      assert.equal(whole.left, recording.trailing_bytes);
      assert.equal(sha256(...whole.frames.map(({ payload }) => payload)), recording.payload_sha256);
      for (const [type, expected] of Object.entries(recording.payload_sha256_by_type ?? {})) {
        const ofType = whole.frames.filter((frame) => frame.type === Number(type));
        assert.equal(sha256(...ofType.map(({ payload }) => payload)), expected);
      }
    });

    test('generate: the fields on record and the payloads make the very bytes', () => {
      const made = recording.frames.map(({ offset, ...fields }) => {
        const payload = bytes.subarray(offset + HEADER, offset + HEADER + fields.size);
        return encode({ ...fields, payload }, key);
      });
      assert.deepEqual(Buffer.concat(made), bytes);
    });

    test('mirror: what is decoded from encoded frames is what they were made of', () => {
      const made = whole.frames.map((frame) => encode(frame, key));
      assert.deepEqual(decode(made, key), whole);
    });

    test('stream: byte by byte and in random pieces, the same frames', () => {
      assert.deepEqual(decode(pieces(bytes, [1]), key), whole);
      // As the C client over TLS: one read for each field of the header.
      assert.deepEqual(decode(pieces(bytes, [1, 1, 16, 8, 32, 4]), key), whole);
      const lengths = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 30 });
      fc.assert(
        fc.property(lengths, (list) => assert.deepEqual(decode(pieces(bytes, list), key), whole)),
        { numRuns: 50 },
      );
    });
  });
}
