import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  FrameEncoder,
  HEADER_BYTES,
  HmacScratch,
  newSensorId,
  parseSensorId,
  type RefusalCode,
  type SensorId,
} from '@d4ts/protocol';
import type { Sensor } from '../registry/port.ts';
import { Admission, type AdmissionPolicy, type Refusal } from './admission.ts';
import { Session, type SessionEffects, type StreamStart } from './session.ts';

const KEY = 'the key';
const NOW = 1_800_000_000;
const TIMEOUTS = { headerTimeoutMs: 30_000, payloadTimeoutMs: 30_000 };
const id = newSensorId();

function sensorOf(fields: Partial<Sensor> = {}): Sensor {
  const known = { description: '', mail: '', thirdParty: false, unproven: false, createdAt: 0 };
  return { uuid: id, key: KEY, state: 'approved', ...known, ...fields };
}

/** A session over a registry in a map; all that it asks for is kept. */
class World implements SessionEffects {
  readonly sensors = new Map<SensorId, Sensor>([[id, sensorOf()]]);
  readonly blocked = new Set<SensorId>();
  readonly accepted = new Set(['2', '3', '6', '254', 'maltrail']);
  readonly opened: StreamStart[] = [];
  readonly provedSensors: SensorId[] = [];
  readonly enrolled: SensorId[] = [];
  readonly refusals: Refusal[] = [];
  payload = '';
  mayEnrol = true;
  openRefusal: RefusalCode | undefined;
  declareRefusal: RefusalCode | undefined;
  formatRefusal: RefusalCode | undefined;
  readonly session: Session;

  constructor(policy: Partial<AdmissionPolicy> = {}) {
    const facts = {
      sensor: (sensor: SensorId) => this.sensors.get(sensor),
      isBlocked: (sensor: SensorId) => this.blocked.has(sensor),
      accepts: (topic: string) => this.accepted.has(topic),
    };
    const admission = new Admission(facts, {
      mode: 'registration',
      defaultKey: undefined,
      maxPayloadBytes: 1000,
      scratch: new HmacScratch(),
      ...policy,
    });
    this.session = new Session(admission, this, TIMEOUTS, 0);
  }

  enrol(sensor: SensorId): boolean {
    if (this.mayEnrol) this.enrolled.push(sensor);
    return this.mayEnrol;
  }

  proved(sensor: SensorId): void {
    this.provedSensors.push(sensor);
  }

  declaring(): RefusalCode | undefined {
    return this.declareRefusal;
  }

  open(start: StreamStart) {
    this.opened.push(start);
    if (this.openRefusal !== undefined) return this.openRefusal;
    return {
      push: (payload: Buffer) => {
        this.payload += payload.toString('latin1');
        return this.formatRefusal;
      },
    };
  }

  refused(refusal: Refusal): void {
    this.refusals.push(refusal);
  }

  /** Frames of type and text, from one sensor with one key. */
  send(...frames: [type: number, text: string][]): void {
    this.receive(frame(...frames));
  }

  receive(bytes: Buffer): void {
    this.session.receive(bytes, 0);
  }

  /** The one refusal there must be. */
  get refusal(): [RefusalCode, 'verified' | 'claimed'] {
    assert.equal(this.refusals.length, 1);
    const { code, verified } = this.refusals[0] ?? assert.fail();
    assert.ok(this.session.over);
    return [code, verified ? 'verified' : 'claimed'];
  }
}

function signed(options: { sensor?: SensorId; key?: string }, type: number, text: string, timestamp = NOW): Buffer {
  const { sensor = id, key = KEY } = options;
  return new FrameEncoder({ sensor, key: Buffer.from(key), version: 1 }).encode(type, Buffer.from(text), timestamp);
}

function frame(...frames: [type: number, text: string][]): Buffer {
  return Buffer.concat(frames.map(([type, text]) => signed({}, type, text)));
}

