import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  ACK_TYPE,
  AckDecoder,
  AckMac,
  type AckOpen,
  AckSender,
  type AckType,
  deriveAckKeys,
  type EndCause,
  HmacScratch,
  newSensorId,
  PREVIOUS_CAUSE,
  parseSensorId,
  type RefusalCode,
  readAccept,
  readAck,
  readChallenge,
  readRefuse,
  type SensorId,
  wholeBody,
} from '@d4ts/protocol';
import fc from 'fast-check';
import type { Sensor } from '../registry/port.ts';
import { AckSession, type AckSessionEffects } from './ack-session.ts';
import { Admission, type AdmissionPolicy, type Refusal } from './admission.ts';
import type { StreamStart } from './session.ts';

const KEY = 'the key';
const STREAM = '00'.repeat(15).concat('01');
const SCRATCH = new HmacScratch();
const TIMES = { headerTimeoutMs: 30_000, payloadTimeoutMs: 30_000, heartbeatMs: 15_000 };
const EMPTY = Buffer.alloc(0);
const id = newSensorId();

function sensorOf(fields: Partial<Sensor> = {}): Sensor {
  const known = { description: '', mail: '', thirdParty: false, unproven: false, createdAt: 0 };
  return { uuid: id, key: KEY, state: 'approved', ...known, ...fields };
}

/** A session over a registry in a map, and the client on its other side; all that either says is kept. */
class World implements AckSessionEffects {
  readonly sensors = new Map<SensorId, Sensor>([[id, sensorOf()]]);
  readonly blocked = new Set<SensorId>();
  readonly accepted = new Set(['1', '3', '254', 'maltrail']);
  readonly opened: StreamStart[] = [];
  readonly provedSensors: SensorId[] = [];
  readonly refusals: Refusal[] = [];
  readonly gaps: [number, string, number][] = [];
  ended: [number, EndCause] | undefined;
  payload = '';
  mayEnrol = true;
  formatRefusal: RefusalCode | undefined;
  wallClock = 0;
  /** What the server has said: types, offsets and states. */
  readonly said: string[] = [];
  readonly session: AckSession;
  readonly #decoder: AckDecoder;
  #nonce: Buffer = EMPTY;
  #keys: ReturnType<typeof deriveAckKeys> | undefined;
  #incoming: AckMac | undefined;
  #sender: AckSender | undefined;

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
      scratch: SCRATCH,
      now: () => this.wallClock,
      ...policy,
    });
    this.#decoder = new AckDecoder({
      head: () => true,
      message: (message) => {
        const body = wholeBody(message.body);
        if (message.type === ACK_TYPE.challenge) this.#nonce = readChallenge(body).nonce;
        const mac = message.mac.every((byte) => byte === 0) ? 'unproved' : this.#incoming?.verifies(message);
        if (message.type === ACK_TYPE.challenge) this.said.push('challenge');
        if (message.type === ACK_TYPE.accept) this.said.push(`accept ${readAccept(body).offset} ${mac}`);
        if (message.type === ACK_TYPE.refuse) this.said.push(`refuse ${readRefuse(body).code} ${mac}`);
        if (message.type === ACK_TYPE.ack) this.said.push(`ack ${readAck(body).offset} ${readAck(body).state} ${mac}`);
        return true;
      },
    });
    const options = { ...TIMES, scratch: SCRATCH, wallOffsetMs: 0, nonce: Buffer.alloc(32, 9) };
    this.session = new AckSession(admission, this, options, 0);
    this.session.begin();
  }

  send(bytes: Buffer): void {
    this.#decoder.push(bytes);
  }

  enrol(): boolean {
    return this.mayEnrol;
  }

  proved(sensor: SensorId): void {
    this.provedSensors.push(sensor);
  }

  openAcknowledged(start: StreamStart): void {
    this.opened.push(start);
  }

  endAcknowledged(total: number, cause: EndCause): void {
    this.ended = [total, cause];
  }

  refused(refusal: Refusal): void {
    this.refusals.push(refusal);
  }

  /** The client's side, once an OPEN was made. */
  get client(): AckSender {
    return this.#sender ?? assert.fail('no OPEN was sent');
  }

  /** The bytes of an OPEN. */
  openBytes(fields: Partial<AckOpen> = {}, key = KEY): Buffer {
    const nonce = Buffer.alloc(32, 8);
    const challenge = { nonce: this.#nonce, openTimeoutMs: TIMES.headerTimeoutMs, heartbeatMs: TIMES.heartbeatMs };
    this.#keys = deriveAckKeys(Buffer.from(key), challenge, nonce);
    this.#sender = new AckSender(this.#keys.client, SCRATCH);
    this.#incoming = new AckMac(this.#keys.server, SCRATCH);
    return this.#sender.open({
      sensor: id,
      type: 3,
      stream: STREAM,
      nonce,
      from: 0,
      end: 0,
      crc: 0,
      previous: undefined,
      previousCause: PREVIOUS_CAUSE.none,
      metaHeader: EMPTY,
      preamble: EMPTY,
      ...fields,
    });
  }

  open(fields: Partial<AckOpen> = {}, key = KEY): void {
    this.receive(this.openBytes(fields, key));
  }

  /** Opens a stream, up to where DATA may come. */
  stream(offset = 0, crc: number | undefined = 0): this {
    this.open({ from: 0, end: offset });
    const sink = {
      push: (bytes: Buffer) => {
        this.payload += bytes.toString('latin1');
        return this.formatRefusal;
      },
      leaveOut: (to: number, cause: string, after: number) => void this.gaps.push([to, cause, after]),
    };
    this.session.opened({ kind: 'open', offset, crc, maxRecordBytes: 5000, sink });
    this.receive(this.client.resume({ offset, crc: crc ?? 12345 }));
    return this;
  }

  data(offset: number, text: string): void {
    this.receive(Buffer.concat(this.client.data(offset, [Buffer.from(text)])));
  }

  receive(bytes: Buffer, now = 0): void {
    this.session.receive(bytes, now);
  }

  /** The one refusal there must be; the client was told. */
  get refusal(): [RefusalCode, 'verified' | 'claimed'] {
    assert.equal(this.refusals.length, 1, JSON.stringify(this.refusals));
    const { code, verified } = this.refusals[0] ?? assert.fail();
    assert.ok(this.session.over);
    assert.match(this.said.at(-1) ?? '', new RegExp(`^refuse ${code} (true|unproved)$`));
    return [code, verified ? 'verified' : 'claimed'];
  }
}

