import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { crcOfBoth, crcOfSecond } from './crc-arithmetic.ts';

test('the CRC of two parts, and of the second one, follow from the others', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1000 }), fc.uint8Array({ maxLength: 1000 }), (one, other) => {
      const [first, second] = [Buffer.from(one), Buffer.from(other)];
      const both = crc32(Buffer.concat([first, second]));
      assert.equal(crcOfBoth(crc32(first), crc32(second), second.length), both);
      assert.equal(crcOfSecond(both, crc32(first), second.length), crc32(second));
    }),
  );
});
