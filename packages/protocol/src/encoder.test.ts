import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { FrameEncoder } from './encoder.ts';
import { D4Error } from './errors.ts';
import { FrameHeader, HEADER_BYTES, PROTOCOL_VERSION } from './header.ts';
import { HmacScratch } from './hmac.ts';
import { newSensorId } from './sensor-id.ts';
import { WIRE_TYPE } from './types.ts';

const KEY = Buffer.from('a key');
const SENSOR = newSensorId();

test('a frame is its header, signed, and its payload', () => {
  const encoder = new FrameEncoder({ sensor: SENSOR, key: KEY, version: PROTOCOL_VERSION, scratch: new HmacScratch() });
  for (const payload of [Buffer.from('a line\n'), Buffer.alloc(0), Buffer.alloc(200_000, 'x')]) {
    const frame = encoder.encode(WIRE_TYPE.lines, payload, 1_800_000_000);
    const { version, type, sensor, timestamp, size } = new FrameHeader(frame);
    assert.deepEqual(
      { version, type, sensor, timestamp, size },
      { version: 1, type: 3, sensor: SENSOR, timestamp: 1_800_000_000, size: payload.length },
    );
    assert.deepEqual(frame.subarray(HEADER_BYTES), payload);
    const unsigned = Buffer.from(frame);
    unsigned.fill(0, 26, 58);
    assert.equal(frame.toString('hex', 26, 58), createHmac('sha256', KEY).update(unsigned).digest('hex'));
  }
});

test('the payload may change after the frame was made', () => {
  const payload = Buffer.from('a line\n');
  const frame = new FrameEncoder({ sensor: SENSOR, key: KEY, version: 1 }).encode(3, payload, 0);
  payload.fill(0);
  assert.equal(frame.toString('utf8', HEADER_BYTES), 'a line\n');
});

test('what fits no header is refused, not wrapped around', () => {
  const refused = (make: () => unknown): void =>
    assert.throws(make, (error) => error instanceof D4Error && error.code === 'D4_BAD_FRAME');
  const encoder = new FrameEncoder({ sensor: SENSOR, key: KEY, version: 255 });
  for (const number of [-1, 256, 1.5, Number.NaN]) {
    refused(() => new FrameEncoder({ sensor: SENSOR, key: KEY, version: number }));
    refused(() => encoder.encode(number, Buffer.alloc(0), 0));
  }
  for (const timestamp of [-1, 1.5, Number.NaN, 2 ** 53]) refused(() => encoder.encode(3, Buffer.alloc(0), timestamp));
});
