import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameEncoder, HEADER_BYTES, HmacScratch, newSensorId } from '@d4ts/protocol';
import { SensorKeys } from './sensor-keys.ts';

const sensor = newSensorId();

function verifies(keys: SensorKeys, key: string): boolean {
  const encoder = new FrameEncoder({ sensor, key: Buffer.from(key, 'latin1'), version: 1 });
  const frame = encoder.encode(3, Buffer.from('x'), 1_800_000_000);
  return keys.verify(frame, 0, frame.subarray(HEADER_BYTES));
}

test('while a key is replaced both hold, each also as the Go client cuts it, and it is known which is used', () => {
  const long = 'k'.repeat(150);
  const keys = new SensorKeys(
    [
      { key: 'new', isPrevious: false },
      { key: long, isPrevious: true },
    ],
    new HmacScratch(),
  );
  assert.equal(keys.usesPrevious, false);
  assert.equal(verifies(keys, 'other'), false);
  assert.equal(keys.usesPrevious, false);
  assert.equal(verifies(keys, long), true);
  assert.equal(keys.usesPrevious, true);
  assert.equal(verifies(keys, long.slice(0, 100)), true);
  assert.equal(keys.usesPrevious, true);
  assert.equal(verifies(keys, 'new'), true);
  assert.equal(keys.usesPrevious, false);
  assert.equal(verifies(keys, long), true);
});
