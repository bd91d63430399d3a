import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { D4Error } from '../errors.ts';
import { newSensorId } from '../sensor-id.ts';
import { clientConfigFiles } from './client-files.ts';
import { LineReader } from './line-reader.ts';
import {
  ENROLL_LIMITS,
  type EnrollAnswer,
  type EnrollRequest,
  encodeEnrollAnswer,
  encodeEnrollHello,
  encodeEnrollRequest,
  parseEnrollAnswer,
  parseEnrollHello,
  parseEnrollRequest,
} from './messages.ts';
import { ENROLL_SECRET_BYTES } from './token.ts';

const names = fc.string({ unit: 'binary', minLength: 1, maxLength: 200 }).filter(({ length }) => length <= 200);
const requests: fc.Arbitrary<EnrollRequest> = fc.record(
  {
    secret: fc.uint8Array({ minLength: ENROLL_SECRET_BYTES, maxLength: ENROLL_SECRET_BYTES }).map(Buffer.from),
    uuid: fc.constantFrom(newSensorId(), newSensorId()),
    key: fc.uint8Array({ minLength: 1, maxLength: 1_023 }).map(Buffer.from),
    type: fc.constantFrom('3', 'maltrail', 'x'.repeat(64)),
    name: names,
  },
  { requiredKeys: ['secret', 'uuid', 'key'], noNullPrototype: true },
);
const answers: fc.Arbitrary<EnrollAnswer> = fc.oneof(
  fc.record(
    {
      kind: fc.constant('registered' as const),
      uuid: fc.constant(newSensorId()),
      state: fc.constantFrom('approved' as const, 'pending' as const, 'revoked' as const),
      type: fc.constantFrom('3', 'maltrail'),
      name: fc.oneof(fc.constant(''), names),
    },
    { noNullPrototype: true },
  ),
  fc.record(
    { kind: fc.constant('refused' as const), code: fc.constant('pending'), text: names },
    { noNullPrototype: true },
  ),
);

/** The one line of a message, however it comes. */
function lineOf(message: string, limit: number, pieceBytes: number): Buffer {
  const reader = new LineReader(limit);
  const bytes = Buffer.from(message);
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const line = reader.push(bytes.subarray(at, at + pieceBytes));
    if (line !== undefined) return line;
  }
  return assert.fail('no line');
}

test('every message comes back as it was, in whatever pieces, and fits the limits', () => {
  const pieces = fc.integer({ min: 1, max: 2_000 });
  fc.assert(
    fc.property(requests, answers, pieces, (request, answer, pieceBytes) => {
      const { request: most, answer: mostOfAnswer } = ENROLL_LIMITS;
      assert.deepEqual(parseEnrollRequest(lineOf(encodeEnrollRequest(request), most, pieceBytes)), request);
      assert.deepEqual(parseEnrollAnswer(lineOf(encodeEnrollAnswer(answer), mostOfAnswer, pieceBytes)), answer);
    }),
  );
  const ca = '-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n';
  assert.deepEqual(parseEnrollHello(lineOf(encodeEnrollHello({ ca }), ENROLL_LIMITS.hello, 1)), { ca });
});

test('whatever else comes is a malformed message', () => {
  const isMalformed = (parse: (bytes: Buffer) => unknown, bytes: Buffer) => {
    try {
      parse(bytes);
      return false;
    } catch (error) {
      return error instanceof D4Error && error.code === 'D4_ENROLL_MESSAGE';
    }
  };
  const anything = fc.oneof(fc.json(), fc.string()).map((text) => Buffer.from(text));
  const garbage = fc.oneof(anything, fc.uint8Array().map(Buffer.from));
  fc.assert(
    fc.property(garbage, (bytes) =>
      [parseEnrollRequest, parseEnrollAnswer, parseEnrollHello].every((parse) => isMalformed(parse, bytes)),
    ),
  );
  const changes = fc.record(
    {
      secret: fc.oneof(fc.string(), fc.integer()),
      uuid: fc.oneof(fc.string(), fc.constant(null)),
      key: fc.constantFrom('', '!', 'YQ', 'YQ==\n', 7, 'A'.repeat(1_368)),
      type: fc.constantFrom('', 3, null, '2', '254', '03', '255', 'a b', 'x'.repeat(65)),
      name: fc.constantFrom('', ['x'], 'x'.repeat(201)),
      other: fc.constantFrom(true, null),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(requests, changes, (request, change) => {
      if (Object.keys(change).length === 0) return;
      const message = { ...JSON.parse(encodeEnrollRequest(request)), ...change };
      assert.ok(isMalformed(parseEnrollRequest, Buffer.from(JSON.stringify(message))), JSON.stringify(message));
    }),
  );
});

test('a line that is too long is noticed before it is whole', () => {
  const reader = new LineReader(10);
  assert.equal(reader.push(Buffer.alloc(10, 'x')), undefined);
  assert.equal(reader.pendingBytes, 10);
  assert.throws(() => reader.push(Buffer.from('x')), { code: 'D4_ENROLL_MESSAGE' });
  assert.equal(new LineReader(3).push(Buffer.from('abc\ndef\n'))?.toString(), 'abc');
});

test("a client's files have one value each; a meta type has its meta header", () => {
  const settings = { uuid: newSensorId(), key: Buffer.from([255, 10]), destination: 'h:1', ca: 'pem' };
  const files = (topic: string) =>
    new Map(clientConfigFiles({ ...settings, topic }).map(({ name, content }) => [name, content]));
  assert.deepEqual(files('3').get('key'), settings.key);
  assert.equal(files('3').get('type')?.toString(), '3');
  assert.equal(files('3').has('metaheader.json'), false);
  assert.equal(files('maltrail').get('type')?.toString(), '254');
  assert.deepEqual(JSON.parse(files('maltrail').get('metaheader.json')?.toString() ?? ''), {
    type: 'maltrail',
    encoding: 'utf-8',
  });
});
