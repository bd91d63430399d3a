import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { FrameDecoder, type FrameSink } from './decoder.ts';
import { FrameEncoder } from './encoder.ts';
import { D4Error } from './errors.ts';
import { type FrameHeader, HEADER_BYTES } from './header.ts';
import { parseSensorId } from './sensor-id.ts';

const SENSOR = parseSensorId('6f8a3b52-1c4d-4e7f-9a21-5d0c7be41f93');
const ENCODER = new FrameEncoder({ sensor: SENSOR, key: Buffer.from('a key'), version: 1 });

interface Call {
  readonly call: 'header' | 'frame';
  readonly sensor: string;
  readonly type: number;
  readonly timestamp: number;
  readonly size: number;
  readonly mac: string;
  readonly payload?: string;
}

/** Notes every call with copies of what was handed out, and stops at the call with the number `stopAt`. */
class NotingSink implements FrameSink {
  readonly calls: Call[] = [];
  readonly #stopAt: number;

  constructor(stopAt = Number.POSITIVE_INFINITY) {
    this.#stopAt = stopAt;
  }

  header(header: FrameHeader): boolean {
    return this.#note('header', header);
  }

  frame(header: FrameHeader, payload: Buffer): boolean {
    return this.#note('frame', header, payload.toString('hex'));
  }

  #note(call: 'header' | 'frame', header: FrameHeader, payload?: string): boolean {
    const { sensor, type, timestamp, size } = header;
    const mac = header.bytes.toString('hex', header.at + 26, header.at + 58);
    this.calls.push({ call, sensor, type, timestamp, size, mac, ...(payload === undefined ? {} : { payload }) });
    return this.calls.length < this.#stopAt;
  }
}

/** Hands out what it gets, as it is. */
class KeepingSink implements FrameSink {
  readonly payloads: Buffer[] = [];

  header(): boolean {
    return true;
  }

  frame(_header: FrameHeader, payload: Buffer): boolean {
    this.payloads.push(payload);
    return true;
  }
}

function calls(chunks: readonly Buffer[], stopAt?: number): Call[] {
  const sink = new NotingSink(stopAt);
  const decoder = new FrameDecoder(sink);
  for (const chunk of chunks) decoder.push(chunk);
  return sink.calls;
}

/** The stream in pieces of these lengths, over and over; a length of 0 is an empty piece. */
function split(stream: Buffer, lengths: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0, i = 0; at < stream.length; i++) {
    const length = lengths[i % lengths.length] ?? 1;
    pieces.push(Buffer.from(stream.subarray(at, at + length)));
    at += length;
  }
  return pieces;
}

const bytewise = (stream: Buffer): Buffer[] => split(stream, [1]);
const text = (payload: string, type = 3): Buffer => ENCODER.encode(type, Buffer.from(payload), 1_800_000_000);

const frames = fc
  .array(fc.record({ type: fc.nat(255), payload: fc.uint8Array({ maxLength: 300 }), timestamp: fc.maxSafeNat() }), {
    maxLength: 8,
  })
  .map((list) => list.map(({ type, payload, timestamp }) => ENCODER.encode(type, Buffer.from(payload), timestamp)));
const lengths = fc
  .array(fc.oneof(fc.nat(3), fc.integer({ min: 58, max: 66 }), fc.nat(400)), { minLength: 1, maxLength: 20 })
  .filter((list) => list.some((length) => length > 0));

suite('any split of the stream gives the same calls', () => {
  test('in random pieces, with a rest that is no whole frame', () => {
    fc.assert(
      fc.property(frames, fc.nat(100), lengths, (list, rest, pieces) => {
        const stream = Buffer.concat([...list, text('x'.repeat(100)).subarray(0, rest)]);
        assert.deepEqual(calls(split(stream, pieces)), calls([stream]));
      }),
      { numRuns: 500 },
    );
  });

  test('byte by byte', () => {
    fc.assert(
      fc.property(frames, (list) => {
        const stream = Buffer.concat(list);
        assert.deepEqual(calls(bytewise(stream)), calls([stream]));
      }),
    );
  });

  test('cut once, at every place', () => {
    const stream = Buffer.concat([text('one'), text(''), text('three'), text('')]);
    const whole = calls([stream]);
    assert.equal(whole.length, 8);
    for (let at = 0; at <= stream.length; at++) {
      assert.deepEqual(calls([stream.subarray(0, at), stream.subarray(at)]), whole, `cut at ${at}`);
    }
  });

  test('a sink that stops, at every call', () => {
    const stream = Buffer.concat([text('one'), text(''), text('three')]);
    for (let stopAt = 1; stopAt <= 6; stopAt++) {
      const whole = calls([stream], stopAt);
      assert.equal(whole.length, stopAt);
      assert.deepEqual(calls(bytewise(stream), stopAt), whole);
    }
  });
});

