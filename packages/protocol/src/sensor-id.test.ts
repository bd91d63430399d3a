import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { D4Error } from './errors.ts';
import {
  isVersion4,
  newSensorId,
  parseSensorId,
  sensorIdAt,
  sensorIdBytes,
  sensorIdFrom,
  sensorIdHex,
} from './sensor-id.ts';

const DASHED = '6f8a3b52-1c4d-4e7f-9a21-5d0c7be41f93';
const PLAIN = '6f8a3b521c4d4e7f9a215d0c7be41f93';

suite('reading', () => {
  for (const text of [DASHED, PLAIN, DASHED.toUpperCase(), PLAIN.toUpperCase(), `  ${PLAIN}\r\n`]) {
    test(JSON.stringify(text), () => assert.equal(parseSensorId(text), DASHED));
  }

  for (const text of [
    '',
    'x',
    PLAIN.slice(1),
    `${PLAIN}0`,
    `${DASHED}0`,
    DASHED.replace('-', ''),
    DASHED.replace('6', 'g'),
    `{${DASHED}}`,
    `${DASHED}\n${DASHED}`,
  ]) {
    test(`refuses ${JSON.stringify(text)}`, () => {
      assert.equal(sensorIdFrom(text), undefined);
      assert.throws(
        () => parseSensorId(text),
        (error) => error instanceof D4Error && error.code === 'D4_BAD_UUID' && error.message.includes(`"${text}"`),
      );
    });
  }
});

test('bytes and text stand for each other', () => {
  const uuid = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((list) => Buffer.from(list));
  fc.assert(
    fc.property(uuid, fc.nat(9), (bytes, at) => {
      const id = sensorIdAt(Buffer.concat([Buffer.alloc(at), bytes, Buffer.alloc(3)]), at);
      assert.deepEqual(sensorIdBytes(id), bytes);
      assert.equal(sensorIdHex(id), bytes.toString('hex'));
      assert.equal(parseSensorId(id), id);
      assert.equal(parseSensorId(sensorIdHex(id)), id);
    }),
  );
});

suite('version 4', () => {
  test('new ones are, and differ', () => {
    const ids = Array.from({ length: 100 }, () => newSensorId());
    assert.ok(ids.every(isVersion4));
    assert.ok(ids.every((id) => parseSensorId(id) === id));
    assert.equal(new Set(ids).size, ids.length);
  });

  test('the version digit is 4 and the variant one of 8, 9, a, b', () => {
    const digits = [...'0123456789abcdef'];
    const withDigits = (version: string, variant: string): boolean =>
      isVersion4(parseSensorId(`6f8a3b52-1c4d-${version}e7f-${variant}a21-5d0c7be41f93`));
    assert.deepEqual(
      digits.filter((digit) => withDigits(digit, '9')),
      ['4'],
    );
    assert.deepEqual(
      digits.filter((digit) => withDigits('4', digit)),
      ['8', '9', 'a', 'b'],
    );
  });

  test('the nil UUID of a badly configured client is not', () => {
    assert.equal(isVersion4(sensorIdAt(Buffer.alloc(16))), false);
  });
});
