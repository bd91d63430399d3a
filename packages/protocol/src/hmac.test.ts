import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { HEADER_BYTES, writeHeader } from './header.ts';
import { FrameHmac, HmacScratch } from './hmac.ts';

const SCRATCH = new HmacScratch();
const UUID = Buffer.from('6f8a3b521c4d4e7f9a215d0c7be41f93', 'hex');
const SCRATCH_LIMIT = 128 * 1024;

/** RFC 2104, section 2, word by word. */
function rfc2104(key: Buffer, text: Buffer): Buffer {
  const sha256 = (...parts: Buffer[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest();
  const block = Buffer.alloc(64);
  (key.length > 64 ? sha256(key) : key).copy(block);
  const pad = (value: number): Buffer => Buffer.from(block.map((byte) => byte ^ value));
  return sha256(pad(0x5c), sha256(pad(0x36), text));
}

/** RFC 4231, section 4: key, text, and the HMAC-SHA-256 (case 5 with its first 128 bits). */
const RFC_4231: [key: Buffer, text: Buffer, mac: string][] = [
  [Buffer.alloc(20, 0x0b), Buffer.from('Hi There'), 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7'],
  [
    Buffer.from('Jefe'),
    Buffer.from('what do ya want for nothing?'),
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  ],
  [Buffer.alloc(20, 0xaa), Buffer.alloc(50, 0xdd), '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe'],
  [
    Buffer.from(Array.from({ length: 25 }, (_, i) => i + 1)),
    Buffer.alloc(50, 0xcd),
    '82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b',
  ],
  [Buffer.alloc(20, 0x0c), Buffer.from('Test With Truncation'), 'a3b6167473100ee06e0c796c2955552b'],
  [
    Buffer.alloc(131, 0xaa),
    Buffer.from('Test Using Larger Than Block-Size Key - Hash Key First'),
    '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
  ],
  [
    Buffer.alloc(131, 0xaa),
    Buffer.from(
      'This is a test using a larger than block-size key and a larger than block-size data. ' +
        'The key needs to be hashed before being used by the HMAC algorithm.',
    ),
    '9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2',
  ],
];

function headerOf(payload: Buffer, timestamp = 1_800_000_000): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  writeHeader(header, 0, { version: 1, type: 3, uuid: UUID, timestamp, size: payload.length });
  return header;
}

/** The MAC by FrameHmac, in hexadecimal. */
function computed(key: Buffer, header: Buffer, payload: Buffer, at = 0): string {
  return Buffer.from(new FrameHmac(key).compute(header, at, payload, SCRATCH), 'latin1').toString('hex');
}

suite('the MAC of a frame', () => {
  test('the yardstick of these tests is RFC 4231', () => {
    for (const [key, text, mac] of RFC_4231) {
      assert.equal(rfc2104(key, text).toString('hex').slice(0, mac.length), mac);
      assert.equal(createHmac('sha256', key).update(text).digest('hex').slice(0, mac.length), mac);
    }
  });

  test('with the keys and texts of RFC 4231', () => {
    for (const [key, text] of RFC_4231) {
      const header = headerOf(text);
      assert.equal(computed(key, header, text), rfc2104(key, Buffer.concat([header, text])).toString('hex'));
    }
  });

  test('with keys of every length around the block of 64 bytes, and of 1,023', () => {
    const payload = Buffer.from('a line\n');
    const header = headerOf(payload);
    for (const length of [0, 1, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 1023]) {
      const key = Buffer.alloc(length, 'key');
      const expected = createHmac('sha256', key).update(header).update(payload).digest('hex');
      assert.equal(computed(key, header, payload), expected, `a key of ${length} bytes`);
    }
  });

  test('with payloads around the size of the scratch buffer', () => {
    for (const length of [0, 1, SCRATCH_LIMIT - 1, SCRATCH_LIMIT, SCRATCH_LIMIT + 1, 1_000_000]) {
      const payload = Buffer.alloc(length, 'payload');
      const header = headerOf(payload);
      for (const key of [Buffer.from('short'), Buffer.alloc(200, 'long')]) {
        const expected = createHmac('sha256', key).update(header).update(payload).digest('hex');
        assert.equal(computed(key, header, payload), expected, `a payload of ${length} bytes`);
        const signed = Buffer.from(header);
        signed.fill(0xff, 26, 58);
        assert.equal(computed(key, signed, payload), expected, 'the same, with its HMAC field filled');
      }
    }
  });

  test('with anything, wherever the header lies and whatever its HMAC field holds', () => {
    const bytes = fc.uint8Array({ maxLength: 200 }).map((list) => Buffer.from(list));
    fc.assert(
      fc.property(bytes, bytes, fc.nat(40), fc.nat(255), (key, payload, at, filler) => {
        const zeroed = headerOf(payload);
        const expected = rfc2104(key, Buffer.concat([zeroed, payload])).toString('hex');
        const header = Buffer.concat([Buffer.alloc(at, 0xff), zeroed]);
        header.fill(filler, at + 26, at + 58);
        assert.equal(computed(key, header, payload, at), expected);
      }),
      { numRuns: 300 },
    );
  });

  test('leaves the header as it was', () => {
    for (const length of [10, SCRATCH_LIMIT + 1]) {
      const payload = Buffer.alloc(length);
      const header = headerOf(payload);
      header.fill(7, 26, 58);
      const before = Buffer.from(header);
      new FrameHmac(Buffer.from('key')).compute(header, 0, payload, SCRATCH);
      assert.deepEqual(header, before);
    }
  });

  test('keys that share a scratch buffer do not mix', () => {
    const payloads = [Buffer.alloc(3000, 'a'), Buffer.from('b'), Buffer.alloc(0)];
    const keys = [Buffer.alloc(64, 'one'), Buffer.from('two')];
    const macs = keys.map((key) => new FrameHmac(key));
    for (const payload of payloads) {
      const header = headerOf(payload);
      macs.forEach((mac, i) => {
        const expected = createHmac('sha256', keys[i] ?? '')
          .update(header)
          .update(payload)
          .digest('binary');
        assert.equal(mac.compute(header, 0, payload, SCRATCH), expected);
      });
    }
  });

  test('the key may change after the call that took it', () => {
    const key = Buffer.from('a key');
    const payload = Buffer.alloc(SCRATCH_LIMIT + 1);
    const header = headerOf(payload);
    const mac = new FrameHmac(key);
    const before = mac.compute(header, 0, payload, SCRATCH);
    key.fill(0);
    assert.equal(mac.compute(header, 0, payload, SCRATCH), before);
  });
});

suite('signing and verifying', () => {
  test('what was signed verifies, and nothing else does', () => {
    const mac = new FrameHmac(Buffer.from('a key'));
    const bytes = fc.uint8Array({ maxLength: 100 }).map((list) => Buffer.from(list));
    fc.assert(
      fc.property(bytes, fc.nat(), fc.nat(7), (payload, place, bit) => {
        const frame = Buffer.concat([headerOf(payload), payload]);
        const verifies = (): boolean => mac.verify(frame, 0, frame.subarray(HEADER_BYTES), SCRATCH);
        mac.sign(frame, 0, payload, SCRATCH);
        assert.equal(verifies(), true);
        const at = place % frame.length;
        frame[at] = (frame[at] ?? 0) ^ (1 << bit);
        assert.equal(verifies(), false, `bit ${bit} of byte ${at}`);
      }),
      { numRuns: 500 },
    );
  });

  test('another key does not verify', () => {
    const payload = Buffer.from('a line\n');
    const frame = Buffer.concat([headerOf(payload), payload]);
    new FrameHmac(Buffer.from('a key')).sign(frame, 0, payload, SCRATCH);
    assert.equal(new FrameHmac(Buffer.from('a kez')).verify(frame, 0, payload, SCRATCH), false);
    assert.equal(new FrameHmac(Buffer.from('')).verify(frame, 0, payload, SCRATCH), false);
  });
});
