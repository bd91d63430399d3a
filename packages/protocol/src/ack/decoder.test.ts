import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { D4Error } from '../errors.ts';
import { HmacScratch } from '../hmac.ts';
import { AckDecoder, type AckSink } from './decoder.ts';
import { AckMac } from './mac.ts';
import { ACK_HEAD_BYTES, ACK_LIMITS, ACK_TYPE, readData, readGap, readRefuse, wholeBody } from './messages.ts';
import { ackRefusalAction } from './refusals.ts';
import { AckSender } from './sender.ts';

const KEY = Buffer.alloc(32, 1);
const SCRATCH = new HmacScratch();

/** What a decoder hands out, as text; each MAC is checked. */
function calls(pieces: readonly Buffer[], key = KEY): string[] {
  const found: string[] = [];
  const mac = new AckMac(key, SCRATCH);
  const decoder = new AckDecoder({
    head(type, bodyBytes) {
      found.push(`head ${type} ${bodyBytes}`);
      return true;
    },
    message(message) {
      assert.equal(message.bodyBytes, wholeBody(message.body).length);
      found.push(`${message.type} ${mac.verifies(message)} ${wholeBody(message.body).toString('hex')}`);
      return true;
    },
  });
  for (const piece of pieces) decoder.push(piece);
  return found;
}