describe('OPEN', () => {
  test('of an approved sensor and an accepted type asks for its stream', () => {
    const world = new World();
    world.open();
    assert.deepEqual(world.said, ['challenge']);
    assert.deepEqual(world.provedSensors, [id]);
    assert.deepEqual(world.opened, [{ sensor: id, topic: '3', type: 3, metaHeader: undefined }]);
    assert.ok(world.session.isProved);
  });

  const refused: [name: string, prepare: (world: World) => void, RefusalCode, 'verified' | 'claimed'][] = [
    ['a wrong key', (world) => world.open({}, 'another'), 'hmac-wrong', 'claimed'],
    ['an unknown sensor', (world) => world.open({ sensor: newSensorId() }), 'not-registered', 'claimed'],
    [
      'a uuid not of version 4',
      (world) => world.open({ sensor: parseSensorId('c232ab00-9414-11ec-b3c8-9f6bdeced846') }),
      'uuid-not-v4',
      'claimed',
    ],
    [
      'a blocked sensor',
      (world) => {
        world.blocked.add(id);
        world.open();
      },
      'blocked-uuid',
      'claimed',
    ],
    ...(['pending', 'revoked'] as const).map((state): (typeof refused)[number] => [
      `a sensor that is ${state}`,
      (world) => {
        world.sensors.set(id, sensorOf({ state }));
        world.open();
      },
      state,
      'verified',
    ]),
    [
      'a wrong key of a pending sensor: nothing is told of its state',
      (world) => {
        world.sensors.set(id, sensorOf({ state: 'pending' }));
        world.open({}, 'another');
      },
      'hmac-wrong',
      'claimed',
    ],
    ['a type that is not accepted', (world) => world.open({ type: 8 }), 'type-not-accepted', 'verified'],
    ['a meta header that is missing', (world) => world.open({ type: 254 }), 'bad-meta-header', 'verified'],
    [
      'a meta header of another type',
      (world) => world.open({ metaHeader: Buffer.from('{"type":"maltrail"}') }),
      'bad-meta-header',
      'verified',
    ],
    [
      'a meta header that is cut off',
      (world) => world.open({ type: 254, metaHeader: Buffer.from('{"type":"maltr') }),
      'bad-meta-header',
      'verified',
    ],
    [
      'a meta type that is not accepted',
      (world) => world.open({ type: 254, metaHeader: Buffer.from('{"type":"unheard-of"}') }),
      'meta-type-not-accepted',
      'verified',
    ],
    ['a message before it', (world) => world.receive(dataBytes(world)), 'bad-message', 'claimed'],
    [
      'bytes that are no message',
      (world) => world.receive(Buffer.from('GET / HTTP/1.1\r\n')),
      'bad-message',
      'claimed',
    ],
  ];
  for (const [name, prepare, code, verified] of refused) {
    test(`is refused: ${name}`, () => {
      const world = new World();
      prepare(world);
      assert.deepEqual(world.refusal, [code, verified]);
      assert.deepEqual(world.opened, []);
    });
  }

  test('of a declared type has its meta header', () => {
    const world = new World();
    world.open({ type: 254, metaHeader: Buffer.from(' {"type":"maltrail"}\n') });
    assert.deepEqual(world.opened, [{ sensor: id, topic: 'maltrail', type: 254, metaHeader: '{"type":"maltrail"}' }]);
  });

  test('with the key before the present one is right until that ends', () => {
    const world = new World();
    world.sensors.set(id, sensorOf({ key: 'new', previousKey: KEY, previousKeyUntil: 100 }));
    world.stream();
    assert.ok(world.session.usesPreviousKey);
    world.session.tick(1, false);
    assert.deepEqual(world.refusals, []);
    world.wallClock = 100;
    world.session.tick(2, false);
    assert.equal(world.refusal[0], 'hmac-wrong');
  });

  test('in shared-secret mode a sensor registers itself with the default key', () => {
    const world = new World({ mode: 'shared-secret', defaultKey: KEY });
    const sensor = newSensorId();
    world.open({ sensor });
    assert.deepEqual(world.provedSensors, [sensor]);
    const full = new World({ mode: 'shared-secret', defaultKey: KEY });
    full.mayEnrol = false;
    full.open({ sensor });
    assert.deepEqual(full.refusal, ['too-many-sensors', 'claimed']);
  });

  test('byte by byte, and in any pieces, is the same', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1 }), (lengths) => {
        const world = new World();
        const bytes = world.openBytes({ preamble: Buffer.alloc(500, 1) });
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const length = lengths[i % lengths.length] ?? 1;
          world.receive(bytes.subarray(at, at + length));
          at += length;
        }
        assert.equal(world.opened.length, 1);
      }),
    );
  });
});