describe('the first frame', () => {
  test('of an approved sensor and an accepted type opens a stream', () => {
    const world = new World();
    world.send([3, 'one\n'], [3, 'two\n'], [3, '']);
    assert.deepEqual(world.refusals, []);
    assert.deepEqual(world.provedSensors, [id]);
    assert.deepEqual(world.opened, [{ sensor: id, topic: '3', type: 3, metaHeader: undefined }]);
    assert.equal(world.payload, 'one\ntwo\n');
    assert.equal(world.session.frames, 3);
    assert.equal(world.session.bytes, 8);
    assert.equal(world.session.newestTimestamp, NOW);
  });

  test('may be empty', () => {
    const world = new World();
    world.send([3, ''], [3, 'one\n']);
    assert.equal(world.payload, 'one\n');
  });

  test('uuid not v4: from the header alone', () => {
    for (const sensor of ['00000000-0000-0000-0000-000000000000', 'c232ab00-9414-11ec-b3c8-9f6bdeced846']) {
      const world = new World();
      world.receive(signed({ sensor: parseSensorId(sensor) }, 3, 'x').subarray(0, HEADER_BYTES));
      assert.deepEqual(world.refusal, ['uuid-not-v4', 'claimed']);
      assert.equal(world.refusals[0]?.sensor, sensor);
    }
  });

  test('blocked uuid: from the header alone, before anything of its registration', () => {
    const world = new World();
    world.blocked.add(id);
    world.sensors.delete(id);
    world.receive(frame([3, 'x']).subarray(0, HEADER_BYTES));
    assert.deepEqual(world.refusal, ['blocked-uuid', 'claimed']);
  });

  test('not registered: from the header alone, with its type', () => {
    const world = new World();
    world.sensors.delete(id);
    world.receive(frame([8, 'x']).subarray(0, HEADER_BYTES));
    assert.deepEqual(world.refusal, ['not-registered', 'claimed']);
    assert.equal(world.refusals[0]?.type, 8);
  });

  for (const state of ['pending', 'revoked'] as const) {
    test(`${state}: verified where the HMAC is right, else the HMAC is wrong`, () => {
      const world = new World();
      world.sensors.set(id, sensorOf({ state }));
      world.send([99, 'x']);
      assert.deepEqual(world.refusal, [state, 'verified']);
      const forged = new World();
      forged.sensors.set(id, sensorOf({ state }));
      forged.receive(signed({ key: 'guessed' }, 3, 'x'));
      assert.deepEqual(forged.refusal, ['hmac-wrong', 'claimed']);
      assert.deepEqual(world.provedSensors, []);
    });

    test(`${state}, and over the limit: claimed, from the header alone`, () => {
      const world = new World();
      world.sensors.set(id, sensorOf({ state }));
      world.receive(frame([3, 'x'.repeat(1001)]).subarray(0, HEADER_BYTES));
      assert.deepEqual(world.refusal, [state, 'claimed']);
    });
  }

  test('type not accepted: verified, or claimed where it is over the limit', () => {
    const world = new World();
    world.send([8, 'x']);
    assert.deepEqual(world.refusal, ['type-not-accepted', 'verified']);
    const large = new World();
    large.receive(frame([8, 'x'.repeat(1001)]).subarray(0, HEADER_BYTES));
    assert.deepEqual(large.refusal, ['type-not-accepted', 'claimed']);
  });

  test('size over the limit: from the header alone', () => {
    const world = new World();
    world.receive(frame([3, 'x'.repeat(1001)]).subarray(0, HEADER_BYTES));
    assert.deepEqual(world.refusal, ['size-over-limit', 'claimed']);
    const fits = new World();
    fits.send([3, 'x'.repeat(1000)]);
    assert.deepEqual(fits.refusals, []);
  });

  test("the sensor's own limit goes before the server's", () => {
    const world = new World();
    world.sensors.set(id, sensorOf({ maxPayloadBytes: 10 }));
    world.send([3, 'x'.repeat(11)]);
    assert.deepEqual(world.refusal, ['size-over-limit', 'claimed']);
  });

  test('HMAC wrong', () => {
    const world = new World();
    world.receive(signed({ key: 'guessed' }, 3, 'x'));
    assert.deepEqual(world.refusal, ['hmac-wrong', 'claimed']);
    assert.deepEqual(world.opened, []);
  });

  test('a key over 100 bytes is also right as the Go client cuts it', () => {
    const key = 'k'.repeat(150);
    for (const used of [key, key.slice(0, 100)]) {
      const world = new World();
      world.sensors.set(id, sensorOf({ key }));
      world.receive(Buffer.concat([signed({ key: used }, 3, 'a'), signed({ key: used }, 3, 'b')]));
      assert.equal(world.payload, 'ab');
    }
    const world = new World();
    world.sensors.set(id, sensorOf({ key }));
    world.receive(signed({ key: key.slice(0, 99) }, 3, 'a'));
    assert.deepEqual(world.refusal, ['hmac-wrong', 'claimed']);
  });

  test('254 before 2', () => {
    const world = new World();
    world.send([254, 'x']);
    assert.deepEqual(world.refusal, ['no-meta-header', 'verified']);
  });

  test('a sensor that was revoked while its payload was on its way is refused', () => {
    const world = new World();
    const bytes = frame([3, 'one\n']);
    world.receive(bytes.subarray(0, 64));
    world.sensors.set(id, sensorOf({ state: 'revoked' }));
    world.receive(bytes.subarray(64));
    assert.deepEqual(world.refusal, ['revoked', 'verified']);
  });
});

