import assert from 'node:assert/strict';
import { FrameDecoder, FrameEncoder, HEADER_BYTES, parseSensorId } from '@d4ts/protocol';
import type { FuzzTarget, Random } from '@d4ts/testkit';

const MAX_PAYLOAD = 2048;
const SENSOR = parseSensorId('00000000-0000-4000-8000-000000000001');
const encoder = new FrameEncoder({ sensor: SENSOR, key: Buffer.from('a key'), version: 1 });

function frames(random: Random): Buffer {
  const parts = Array.from({ length: random.below(5) }, () =>
    encoder.encode(
      random.below(256),
      Buffer.alloc(random.of([0, 1, 10, 61, 62, 63, 500]), random.below(256)),
      random.below(2 ** 31),
    ),
  );
  return Buffer.concat(parts);
}

/** What a decoder hands out, and whether it stopped at a payload that is too large. */
function decoded(pieces: readonly Buffer[]): { frames: string[]; stopped: boolean; pending: number } {
  const seen: string[] = [];
  let held = 0;
  const decoder = new FrameDecoder({
    header: (header) => header.size <= MAX_PAYLOAD,
    frame: (header, payload) => {
      assert.equal(payload.length, header.size);
      seen.push(`${header.type} ${header.sensor} ${header.timestamp} ${payload.toString('latin1')}`);
      return true;
    },
  });
  for (const piece of pieces) {
    decoder.push(Buffer.from(piece));
    held = decoder.pendingBytes;
    assert.ok(held < HEADER_BYTES + MAX_PAYLOAD, `${held} bytes are held`);
  }
  return { frames: seen, stopped: decoder.stopped, pending: held };
}

const target: FuzzTarget = {
  name: 'frame-decoder',
  corpus: [encoder.encode(3, Buffer.from('a line\n'), 1), encoder.encode(254, Buffer.alloc(0), 2)],
  words: [Buffer.from([0, 0, 0, 0]), Buffer.from([0xff, 0xff, 0xff, 0xff]), Buffer.from([1, 3])],
  generate: frames,
  run(input, random) {
    const whole = decoded([input]);
    const inPieces = decoded(random.split(input));
    assert.deepEqual(inPieces.frames, whole.frames);
    assert.equal(inPieces.stopped, whole.stopped);
    if (!whole.stopped) assert.equal(inPieces.pending, whole.pending);
  },
};

export default [target];