function split(bytes: Buffer, at: readonly number[]): Buffer[] {
  const edges = [0, ...at.map((position) => position % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return edges.slice(1).map((edge, i) => Buffer.from(bytes.subarray(edges[i], edge)));
}

const offset = fc.oneof(fc.nat(), fc.maxSafeInteger().map(Math.abs));
const bytes = (minLength: number, maxLength: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength, maxLength }).map((array) => Buffer.from(array));

/** Makes any message that a client sends once its stream is open. */
const message: fc.Arbitrary<(sender: AckSender) => Buffer> = fc.oneof(
  fc.record({ offset, crc: fc.nat() }).map((resume) => (sender: AckSender) => sender.resume(resume)),
  fc.tuple(offset, fc.array(bytes(1, 300), { minLength: 1, maxLength: 4 })).map(
    ([at, pieces]) =>
      (sender: AckSender) =>
        Buffer.concat(sender.data(at, pieces)),
  ),
  fc.tuple(fc.nat(), fc.integer({ min: 1, max: 2 ** 31 }), fc.nat(), fc.stringMatching(/^[a-z-]{1,64}$/)).map(
    ([from, length, crc, cause]) =>
      (sender: AckSender) =>
        sender.gap({ from, to: from + length, crc, cause }),
  ),
  offset.map((total) => (sender: AckSender) => sender.end({ total, cause: 1 })),
);

suite('the decoder of acknowledged streams', () => {
  test('a body that comes byte by byte is held in few parts', () => {
    let parts = 0;
    const decoder = new AckDecoder({
      head: () => true,
      message(message) {
        parts = message.body.length;
        return true;
      },
    });
    const data = new AckSender(KEY, SCRATCH).data(0, [Buffer.alloc(100_000, 'x')]);
    for (const byte of Buffer.concat(data)) decoder.push(Buffer.of(byte));
    assert.ok(parts > 1 && parts < 20, `${parts} parts`);
  });

  test('any split of the bytes gives the same messages', () => {
    const messages = fc.array(message, { maxLength: 12 });
    fc.assert(
      fc.property(messages, fc.array(fc.nat(), { maxLength: 30 }), (makers, at) => {
        const sender = new AckSender(KEY, SCRATCH);
        const stream = Buffer.concat(makers.map((make) => make(sender)));
        const whole = calls([stream]);
        assert.equal(whole.length, 2 * makers.length);
        assert.ok(whole.every((call) => !call.includes('false')));
        assert.deepEqual(calls(split(stream, at)), whole);
        assert.deepEqual(calls(Array.from(stream, (byte) => Buffer.from([byte]))), whole);
      }),
    );
  });

  test('a message that is changed anywhere, left out, repeated or moved has a wrong MAC', () => {
    const sender = new AckSender(KEY, SCRATCH);
    const made = [1, 2, 3].map((total) => sender.end({ total, cause: 0 }));
    const verified = (messages: readonly Buffer[]) => calls(messages).filter((call) => call.includes('true')).length;
    const [one, two, three] = made as [Buffer, Buffer, Buffer];
    assert.equal(verified(made), 3);
    assert.equal(verified([one, three]), 1);
    assert.equal(verified([one, one]), 1);
    assert.equal(verified([two, one]), 0);
    assert.equal(calls(made, Buffer.alloc(32, 2)).filter((call) => call.includes('true')).length, 0);
    for (let at = ACK_HEAD_BYTES; at < one.length; at++) {
      const changed = Buffer.from(one);
      changed[at] = (changed[at] as number) ^ 1;
      assert.equal(verified([changed]), 0, `byte ${at}`);
    }
  });

  test('large messages are not copied, and have the same MAC as in one piece', () => {
    const data = Buffer.alloc(ACK_LIMITS.dataBytes, 'd');
    const pieces = new AckSender(KEY, SCRATCH).data(5, [data]);
    assert.equal(pieces[1], data);
    const stream = Buffer.concat(pieces);
    const mac = new AckMac(KEY, SCRATCH);
    const found: readonly Buffer[][] = [[]];
    const decoder = new AckDecoder({
      head: () => true,
      message(message) {
        assert.ok(mac.verifies(message));
        const { offset: at, bytes: handedOut } = readData(message.body);
        assert.equal(at, 5);
        found[0]?.push(...handedOut);
        return true;
      },
    });
    for (let at = 0; at < stream.length; at += 16_384) decoder.push(stream.subarray(at, at + 16_384));
    assert.ok(Buffer.concat(found[0] ?? []).equals(data));
    assert.ok(found[0]?.every(({ buffer }) => buffer === stream.buffer));
  });

  test('what begins no message is refused at its head, before anything of it is held', () => {
    const head = (type: number, length: number): Buffer => {
      const made = Buffer.alloc(ACK_HEAD_BYTES);
      made.writeUInt32LE(length, made.writeUInt8(type));
      return made;
    };
    const bad = [head(0, 9), head(10, 9), head(ACK_TYPE.end, 8), head(ACK_TYPE.data, 8), head(ACK_TYPE.data, 262_153)];
    for (const bytes of [...bad, head(ACK_TYPE.open, 0xffff_ffff), Buffer.from('GET / HTTP/1.1\r\n')]) {
      const decoder = new AckDecoder({ head: () => true, message: () => true });
      assert.throws(() => decoder.push(bytes), { code: 'D4_ACK_MESSAGE' });
      assert.ok(decoder.stopped);
      decoder.push(bytes);
      assert.equal(decoder.pendingBytes, 0);
    }
  });

  test('a sink that says stop gets nothing more', () => {
    const sender = new AckSender(KEY, SCRATCH);
    const stream = Buffer.concat([sender.end({ total: 1, cause: 0 }), sender.end({ total: 2, cause: 0 })]);
    const noting = (stopAt: 'head' | 'message'): { sink: AckSink; calls: string[] } => {
      const noted: string[] = [];
      const note = (call: 'head' | 'message') => {
        noted.push(call);
        return call !== stopAt;
      };
      return { sink: { head: () => note('head'), message: () => note('message') }, calls: noted };
    };
    for (const stopAt of ['head', 'message'] as const) {
      const { sink, calls: noted } = noting(stopAt);
      const decoder = new AckDecoder(sink);
      decoder.push(stream);
      assert.deepEqual(noted, stopAt === 'head' ? ['head'] : ['head', 'message']);
      assert.equal(decoder.pendingBytes, 0);
    }
  });

  test('any bytes are either messages or an error of their own', () => {
    fc.assert(
      fc.property(bytes(0, 400), (noise) => {
        try {
          calls([noise]);
        } catch (error) {
          assert.ok(error instanceof D4Error && error.code === 'D4_ACK_MESSAGE', String(error));
        }
      }),
    );
  });

  test('bodies whose parts do not fit are refused', () => {
    const sender = new AckSender(KEY, SCRATCH);
    const body = (made: Buffer): Buffer => Buffer.from(made.subarray(ACK_HEAD_BYTES, -16));
    const gap = body(sender.gap({ from: 5, to: 9, crc: 0, cause: 'spool-full' }));
    assert.deepEqual(readGap(gap), { from: 5, to: 9, crc: 0, cause: 'spool-full' });
    const backwards = Buffer.from(gap);
    backwards.writeUInt32LE(4, 8);
    const noWord = Buffer.from(gap);
    noWord[22] = 0x0a;
    const tooLong = Buffer.from(gap);
    tooLong[20] = 200;
    const beyond = Buffer.from(gap);
    beyond.writeUInt32LE(0xffff_ffff, 12);
    for (const wrong of [backwards, noWord, tooLong, beyond])
      assert.throws(() => readGap(wrong), { code: 'D4_ACK_MESSAGE' });
    const refuse = body(sender.refuse({ code: 'pending', text: 'the sensor waits\u{1f980}' }));
    assert.deepEqual(readRefuse(refuse), { code: 'pending', text: 'the sensor waits\u{1f980}' });
    assert.throws(() => readRefuse(refuse.subarray(0, -1)), { code: 'D4_ACK_MESSAGE' });
    assert.throws(() => sender.end({ total: -1, cause: 0 }), { code: 'D4_ACK_MESSAGE' });
    assert.throws(() => sender.end({ total: 2 ** 53, cause: 0 }), { code: 'D4_ACK_MESSAGE' });
  });

  test('a refusal that nobody has proved is never a reason to give up a stream', () => {
    assert.equal(ackRefusalAction('stream-forked', true), 'new-stream');
    assert.equal(ackRefusalAction('stream-forked', false), 'retry');
    assert.equal(ackRefusalAction('pending', false), 'wait');
    assert.equal(ackRefusalAction('something-new', true), 'retry');
  });
});