describe('shared-secret mode', () => {
  const shared = { mode: 'shared-secret', defaultKey: 'shared' } as const;

  test('an unknown sensor that proves the default key may register itself', () => {
    const world = new World(shared);
    world.sensors.delete(id);
    world.receive(signed({ key: 'shared' }, 3, 'one\n'));
    assert.deepEqual(world.enrolled, [id]);
    assert.equal(world.payload, 'one\n');
  });

  test('not with a type that is not accepted, nor with a wrong HMAC, nor over the cap', () => {
    const attempt = (bytes: Buffer, mayEnrol: boolean) => {
      const world = new World(shared);
      world.sensors.delete(id);
      world.mayEnrol = mayEnrol;
      world.receive(bytes);
      assert.deepEqual(world.enrolled, []);
      return world.refusal;
    };
    assert.deepEqual(attempt(signed({ key: 'shared' }, 8, 'x'), true), ['type-not-accepted', 'claimed']);
    assert.deepEqual(attempt(signed({ key: 'shared' }, 254, 'x'), true), ['no-meta-header', 'claimed']);
    assert.deepEqual(attempt(signed({}, 3, 'x'), true), ['hmac-wrong', 'claimed']);
    assert.deepEqual(attempt(signed({ key: 'shared' }, 3, 'x'), false), ['too-many-sensors', 'claimed']);
  });

  test('the default key never works where a sensor has its own', () => {
    const world = new World(shared);
    world.receive(signed({ key: 'shared' }, 3, 'x'));
    assert.deepEqual(world.refusal, ['hmac-wrong', 'claimed']);
    const unproven = new World(shared);
    unproven.sensors.set(id, sensorOf({ key: 'an older shared key', unproven: true }));
    unproven.receive(signed({ key: 'shared' }, 3, 'x'));
    assert.equal(unproven.payload, 'x');
    assert.deepEqual(unproven.enrolled, []);
  });

  test('the default key means nothing in registration mode', () => {
    const world = new World({ defaultKey: 'shared' });
    world.sensors.delete(id);
    world.receive(signed({ key: 'shared' }, 3, 'x'));
    assert.deepEqual(world.refusal, ['not-registered', 'claimed']);
  });
});

describe('later frames', () => {
  const after = (world: World, bytes: Buffer) => {
    world.send([3, 'one\n']);
    assert.deepEqual(world.refusals, []);
    world.receive(bytes);
    assert.equal(world.payload, 'one\n');
    return world.refusal;
  };

  test('size over the limit, HMAC wrong', () => {
    const large = frame([3, 'x'.repeat(1001)]).subarray(0, HEADER_BYTES);
    assert.deepEqual(after(new World(), large), ['size-over-limit', 'claimed']);
    assert.deepEqual(after(new World(), signed({ key: 'other' }, 3, 'x')), ['hmac-wrong', 'claimed']);
  });

  test("uuid changed: verified under either sensor's key, and then the fault of the first", () => {
    const other = newSensorId();
    const stranger = new World();
    assert.deepEqual(after(stranger, signed({ sensor: other, key: 'x' }, 3, 'x')), ['uuid-changed', 'claimed']);
    assert.equal(stranger.refusals[0]?.sensor, other);
    assert.deepEqual(after(new World(), signed({ sensor: other }, 3, 'x')), ['uuid-changed', 'verified']);
    const known = new World();
    known.sensors.set(other, sensorOf({ uuid: other, key: 'their own' }));
    assert.deepEqual(after(known, signed({ sensor: other, key: 'their own' }, 3, 'x')), ['uuid-changed', 'verified']);
    assert.equal(known.refusals[0]?.sensor, id);
  });

  test('type not accepted, type changed', () => {
    assert.deepEqual(after(new World(), frame([8, 'x'])), ['type-not-accepted', 'verified']);
    assert.deepEqual(after(new World(), frame([6, 'x'])), ['type-changed', 'verified']);
    assert.deepEqual(after(new World(), frame([2, '{"type":"maltrail"}'])), ['type-changed', 'verified']);
    assert.deepEqual(after(new World(), frame([254, 'x'])), ['type-changed', 'verified']);
  });

  test('nothing is taken after a refusal', () => {
    const world = new World();
    world.send([3, 'one\n'], [6, 'x'], [3, 'two\n']);
    world.send([3, 'three\n']);
    assert.equal(world.payload, 'one\n');
    assert.deepEqual(world.refusal, ['type-changed', 'verified']);
  });

  test('a format and a table can refuse', () => {
    const format = new World();
    format.formatRefusal = 'not-the-format';
    format.send([3, 'x']);
    assert.deepEqual(format.refusal, ['not-the-format', 'verified']);
    const table = new World();
    table.openRefusal = 'too-many-sessions';
    table.send([3, 'x']);
    assert.deepEqual(table.refusal, ['too-many-sessions', 'verified']);
  });
});