describe('a stream', () => {
  test('is taken in order, and acknowledged as it is committed', () => {
    const world = new World().stream();
    world.data(0, 'one\n');
    world.data(4, 'two');
    assert.equal(world.payload, 'one\ntwo');
    world.session.committed(4);
    world.session.committed(4);
    assert.deepEqual(world.said, ['challenge', 'accept 0 true', 'ack 4 0 true']);
    assert.deepEqual([world.session.receivedTo, world.session.acknowledgedTo, world.session.streamBytes], [7, 4, 7]);
  });

  test('goes on only if it is the same so far', () => {
    const world = new World();
    world.open({ from: 0, end: 9 });
    const sink = { push: () => assert.fail(), leaveOut: () => assert.fail() };
    world.session.opened({ kind: 'open', offset: 7, crc: 5, maxRecordBytes: 1, sink });
    world.receive(
      Buffer.concat([world.client.resume({ offset: 7, crc: 6 }), ...world.client.data(7, [Buffer.from('x')])]),
    );
    assert.deepEqual(world.refusal, ['stream-forked', 'verified']);
  });

  test('whose CRC is not known goes on', () => {
    const world = new World().stream(7, undefined);
    world.data(7, 'x');
    assert.equal(world.payload, 'x');
  });

  test('that had ended needs nothing more', () => {
    const world = new World();
    world.open({ from: 3, end: 9 });
    world.session.opened({ kind: 'ended', offset: 9 });
    assert.deepEqual(world.said, ['challenge', 'accept 9 true']);
    world.receive(world.client.resume({ offset: 9, crc: 0 }));
    assert.deepEqual(world.refusal, ['bad-message', 'claimed']);
  });

  test('ends with its END, and is told so when that is committed', () => {
    const world = new World().stream();
    world.data(0, 'one');
    world.receive(world.client.end({ total: 3, cause: 1 }));
    assert.deepEqual(world.ended, [3, 1]);
    world.session.end();
    world.session.ended();
    assert.equal(world.said.at(-1), 'ack 3 2 true');
    world.session.tick(1_000_000, false);
    assert.equal(world.said.at(-1), 'ack 3 2 true');
  });

  test('has gaps that its client tells of', () => {
    const world = new World().stream();
    world.data(0, 'one');
    world.receive(world.client.gap({ from: 3, to: 1000, crc: 4, cause: 'spool-full' }));
    world.data(1000, 'x');
    assert.deepEqual(world.gaps, [[1000, 'spool-full', 4]]);
    assert.deepEqual([world.session.gaps, world.session.gapBytes], [1, 997]);
    assert.equal(world.payload, 'onex');
  });

  const wrong: [name: string, send: (world: World) => void, RefusalCode, 'verified' | 'claimed'][] = [
    ['bytes from another place', (world) => world.data(1, 'x'), 'bad-message', 'verified'],
    [
      'a gap from another place',
      (world) => world.receive(world.client.gap({ from: 1, to: 2, crc: 0, cause: 'x' })),
      'bad-message',
      'verified',
    ],
    [
      'an end at another place',
      (world) => world.receive(world.client.end({ total: 1, cause: 0 })),
      'bad-message',
      'verified',
    ],
    ['a second RESUME', (world) => world.receive(world.client.resume({ offset: 0, crc: 0 })), 'bad-message', 'claimed'],
    ['more in a DATA than is allowed', (world) => world.data(0, 'x'.repeat(1025)), 'size-over-limit', 'claimed'],
    [
      'a byte that was changed on the way',
      (world) => {
        const bytes = Buffer.concat(world.client.data(0, [Buffer.from('text')]));
        bytes[14] = 0;
        world.receive(bytes);
      },
      'hmac-wrong',
      'claimed',
    ],
    [
      'a message that is sent again',
      (world) => {
        const bytes = Buffer.concat(world.client.data(0, [Buffer.from('text')]));
        world.receive(Buffer.concat([bytes, bytes]));
      },
      'hmac-wrong',
      'claimed',
    ],
    [
      'bytes that are not of the format',
      (world) => {
        world.formatRefusal = 'not-the-format';
        world.data(0, 'x');
      },
      'not-the-format',
      'verified',
    ],
    ['a message of the server', (world) => world.receive(messageOf(ACK_TYPE.ack, 9)), 'bad-message', 'claimed'],
  ];
  for (const [name, send, code, verified] of wrong) {
    test(`is refused: ${name}`, () => {
      const world = new World().stream();
      send(world);
      assert.deepEqual(world.refusal, [code, verified]);
      const said = world.said.length;
      world.session.committed(1000);
      world.session.tick(1_000_000, false);
      assert.equal(world.said.length, said, 'nothing is said after a refusal');
    });
  }
});

