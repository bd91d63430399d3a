import assert from 'node:assert/strict';
import { FrameEncoder, HmacScratch, parseSensorId, type RefusalCode, type SensorId } from '@d4ts/protocol';
import type { FuzzTarget, Random } from '@d4ts/testkit';
import type { Sensor } from '../registry/port.ts';
import { Admission, type Refusal } from './admission.ts';
import { MetaHeaderReader } from './meta-header.ts';
import { Session, type SessionEffects, type StreamStart } from './session.ts';

const SENSOR = parseSensorId('00000000-0000-4000-8000-000000000001');
const UNKNOWN = parseSensorId('00000000-0000-4000-8000-000000000002');
const KEY = 'a key';
const META_HEADERS = [
  '{"type":"maltrail"}',
  '{ "type" : "maltrail", "a": [1, {"b": "}"}] }\n',
  '{"type":"x',
  '[]',
  '{}',
];
const document: Sensor = {
  uuid: SENSOR,
  key: KEY,
  state: 'approved',
  description: '',
  mail: '',
  thirdParty: false,
  unproven: false,
  createdAt: 0,
};
const facts = {
  sensor: (id: SensorId) => (id === SENSOR ? document : undefined),
  isBlocked: () => false,
  accepts: (topic: string) => ['2', '3', '254', 'maltrail'].includes(topic),
};
const policy = { mode: 'registration', defaultKey: undefined, maxPayloadBytes: 500 } as const;
const admission = new Admission(facts, { ...policy, scratch: new HmacScratch() });
const encoders = [
  new FrameEncoder({ sensor: SENSOR, key: Buffer.from(KEY), version: 1 }),
  new FrameEncoder({ sensor: SENSOR, key: Buffer.from(KEY), version: 1 }),
  new FrameEncoder({ sensor: SENSOR, key: Buffer.from('another'), version: 1 }),
  new FrameEncoder({ sensor: UNKNOWN, key: Buffer.from(KEY), version: 1 }),
];

/** What a session did. */
class Witness implements SessionEffects {
  readonly did: string[] = [];
  received = '';
  #over = false;

  enrol(): boolean {
    return this.#note('enrol', false);
  }
  proved(id: SensorId): void {
    this.#note(`proved ${id}`, undefined);
  }
  declaring(): undefined {}
  open({ topic, metaHeader }: StreamStart) {
    this.#note(`open ${topic} ${metaHeader}`, undefined);
    return {
      push: (payload: Buffer): RefusalCode | undefined => {
        assert.ok(!this.#over, 'bytes were delivered after the refusal');
        this.received += payload.toString('latin1');
        return payload[0] === 0x21 ? 'not-the-format' : undefined;
      },
    };
  }
  refused({ code, sensor, verified }: Refusal): void {
    this.#note(`refused ${code} ${sensor} ${verified}`, undefined);
    this.#over = true;
  }
  #note<T>(what: string, answer: T): T {
    assert.ok(!this.#over, `${what} after the refusal`);
    this.did.push(what);
    return answer;
  }
}

function played(pieces: readonly Buffer[]) {
  const witness = new Witness();
  const session = new Session(admission, witness, { headerTimeoutMs: 30, payloadTimeoutMs: 30 }, 0);
  for (const piece of pieces) session.receive(Buffer.from(piece), 0);
  assert.ok(session.pendingBytes < 600, `${session.pendingBytes} bytes are held`);
  return { did: witness.did, received: witness.received, over: session.over, frames: session.frames };
}

function frames(random: Random): Buffer {
  const payload = (): Buffer =>
    random.of([
      () => Buffer.from(random.of(META_HEADERS)),
      () => Buffer.from('a line\n'),
      () => Buffer.alloc(random.below(520), 0x78),
      () => Buffer.from('!'),
    ])();
  const type = random.of([3, 2]);
  return Buffer.concat(
    Array.from({ length: random.below(5) }, (_, i) =>
      random
        .of(encoders)
        .encode(type === 2 && i > 0 ? random.of([254, 254, 2]) : type, payload(), random.below(2 ** 31)),
    ),
  );
}

const session: FuzzTarget = {
  name: 'session',
  corpus: [frames0(3), frames0(254)],
  words: META_HEADERS.map((text) => Buffer.from(text)),
  generate: frames,
  run(input, random) {
    assert.deepEqual(played(random.split(input)), played([input]));
  },
};

function frames0(type: number): Buffer {
  const encoder = new FrameEncoder({ sensor: SENSOR, key: Buffer.from(KEY), version: 1 });
  const lines = encoder.encode(type, Buffer.from('a line\n'), 1);
  return type === 254 ? Buffer.concat([encoder.encode(2, Buffer.from('{"type":"maltrail"}'), 1), lines]) : lines;
}

function readHeader(pieces: readonly Buffer[]): unknown {
  const reader = new MetaHeaderReader();
  let read: unknown = 'nothing';
  for (const piece of pieces) {
    read = reader.push(Buffer.from(piece));
    if (read === 'bad') break;
  }
  return read;
}

const metaHeader: FuzzTarget = {
  name: 'meta-header',
  corpus: META_HEADERS.map((text) => Buffer.from(text)),
  words: ['{', '}', '"', '\\', '"type":', '\\u0000', '[', ']', ',', ':', 'null', '1e5', ' ', '\ufeff', '\xff'].map(
    (text) => Buffer.from(text),
  ),
  run(input, random) {
    assert.deepEqual(readHeader(random.split(input)), readHeader([input]));
  },
};

export default [session, metaHeader];