describe('the meta header', () => {
  test('on its way needs a place among the others of its sensor', () => {
    const world = new World();
    world.declareRefusal = 'too-many-sessions';
    world.send([2, '']);
    assert.deepEqual(world.refusal, ['too-many-sessions', 'verified']);
  });

  const outcome = (...frames: [number, string][]) => {
    const world = new World();
    world.send(...frames);
    return world;
  };

  test('in several frames, with empty ones and white space around it, then 254', () => {
    const world = outcome(
      [2, ''],
      [2, ' {"type":'],
      [2, ''],
      [2, '"maltrail"} \n'],
      [2, ''],
      [254, 'one\n'],
      [2, '\n'],
      [254, 'two\n'],
    );
    assert.deepEqual(world.refusals, []);
    const metaHeader = '{"type":"maltrail"}';
    assert.deepEqual(world.opened, [{ sensor: id, topic: 'maltrail', type: 254, metaHeader }]);
    assert.equal(world.payload, 'one\ntwo\n');
    assert.equal(world.session.streamFrames, 2);
  });

  test('what is not one is refused as soon as that is known', () => {
    for (const text of ['5', '{"type":["maltrail"]}', '{"type":5}', '[', '{}', 'x']) {
      assert.deepEqual(outcome([2, text]).refusal, ['bad-meta-header', 'verified'], text);
    }
  });

  test('a name that cannot be accepted, or is not', () => {
    for (const name of ['other', '3', '../../etc', '', 'MALTRAIL']) {
      assert.deepEqual(
        outcome([2, JSON.stringify({ type: name })]).refusal,
        ['meta-type-not-accepted', 'verified'],
        name,
      );
    }
  });

  test('a wire type only where the stream was forwarded', () => {
    const forwarded = { type: '3', 'd4-forwarded-by': ['a'] };
    const world = outcome([2, JSON.stringify(forwarded)], [254, 'x\n']);
    assert.deepEqual([world.refusals, world.opened[0]?.topic, world.payload], [[], '3', 'x\n']);
    for (const type of ['2', '254', '999', '03']) {
      const refused = outcome([2, JSON.stringify({ ...forwarded, type })]).refusal;
      assert.deepEqual(refused, ['meta-type-not-accepted', 'verified'], type);
    }
  });

  test('254 before it, or before it is complete', () => {
    assert.deepEqual(outcome([2, ''], [2, ' \n'], [254, 'x']).refusal, ['no-meta-header', 'verified']);
    assert.deepEqual(outcome([2, '{"type"'], [254, 'x']).refusal, ['bad-meta-header', 'verified']);
  });

  test('followed by something else', () => {
    const header: [number, string] = [2, '{"type":"maltrail"}'];
    assert.deepEqual(outcome(header, [3, 'x']).refusal, ['type-changed', 'verified']);
    assert.deepEqual(outcome([2, '{'], [3, 'x']).refusal, ['type-changed', 'verified']);
    assert.deepEqual(outcome(header, [2, '{}']).refusal, ['bad-meta-header', 'verified']);
    assert.deepEqual(outcome(header, [254, 'one\n'], [2, '{}']).refusal, ['type-changed', 'verified']);
  });

  test('254 itself not accepted', () => {
    const world = new World();
    world.accepted.delete('254');
    world.send([2, '{"type":"maltrail"}'], [254, 'x']);
    assert.deepEqual(world.refusal, ['type-not-accepted', 'verified']);
  });
});