describe('time', () => {
  test('a client that does not open is refused', () => {
    const world = new World();
    world.session.tick(29_999, false);
    assert.ok(!world.session.over);
    world.receive(world.openBytes().subarray(0, 50), 29_999);
    world.session.tick(30_000, false);
    assert.deepEqual(world.refusal, ['header-timeout', 'claimed']);
  });

  test('a message that does not come on is refused, but not while the server does not read', () => {
    const world = new World().stream();
    const bytes = Buffer.concat(world.client.data(0, [Buffer.from('text')]));
    world.receive(bytes.subarray(0, 20), 1000);
    world.session.tick(30_999, false);
    world.session.tick(31_000, true);
    assert.ok(!world.session.over);
    world.session.resumed(31_000);
    world.session.tick(60_999, false);
    assert.ok(!world.session.over);
    world.session.tick(61_000, false);
    assert.deepEqual(world.refusal, ['payload-timeout', 'claimed']);
  });

  test('a client hears of the server at every heartbeat, and when it stops and goes on reading', () => {
    const world = new World().stream();
    world.session.tick(14_999, false);
    assert.equal(world.said.length, 2);
    world.session.tick(15_000, false);
    world.session.tick(15_001, true);
    world.session.tick(29_000, true);
    world.session.committed(0);
    world.session.tick(30_001, true);
    world.session.tick(30_002, false);
    assert.deepEqual(world.said.slice(2), ['ack 0 0 true', 'ack 0 1 true', 'ack 0 1 true', 'ack 0 0 true']);
  });
});