test('each frame is announced by its header, then given whole', () => {
  const seen = calls([Buffer.concat([text('one'), text('')])]);
  assert.deepEqual(
    seen.map(({ call, size, payload }) => [call, size, payload]),
    [
      ['header', 3, undefined],
      ['frame', 3, Buffer.from('one').toString('hex')],
      ['header', 0, undefined],
      ['frame', 0, ''],
    ],
  );
});

suite('memory', () => {
  test('a frame that lies in a chunk is handed out where it lies', () => {
    const sink = new KeepingSink();
    const chunk = Buffer.concat([text('one'), text('two')]);
    new FrameDecoder(sink).push(chunk);
    assert.deepEqual(sink.payloads.map(String), ['one', 'two']);
    for (const payload of sink.payloads) assert.equal(payload.buffer, chunk.buffer);
    assert.equal(sink.payloads[1]?.byteOffset, chunk.byteOffset + 2 * HEADER_BYTES + 3);
  });

  test('so is a payload whose header came before', () => {
    const sink = new KeepingSink();
    const decoder = new FrameDecoder(sink);
    const frame = text('one');
    decoder.push(frame.subarray(0, 10));
    const rest = Buffer.from(frame.subarray(10));
    decoder.push(rest);
    assert.equal(sink.payloads[0]?.buffer, rest.buffer);
  });

  test('a payload that straddles chunks is copied into a buffer of its size', () => {
    const sink = new KeepingSink();
    const decoder = new FrameDecoder(sink);
    const chunks = split(text('straddles'), [65]);
    for (const chunk of chunks) decoder.push(chunk);
    for (const chunk of chunks) chunk.fill(0);
    assert.deepEqual(sink.payloads.map(String), ['straddles']);
    assert.equal(sink.payloads[0]?.buffer.byteLength, 9);
  });

  test('no chunk is kept when push has returned', () => {
    let kept: FrameHeader | undefined;
    const decoder = new FrameDecoder({
      header: (header) => {
        kept = header;
        return true;
      },
      frame: () => true,
    });
    const chunk = text('one');
    decoder.push(chunk);
    assert.notEqual(kept?.bytes, chunk);
  });

  test('a refused header costs nothing, whatever size it announces', () => {
    const header = Buffer.from(text('').subarray(0, HEADER_BYTES));
    header.writeUInt32LE(0xffff_ffff, 58);
    for (const chunks of [[header], bytewise(header)]) {
      let size = 0;
      const decoder = new FrameDecoder({
        header: (view) => {
          size = view.size;
          return false;
        },
        frame: () => assert.fail('no frame can be complete'),
      });
      for (const chunk of chunks) decoder.push(chunk);
      assert.equal(size, 0xffff_ffff);
      assert.equal(decoder.stopped, true);
      assert.equal(decoder.pendingBytes, 0);
    }
  });
});

test('says what it waits for, and how much it holds', () => {
  const stream = Buffer.concat([text('four'), text('')]);
  const decoder = new FrameDecoder(new NotingSink());
  const seen = bytewise(stream).map((chunk) => {
    decoder.push(chunk);
    return `${decoder.state} ${decoder.pendingBytes}`;
  });
  const headerBytes = Array.from({ length: HEADER_BYTES - 1 }, (_, i) => `header ${i + 1}`);
  const payloadBytes = [62, 63, 64, 65].map((bytes) => `payload ${bytes}`);
  assert.deepEqual(seen, [...headerBytes, ...payloadBytes, 'between 0', ...headerBytes, 'between 0']);
});

suite('nothing follows a refusal', () => {
  for (const stopAt of [1, 2]) {
    test(`of the first ${stopAt === 1 ? 'header' : 'frame'}`, () => {
      const sink = new NotingSink(stopAt);
      const decoder = new FrameDecoder(sink);
      assert.equal(decoder.stopped, false);
      decoder.push(Buffer.concat([text('one'), text('two')]));
      decoder.push(text('three'));
      assert.equal(decoder.stopped, true);
      assert.equal(decoder.state, 'between');
      assert.equal(sink.calls.length, stopAt);
    });
  }

  test('a sink that throws', () => {
    const failure = new Error('the disk is full');
    let frameCalls = 0;
    const decoder = new FrameDecoder({
      header: () => true,
      frame: () => {
        frameCalls++;
        throw failure;
      },
    });
    assert.throws(() => decoder.push(Buffer.concat([text('one'), text('two')])), failure);
    assert.equal(decoder.stopped, true);
    decoder.push(text('three'));
    assert.equal(frameCalls, 1);
  });

  test('a sink that pushes into its own decoder', () => {
    const decoder: FrameDecoder = new FrameDecoder({
      header: () => true,
      frame: () => {
        decoder.push(text('inner'));
        return true;
      },
    });
    assert.throws(
      () => decoder.push(text('outer')),
      (error) => error instanceof D4Error && error.code === 'D4_DECODER_BUSY',
    );
    assert.equal(decoder.stopped, true);
  });
});
