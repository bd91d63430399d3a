import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameEncoder, HmacScratch, parseSensorId, type RefusalCode, type SensorId } from '@d4ts/protocol';
import fc from 'fast-check';
import type { Sensor } from '../registry/port.ts';
import { Admission, type Refusal } from './admission.ts';
import { Session, type SessionEffects, type StreamStart } from './session.ts';

/** The same cases in every run. */
const SEED = 20_261_122;
const RUNS = 400;

const IDS = [
  parseSensorId('00000000-0000-4000-8000-000000000001'),
  parseSensorId('00000000-0000-4000-8000-000000000002'),
] as const;
const UNKNOWN = parseSensorId('00000000-0000-4000-8000-000000000003');
const KEY = 'a key';
const META_HEADER = '{"type":"maltrail"}';

/** What a session did, in order. */
class Witness implements SessionEffects {
  readonly did: string[] = [];
  received = '';
  refusals = 0;
  streams = 0;
  readonly session: Session;

  constructor(state: { sensors: Map<SensorId, Sensor>; accepted: Set<string> }) {
    const facts = {
      sensor: (id: SensorId) => state.sensors.get(id),
      isBlocked: () => false,
      accepts: (topic: string) => state.accepted.has(topic),
    };
    const policy = { mode: 'registration', defaultKey: undefined, maxPayloadBytes: 500 } as const;
    const admission = new Admission(facts, { ...policy, scratch: new HmacScratch() });
    this.session = new Session(admission, this, { headerTimeoutMs: 30, payloadTimeoutMs: 30 }, 0);
  }

  enrol(): boolean {
    return this.#note('enrol', false);
  }

  proved(id: SensorId): void {
    this.#note(`proved ${id}`, undefined);
  }

  declaring(): undefined {}

  open(start: StreamStart) {
    this.#note(`open ${start.topic} ${start.metaHeader}`, undefined);
    this.streams += 1;
    return {
      push: (payload: Buffer): RefusalCode | undefined => {
        assert.equal(this.refusals, 0, 'bytes were delivered after the refusal');
        this.received += payload.toString('latin1');
        return payload[0] === 0x21 ? 'not-the-format' : undefined;
      },
    };
  }

  refused({ code, sensor, verified, type }: Refusal): void {
    this.refusals += 1;
    this.did.push(`refused ${code} ${sensor} ${verified} ${type}`);
  }

  /** Everything that must not depend on how the stream was split. */
  get summary() {
    return { did: this.did, received: this.received, frames: this.session.frames, over: this.session.over };
  }

  #note<T>(what: string, answer: T): T {
    assert.equal(this.refusals, 0, `${what} after the refusal`);
    this.did.push(what);
    return answer;
  }
}

function newState() {
  const sensors = new Map(IDS.map((uuid) => [uuid, sensorOf(uuid)]));
  return { sensors, accepted: new Set(['2', '3', '254', 'maltrail']) };
}

function sensorOf(uuid: SensorId, changes: Partial<Sensor> = {}): Sensor {
  const facts = { description: '', mail: '', thirdParty: false, unproven: false, createdAt: 0 };
  return { uuid, key: KEY, state: 'approved', ...facts, ...changes };
}

const frameBytes = fc
  .record({
    sensor: fc.constantFrom(IDS[0], IDS[0], IDS[0], IDS[1], UNKNOWN),
    key: fc.constantFrom(KEY, KEY, KEY, KEY, 'another key'),
    type: fc.constantFrom(3, 3, 3, 2, 254, 254, 8, 0),
    payload: fc.oneof(
      fc.constantFrom('', 'a line\n', META_HEADER, META_HEADER.slice(0, 9), META_HEADER.slice(9), '!', ' '),
      fc.string({ unit: 'binary', maxLength: 20 }),
      fc.nat(510).map((length) => 'x'.repeat(length)),
    ),
  })
  .map(({ sensor, key, type, payload }) =>
    new FrameEncoder({ sensor, key: Buffer.from(key), version: 1 }).encode(type, Buffer.from(payload, 'latin1'), 1),
  );

