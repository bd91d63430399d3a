import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { FrameDecoder, FrameHmac, HmacScratch, parseSensorId } from '@d4ts/protocol';
import fc from 'fast-check';
import { Framing, type FramingOptions } from './framing.ts';
import { OutgoingStream } from './outgoing-stream.ts';
import { boundariesOf } from './record-boundaries.ts';

const KEY = Buffer.from('private key to change');
const SENSOR = parseSensorId('6f8a3b52-1c4d-4e7f-9a21-5d0c7be41f93');
const vectors = new URL('../../../test/data/wire-vectors/', import.meta.url);

interface Frame {
  type: number;
  timestamp: number;
  payload: Buffer;
}

function decode(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  const hmac = new FrameHmac(KEY);
  const scratch = new HmacScratch();
  const decoder = new FrameDecoder({
    header: () => true,
    frame: (header, payload) => {
      assert.ok(hmac.verify(header.bytes, header.at, payload, scratch));
      frames.push({ type: header.type, timestamp: header.timestamp, payload: Buffer.from(payload) });
      return true;
    },
  });
  decoder.push(bytes);
  assert.equal(decoder.pendingBytes, 0);
  return frames;
}

function framing(options: Partial<FramingOptions>): Framing {
  return new Framing({ sensor: SENSOR, key: KEY, version: 1, type: 3, snaplen: 4096, ...options });
}

test('the frames of any stream, in any pieces and with any snaplen, decode to the stream', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }),
      fc.integer({ min: 1, max: 200 }),
      fc.uint8Array({ maxLength: 300 }),
      (chunks, snaplen, meta) => {
        const metaHeader = Buffer.from(meta);
        const made = framing({ type: 254, snaplen, metaHeader });
        const stream = new OutgoingStream(boundariesOf(254), { bytes: 1_000_000, record: 1000 });
        const frames = made.opening(stream.restart(), 1);
        for (const chunk of chunks) {
          stream.append(Buffer.from(chunk));
          const payload = stream.next(snaplen);
          if (payload !== undefined) frames.push(made.data(payload, 2));
        }
        for (let payload = stream.next(snaplen); payload !== undefined; payload = stream.next(snaplen)) {
          frames.push(made.data(payload, 3));
        }
        frames.push(made.closing(4));
        const decoded = decode(Buffer.concat(frames));
        const payloadOf = (type: number) => Buffer.concat(decoded.filter((f) => f.type === type).map((f) => f.payload));
        assert.deepEqual(payloadOf(2), metaHeader);
        assert.deepEqual(payloadOf(254), Buffer.concat(chunks));
        assert.ok(decoded.every((frame) => frame.payload.length <= snaplen));
        const types = decoded.map((frame) => frame.type);
        assert.equal(types.lastIndexOf(2) < types.indexOf(254), true);
      },
    ),
    { numRuns: 200 },
  );
});

const names = readdirSync(vectors).filter((name) => name.endsWith('.d4'));
assert.ok(names.length >= 8);

for (const name of names) {
  test(`${name}: the same input at the same times gives the recorded bytes`, () => {
    const recorded = readFileSync(new URL(name, vectors));
    const frames = decode(recorded);
    const type = frames.at(-1)?.type ?? 0;
    const meta = frames.filter((frame) => frame.type === 2);
    const made = framing({ type, metaHeader: Buffer.concat(meta.map((frame) => frame.payload)) });
    const bytes = [...made.opening(Buffer.alloc(0), meta[0]?.timestamp ?? 0)];
    const stream = new OutgoingStream(boundariesOf(type), { bytes: 1_000_000, record: 1000 });
    for (const { payload, timestamp } of frames.filter((frame) => frame.type !== 2)) {
      if (payload.length === 0) {
        bytes.push(made.closing(timestamp));
        continue;
      }
      stream.append(payload);
      bytes.push(made.data(stream.next(4096) ?? Buffer.alloc(0), timestamp));
    }
    assert.deepEqual(Buffer.concat(bytes), recorded);
  });
}
