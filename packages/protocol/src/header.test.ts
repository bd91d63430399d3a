import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FrameHeader, HEADER_BYTES, writeHeader } from './header.ts';
import { parseSensorId, sensorIdBytes } from './sensor-id.ts';

const SENSOR = parseSensorId('6f8a3b52-1c4d-4e7f-9a21-5d0c7be41f93');
const UUID = sensorIdBytes(SENSOR);

test('a header is laid out as docs/d4-protocol.md says', () => {
  const bytes = Buffer.alloc(HEADER_BYTES, 0xff);
  writeHeader(bytes, 0, { version: 1, type: 254, uuid: UUID, timestamp: 0x0102_0304_0506, size: 0x0708_090a });
  const expected = ['01', 'fe', '6f8a3b521c4d4e7f9a215d0c7be41f93', '0605040302010000', '00'.repeat(32), '0a090807'];
  assert.equal(bytes.toString('hex'), expected.join(''));
});

test('what was written is read, wherever it lies, and nothing beside it is touched', () => {
  const fields = fc.record(
    {
      version: fc.nat(255),
      type: fc.nat(255),
      uuid: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((list) => Buffer.from(list)),
      timestamp: fc.maxSafeNat(),
      size: fc.nat(0xffff_ffff),
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(fields, fc.nat(20), (written, at) => {
      const bytes = Buffer.alloc(at + HEADER_BYTES + 5, 0xee);
      writeHeader(bytes, at, written);
      const { version, type, sensor, timestamp, size } = new FrameHeader(bytes, at);
      assert.deepEqual({ version, type, uuid: sensorIdBytes(sensor), timestamp, size }, written);
      assert.ok(bytes.subarray(0, at).every((byte) => byte === 0xee));
      assert.ok(bytes.subarray(at + HEADER_BYTES).every((byte) => byte === 0xee));
    }),
  );
});

test('a header knows whether it is from a sensor', () => {
  const bytes = Buffer.alloc(3 + HEADER_BYTES);
  writeHeader(bytes, 3, { version: 1, type: 3, uuid: UUID, timestamp: 0, size: 0 });
  const header = new FrameHeader(bytes, 3);
  assert.equal(header.sensor, SENSOR);
  assert.equal(header.isFrom(UUID), true);
  for (const at of [0, 15]) {
    const other = Buffer.from(UUID);
    other[at] = (other[at] ?? 0) ^ 1;
    assert.equal(header.isFrom(other), false);
  }
});