/** Frames, some with bytes that were changed on the way, and perhaps noise behind them. */
const stream = fc
  .tuple(
    fc.array(frameBytes, { maxLength: 8 }),
    fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 1 }),
    fc.oneof({ weight: 3, arbitrary: fc.constant(new Uint8Array()) }, fc.uint8Array({ maxLength: 100 })),
  )
  .map(([frames, damages, noise]) => {
    const bytes = Buffer.concat([...frames, noise]);
    for (const [at, byte] of damages) if (bytes.length > 0) bytes[at % bytes.length] = byte;
    return bytes;
  });

const pieces = fc.array(fc.oneof(fc.nat(3), fc.integer({ min: 55, max: 70 }), fc.nat(600)), { maxLength: 30 });

function* split(bytes: Buffer, lengths: readonly number[]): Iterable<Buffer> {
  let at = 0;
  for (const length of lengths) {
    yield bytes.subarray(at, at + length);
    at = Math.min(bytes.length, at + length);
  }
  yield bytes.subarray(at);
}

test('whatever comes, however it is split, does the same', () => {
  let streams = 0;
  let refusals = 0;
  fc.assert(
    fc.property(stream, pieces, (bytes, lengths) => {
      const whole = new Witness(newState());
      whole.session.receive(bytes, 0);
      const inPieces = new Witness(newState());
      for (const piece of split(bytes, lengths)) inPieces.session.receive(piece, 0);
      assert.deepEqual(inPieces.summary, whole.summary);
      assert.ok(whole.refusals <= 1 && whole.streams <= 1);
      assert.equal(whole.session.over, whole.refusals === 1);
      streams += whole.streams;
      refusals += whole.refusals;
    }),
    { seed: SEED, numRuns: RUNS },
  );
  assert.ok(streams > RUNS / 10 && refusals > RUNS / 10, 'the cases reach the streams, and the refusals');
});

test('changes and time between the pieces never deliver what is not verified, and refuse once at the most', () => {
  type State = ReturnType<typeof newState>;
  const changes: Record<string, (state: State, session: Session) => void> = {
    revoked: ({ sensors }) => sensors.set(IDS[0], sensorOf(IDS[0], { state: 'revoked' })),
    approved: ({ sensors }) => sensors.set(IDS[0], sensorOf(IDS[0])),
    'new key': ({ sensors }) => sensors.set(IDS[0], sensorOf(IDS[0], { key: 'another key' })),
    'small limit': ({ sensors }) => sensors.set(IDS[0], sensorOf(IDS[0], { maxPayloadBytes: 5 })),
    removed: ({ sensors }) => sensors.delete(IDS[0]),
    'type removed': ({ accepted }) => accepted.delete('3'),
    closed: (_, session) => session.close('too-many-sessions'),
    ended: (_, session) => session.end(),
    waited: (_, session) => session.tick(1_000),
  };
  fc.assert(
    fc.property(
      stream,
      pieces,
      fc.array(fc.option(fc.constantFrom(...Object.keys(changes)), { freq: 3 })),
      (bytes, lengths, between) => {
        const state = newState();
        const witness = new Witness(state);
        let sent = 0;
        for (const [i, piece] of [...split(bytes, lengths)].entries()) {
          witness.session.receive(piece, i);
          sent += piece.length;
          const change = changes[between[i] ?? ''];
          change?.(state, witness.session);
          if (change !== undefined) witness.session.reconsider();
        }
        assert.ok(witness.refusals <= 1);
        const proved = witness.did.some((what) => what.startsWith('proved'));
        assert.ok(witness.received === '' || proved);
        assert.ok(witness.received.length <= sent);
      },
    ),
    { seed: SEED, numRuns: RUNS },
  );
});