describe('changes in the registry', () => {
  const changes: [name: string, change: (world: World) => void, RefusalCode | undefined][] = [
    ['a description', (world) => world.sensors.set(id, sensorOf({ description: 'new' })), undefined],
    ['acknowledged only', (world) => world.sensors.set(id, sensorOf({ acknowledgedOnly: true })), undefined],
    ['a key, without overlap', (world) => world.sensors.set(id, sensorOf({ key: 'new' })), 'hmac-wrong'],
    [
      'a key, with overlap',
      (world) => world.sensors.set(id, sensorOf({ key: 'new', previousKey: KEY, previousKeyUntil: 10 })),
      undefined,
    ],
    ['revoked', (world) => world.sensors.set(id, sensorOf({ state: 'revoked' })), 'revoked'],
    ['removed', (world) => world.sensors.delete(id), 'not-registered'],
    ['blocked', (world) => world.blocked.add(id), 'blocked-uuid'],
    ['the type', (world) => world.accepted.delete('3'), 'type-not-accepted'],
  ];
  for (const [name, change, code] of changes) {
    test(`${name}: ${code ?? 'the session goes on'}`, () => {
      const world = new World().stream();
      change(world);
      world.session.reconsider();
      if (code === undefined) {
        world.data(0, 'x');
        assert.equal(world.payload, 'x');
      } else assert.equal(world.refusal[0], code);
    });
  }

  test('a key that is replaced while the connection is there holds until the overlap ends', () => {
    const world = new World().stream();
    world.sensors.set(id, sensorOf({ key: 'new', previousKey: KEY, previousKeyUntil: 10 }));
    world.session.reconsider();
    world.wallClock = 11;
    world.session.tick(1, false);
    assert.equal(world.refusal[0], 'hmac-wrong');
  });
});

/** A DATA made with keys that nobody has. */
function dataBytes(world: World): Buffer {
  world.openBytes();
  return Buffer.concat(world.client.data(0, [Buffer.from('x')]));
}

function messageOf(type: AckType, bodyBytes: number): Buffer {
  const message = Buffer.alloc(5 + bodyBytes + 16);
  message.writeUInt32LE(bodyBytes, message.writeUInt8(type));
  return message;
}
