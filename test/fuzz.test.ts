import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameDecoder, FrameEncoder, newSensorId } from '@d4ts/protocol';
import { type FuzzTarget, fuzz, fuzzInProcess, loadFuzzTargets } from '@d4ts/testkit';
import { targetFiles } from './fuzz/target-files.ts';

// The short form of `npm run fuzz`.

const INPUTS = 2_000;
const SEED = 20_261_122;

for (const file of targetFiles()) {
  for (const { name } of await loadFuzzTargets(file)) {
    test(`${name}: ${INPUTS} inputs, nothing found`, async () => {
      assert.equal(await fuzzInProcess(file, name, { seed: SEED, inputs: INPUTS }), undefined);
    });
  }
}

const encoder = new FrameEncoder({ sensor: newSensorId(), key: Buffer.from('a key'), version: 1 });
const planted = (run: FuzzTarget['run']): FuzzTarget => ({
  name: 'planted',
  corpus: [encoder.encode(3, Buffer.from('a line\n'), 1)],
  run,
});

/** The payloads of the frames in the pieces, by a decoder that loses a piece of exactly this length. */
function payloads(pieces: readonly Buffer[], lost: number): string[] {
  const seen: string[] = [];
  const decoder = new FrameDecoder({
    header: (header) => header.size < 5_000,
    frame: (_, payload) => seen.push(payload.toString('latin1')) > 0,
  });
  for (const piece of pieces) if (piece.length !== lost) decoder.push(piece);
  return seen;
}

test('a planted bug is found: a decoder that fails at one length of a piece', () => {
  const target = planted((input, random) => {
    assert.deepEqual(payloads(random.split(input), 61), payloads([input], -1));
  });
  const failure = fuzz(target, { seed: SEED, inputs: 100_000 }, () => {});
  assert.match(failure?.error ?? '', /Expected values to be strictly deep-equal/);
  assert.equal(
    fuzz(
      planted((input, random) => void payloads(random.split(input), -1)),
      { seed: SEED, inputs: 1_000 },
      () => {},
    ),
    undefined,
  );
});

test('planted growth of memory is found', () => {
  const kept: Buffer[] = [];
  const target = planted((input) => void kept.push(Buffer.alloc(20_000, input[0])));
  assert.match(fuzz(target, { seed: SEED, inputs: 3_000 }, () => {})?.error ?? '', /memory grew by/);
});