describe('time-outs', () => {
  const bytes = frame([3, 'one\n'], [3, 'two\n']);
  const length = bytes.length / 2;

  test('30 s from the first byte of an incomplete header, whatever else of it comes', () => {
    const { session, refusals } = new World();
    session.receive(bytes.subarray(0, 10), 1_000);
    session.receive(bytes.subarray(10, 20), 30_000);
    session.tick(30_999);
    assert.equal(refusals.length, 0);
    session.tick(31_000);
    assert.equal(refusals[0]?.code, 'header-timeout');
  });

  test('the time of another header starts anew', () => {
    const { session, refusals } = new World();
    session.receive(bytes.subarray(0, 10), 0);
    session.receive(bytes.subarray(10, length + 10), 29_000);
    session.tick(58_000);
    assert.equal(refusals.length, 0);
    session.tick(59_000);
    assert.deepEqual([refusals[0]?.code, refusals[0]?.verified, refusals[0]?.sensor], ['header-timeout', false, id]);
  });

  test('30 s without progress in a payload', () => {
    const { session, refusals } = new World();
    session.receive(bytes.subarray(0, HEADER_BYTES), 0);
    session.receive(bytes.subarray(HEADER_BYTES, HEADER_BYTES + 1), 29_000);
    session.tick(58_999);
    assert.equal(refusals.length, 0);
    session.tick(59_000);
    assert.deepEqual([refusals[0]?.code, refusals[0]?.sensor], ['payload-timeout', id]);
  });

  test('silence between frames has no end, and time in which the server did not read does not count', () => {
    const { session, refusals } = new World();
    session.tick(1_000_000);
    session.receive(bytes.subarray(0, length), 1_000_000);
    session.tick(2_000_000);
    session.receive(bytes.subarray(length, length + 5), 2_000_000);
    session.resumed(3_000_000);
    session.tick(3_029_999);
    assert.equal(refusals.length, 0);
  });
});

describe('changes in the registry', () => {
  const streaming = () => {
    const world = new World();
    world.send([2, '{"type":"maltrail"}'], [254, 'one\n']);
    return world;
  };

  test('those that do not concern the session leave it alone, a new limit holds at once', () => {
    const world = streaming();
    world.accepted.delete('3');
    world.sensors.set(id, sensorOf({ maxPayloadBytes: 4 }));
    world.session.reconsider();
    world.send([254, 'two\n']);
    assert.deepEqual(world.refusals, []);
    world.send([254, 'three\n']);
    assert.deepEqual(world.refusal, ['size-over-limit', 'claimed']);
  });

  const refuses = (code: RefusalCode, how: 'verified' | 'claimed', change: (world: World) => void) =>
    test(`${code}`, () => {
      const world = streaming();
      change(world);
      world.session.reconsider();
      assert.deepEqual(world.refusal, [code, how]);
      assert.equal(world.refusals[0]?.sensor, id);
    });
  refuses('revoked', 'verified', (world) => world.sensors.set(id, sensorOf({ state: 'revoked' })));
  refuses('not-registered', 'claimed', (world) => world.sensors.delete(id));
  refuses('blocked-uuid', 'verified', (world) => world.blocked.add(id));
  refuses('type-not-accepted', 'verified', (world) => world.accepted.delete('254'));
  refuses('meta-type-not-accepted', 'verified', (world) => world.accepted.delete('maltrail'));

  test('a sensor that registers itself is not gone while it is not there yet', () => {
    const world = new World({ mode: 'shared-secret', defaultKey: KEY });
    world.sensors.delete(id);
    world.send([3, 'one\n']);
    world.session.reconsider();
    world.sensors.set(id, sensorOf({ unproven: true }));
    world.session.reconsider();
    world.send([3, 'two\n']);
    assert.deepEqual(world.refusals, []);
    world.sensors.delete(id);
    world.session.reconsider();
    assert.deepEqual(world.refusal, ['not-registered', 'claimed']);
  });
});
