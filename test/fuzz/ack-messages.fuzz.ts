import assert from 'node:assert/strict';
import {
  ACK_TYPE,
  AckDecoder,
  AckSender,
  D4Error,
  encodeChallenge,
  encodeUnprovedRefuse,
  HmacScratch,
  parseSensorId,
  readAccept,
  readAck,
  readChallenge,
  readData,
  readEnd,
  readGap,
  readOpen,
  readRefuse,
  readResume,
  wholeBody,
} from '@d4ts/protocol';
import type { FuzzTarget, Random } from '@d4ts/testkit';

const SENSOR = parseSensorId('00000000-0000-4000-8000-000000000001');
const STREAM = 'a'.repeat(32);
const scratch = new HmacScratch();

/** Reads a body as what it says that it is. */
const READERS = {
  [ACK_TYPE.challenge]: (body: Buffer) => readChallenge(body),
  [ACK_TYPE.open]: (body: Buffer) => readOpen(body),
  [ACK_TYPE.accept]: (body: Buffer) => readAccept(body),
  [ACK_TYPE.refuse]: (body: Buffer) => readRefuse(body),
  [ACK_TYPE.resume]: (body: Buffer) => readResume(body),
  [ACK_TYPE.data]: (body: Buffer) => readData([body]),
  [ACK_TYPE.gap]: (body: Buffer) => readGap(body),
  [ACK_TYPE.end]: (body: Buffer) => readEnd(body),
  [ACK_TYPE.ack]: (body: Buffer) => readAck(body),
} as const;

function conversation(random: Random): Buffer {
  const sender = new AckSender(Buffer.alloc(32, 1), scratch);
  const number = (): number => random.of([0, 1, 4096, 2 ** 32, Number.MAX_SAFE_INTEGER]);
  const common = { sensor: SENSOR, stream: STREAM, nonce: Buffer.alloc(32, 2), from: 0, crc: random.below(2 ** 32) };
  const open = { type: 254, end: number(), previous: random.of([undefined, STREAM]), previousCause: 1 } as const;
  const messages = [
    () => encodeChallenge({ nonce: Buffer.alloc(32, 3), openTimeoutMs: 10_000, heartbeatMs: 5_000 }),
    () => encodeUnprovedRefuse({ code: 'pending', text: 'wait' }),
    () =>
      sender.open({ ...common, ...open, metaHeader: Buffer.from('{"type":"maltrail"}'), preamble: Buffer.alloc(24) }),
    () => sender.resume({ offset: number(), crc: 1 }),
    () => Buffer.concat(sender.data(number(), [Buffer.alloc(random.of([1, 100, 1000]), 0x61)])),
    () => sender.gap({ from: 0, to: 10, crc: 1, cause: 'spool-full' }),
    () => sender.end({ total: number(), cause: 0 }),
    () => sender.accept({ offset: number(), state: 0, maxDataBytes: 262_144, maxRecordBytes: 1_048_576 }),
    () => sender.acknowledge({ offset: number(), state: 0 }),
  ];
  return Buffer.concat(Array.from({ length: random.below(6) }, () => random.of(messages)()));
}

/** What a decoder hands out; a refusal of the bytes by its code. */
function decoded(pieces: readonly Buffer[]): string[] {
  const seen: string[] = [];
  const decoder = new AckDecoder({
    head: () => true,
    message: ({ type, body, bodyBytes, mac }) => {
      const whole = wholeBody(body);
      assert.equal(whole.length, bodyBytes);
      seen.push(`${type} ${whole.toString('latin1')} ${mac.toString('latin1')}`, described(READERS[type], whole));
      return true;
    },
  });
  try {
    for (const piece of pieces) decoder.push(Buffer.from(piece));
  } catch (error) {
    seen.push(codeOf(error));
  }
  return seen;
}

function described(read: (body: Buffer) => unknown, body: Buffer): string {
  try {
    return JSON.stringify(read(body));
  } catch (error) {
    return codeOf(error);
  }
}

/** Only our own errors may come out of it. */
function codeOf(error: unknown): string {
  if (error instanceof D4Error && error.code === 'D4_ACK_MESSAGE') return error.code;
  throw error;
}

const target: FuzzTarget = {
  name: 'ack-messages',
  corpus: [encodeChallenge({ nonce: Buffer.alloc(32, 3), openTimeoutMs: 10_000, heartbeatMs: 5_000 })],
  words: [Buffer.from([0, 0, 0, 0]), Buffer.from([0xff, 0xff, 0x1f, 0]), Buffer.from('{"type":"a"}')],
  generate: conversation,
  run(input, random) {
    assert.deepEqual(decoded(random.split(input)), decoded([input]));
  },
};

export default [target];
