import assert from 'node:assert/strict';
import { createHmac, hkdfSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { HmacScratch } from '../hmac.ts';
import { parseSensorId } from '../sensor-id.ts';
import { AckDecoder, type RawAckMessage } from './decoder.ts';
import { deriveAckKeys } from './keys.ts';
import { AckMac } from './mac.ts';
import {
  ACK_TYPE,
  type AckChallenge,
  type AckOpen,
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
} from './messages.ts';
import { runningCrc } from './running-crc.ts';
import { AckSender, encodeChallenge, encodeUnprovedRefuse } from './sender.ts';

// The test vectors of docs/acknowledged-streams.md. With D4_WRITE_VECTORS=1 they are written anew.

const FILE = new URL('./vectors.json', import.meta.url);

/** A message: who sends it, what it says, and its bytes in hexadecimal. */
interface VectorMessage {
  readonly from: 'client' | 'server';
  readonly type: string;
  readonly fields: Readonly<Record<string, string | number | null>>;
  readonly hex: string;
}

/** A connection. */
interface Vector {
  readonly name: string;
  readonly sensorKey: string;
  readonly clientNonce: string;
  /** Hexadecimal; absent where no OPEN was right. */
  readonly keys?: { readonly client: string; readonly server: string };
  readonly messages: readonly VectorMessage[];
}

const SENSOR = parseSensorId('6f8a3b52-1c4d-4e7f-9a21-5d0c7be41f93');
const STREAM = '000102030405060708090a0b0c0d0e0f';
const NEXT_STREAM = '101112131415161718191a1b1c1d1e1f';
const EMPTY = Buffer.alloc(0);

/** Bytes that count up from a number. */
function counted(from: number, length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => (from + i) & 0xff));
}

const CHALLENGE: AckChallenge = { nonce: counted(0x40, 32), openTimeoutMs: 30_000, heartbeatMs: 15_000 };
const OPEN: AckOpen = {
  sensor: SENSOR,
  type: 3,
  stream: STREAM,
  nonce: counted(0x80, 32),
  from: 0,
  end: 0,
  crc: 0,
  previous: undefined,
  previousCause: 0,
  metaHeader: EMPTY,
  preamble: EMPTY,
};

/** Notes what two parties say. */
class Conversation {
  readonly #messages: VectorMessage[] = [];
  readonly #name: string;
  readonly #key: string;
  readonly #keys: ReturnType<typeof deriveAckKeys>;
  readonly client: AckSender;
  readonly server: AckSender;

  constructor(name: string, key: string) {
    this.#name = name;
    this.#key = key;
    this.#keys = deriveAckKeys(Buffer.from(key), CHALLENGE, OPEN.nonce);
    this.client = new AckSender(this.#keys.client, new HmacScratch());
    this.server = new AckSender(this.#keys.server, new HmacScratch());
  }

  says(from: 'client' | 'server', type: keyof typeof ACK_TYPE, fields: object, bytes: Buffer): void {
    const texts = Object.entries(fields).map(([name, value]) => [name, textOf(value)]);
    this.#messages.push({ from, type, fields: Object.fromEntries(texts), hex: bytes.toString('hex') });
  }

  challenge(): void {
    this.says('server', 'challenge', CHALLENGE, encodeChallenge(CHALLENGE));
  }

  open(open: AckOpen): void {
    this.says('client', 'open', open, this.client.open(open));
  }

  end(isProved = true): Vector {
    const { client, server } = this.#keys;
    const keys = { client: client.toString('hex'), server: server.toString('hex') };
    const made = { name: this.#name, sensorKey: this.#key, clientNonce: OPEN.nonce.toString('hex') };
    return { ...made, ...(isProved ? { keys } : {}), messages: this.#messages };
  }
}

function textOf(value: unknown): string | number | null {
  if (Buffer.isBuffer(value)) return value.toString('hex');
  return value === undefined ? null : (value as string | number);
}

function newStream(): Vector {
  const said = new Conversation('a new stream of lines, with a gap, to its end', 'a key');
  const line = Buffer.from('a line\nand more\n');
  said.challenge();
  said.open(OPEN);
  const accept = { offset: 0, state: 0, maxDataBytes: 262_144, maxRecordBytes: 1_048_576 } as const;
  said.says('server', 'accept', accept, said.server.accept(accept));
  const resume = { offset: 0, crc: 0 };
  said.says('client', 'resume', resume, said.client.resume(resume));
  const data = { offset: 0, bytes: line };
  said.says('client', 'data', data, Buffer.concat(said.client.data(0, [line])));
  const ack = { offset: 16, state: 0 } as const;
  said.says('server', 'ack', ack, said.server.acknowledge(ack));
  const gap = {
    from: 16,
    to: 1016,
    crc: runningCrc(runningCrc(0, line), Buffer.alloc(1000, 0x78)),
    cause: 'spool-full',
  };
  said.says('client', 'gap', gap, said.client.gap(gap));
  const end = { total: 1016, cause: 0 } as const;
  said.says('client', 'end', end, said.client.end(end));
  const last = { offset: 1016, state: 2 } as const;
  said.says('server', 'ack', last, said.server.acknowledge(last));
  return said.end();
}

function resumedStream(): Vector {
  const said = new Conversation('a stream that goes on after its first 16 bytes', 'a key');
  const before = Buffer.from('a line\nand more\n');
  said.challenge();
  said.open({ ...OPEN, from: 7, end: 23, crc: runningCrc(0, before.subarray(0, 7)) });
  const accept = { offset: 16, state: 0, maxDataBytes: 262_144, maxRecordBytes: 1_048_576 } as const;
  said.says('server', 'accept', accept, said.server.accept(accept));
  const resume = { offset: 16, crc: runningCrc(0, before) };
  said.says('client', 'resume', resume, said.client.resume(resume));
  const data = { offset: 16, bytes: Buffer.from('go on, ') };
  said.says('client', 'data', data, Buffer.concat(said.client.data(16, [data.bytes])));
  return said.end();
}

function declaredStream(): Vector {
  const said = new Conversation('a declared type, after a restart of the client; the stream is refused', 'a key');
  const metaHeader = Buffer.from('{"type":"maltrail"}');
  said.challenge();
  said.open({ ...OPEN, type: 254, stream: NEXT_STREAM, previous: STREAM, previousCause: 1, metaHeader });
  const refuse = { code: 'meta-type-not-accepted', text: 'the meta type is not accepted' };
  said.says('server', 'refuse', refuse, said.server.refuse(refuse));
  return said.end();
}

function endedStream(): Vector {
  const said = new Conversation('a capture whose end the server has already', 'a key');
  said.challenge();
  said.open({ ...OPEN, type: 1, from: 24, end: 64, crc: 0x01020304, preamble: counted(0xa0, 24) });
  const accept = { offset: 64, state: 1, maxDataBytes: 262_144, maxRecordBytes: 0 } as const;
  said.says('server', 'accept', accept, said.server.accept(accept));
  return said.end();
}

function wrongKey(): Vector {
  const said = new Conversation('a client with a wrong key', 'another key');
  said.challenge();
  said.open(OPEN);
  const refuse = { code: 'hmac-wrong', text: "the HMAC does not fit the sensor's key" };
  said.says('server', 'refuse', refuse, encodeUnprovedRefuse(refuse));
  return said.end(false);
}

const MADE = [newStream(), resumedStream(), declaredStream(), endedStream(), wrongKey()];
if (process.env.D4_WRITE_VECTORS === '1') writeFileSync(FILE, `${JSON.stringify(MADE, undefined, 2)}\n`);
const VECTORS = JSON.parse(readFileSync(FILE, 'utf8')) as Vector[];

/** The messages in bytes. */
function decoded(bytes: Buffer, pieceBytes = bytes.length): RawAckMessage[] {
  const found: RawAckMessage[] = [];
  const decoder = new AckDecoder({
    head: () => true,
    message: (message) => {
      found.push({ ...message, head: Buffer.from(message.head), mac: Buffer.from(message.mac) });
      return true;
    },
  });
  for (let at = 0; at < bytes.length; at += pieceBytes) decoder.push(bytes.subarray(at, at + pieceBytes));
  assert.equal(decoder.pendingBytes, 0);
  return found;
}

function fieldsOf(message: RawAckMessage): object {
  const body = wholeBody(message.body);
  switch (message.type) {
    case ACK_TYPE.challenge:
      return readChallenge(body);
    case ACK_TYPE.open:
      return readOpen(body);
    case ACK_TYPE.accept:
      return readAccept(body);
    case ACK_TYPE.refuse:
      return readRefuse(body);
    case ACK_TYPE.resume:
      return readResume(body);
    case ACK_TYPE.data: {
      const { offset, bytes } = readData(message.body);
      return { offset, bytes: wholeBody(bytes) };
    }
    case ACK_TYPE.gap:
      return readGap(body);
    case ACK_TYPE.end:
      return readEnd(body);
    case ACK_TYPE.ack:
      return readAck(body);
  }
}

suite('the test vectors of acknowledged streams', () => {
  test('are what this implementation says', () => assert.deepEqual(VECTORS, MADE));

  for (const { name, sensorKey, clientNonce, keys, messages } of VECTORS) {
    test(`${name}: keys and MACs, computed by the text of the specification`, () => {
      const challenge = Buffer.from(messages[0]?.hex ?? '', 'hex');
      const salt = Buffer.concat([challenge.subarray(5, -16), Buffer.from(clientNonce, 'hex')]);
      const counts = { client: 0, server: 0 };
      for (const { from, type, hex } of messages) {
        const bytes = Buffer.from(hex, 'hex');
        const key = Buffer.from(hkdfSync('sha256', Buffer.from(sensorKey), salt, `d4-ack/1 ${from}`, 32));
        if (keys !== undefined) assert.equal(key.toString('hex'), keys[from]);
        assert.equal(bytes[0], ACK_TYPE[type as keyof typeof ACK_TYPE]);
        assert.equal(bytes.readUInt32LE(1), bytes.length - 21);
        const hasMac = type !== 'challenge' && (keys !== undefined || from === 'client');
        const number = Buffer.alloc(8);
        number.writeUInt32LE(counts[from]);
        const mac = createHmac('sha256', key).update(number).update(bytes.subarray(0, -16)).digest();
        const expected = hasMac ? mac.subarray(0, 16) : Buffer.alloc(16);
        assert.deepEqual(bytes.subarray(-16), expected);
        if (hasMac) counts[from] += 1;
      }
    });

    test(`${name}: decoded whole and byte by byte`, () => {
      for (const from of ['client', 'server'] as const) {
        const own = messages.filter((message) => message.from === from);
        const bytes = Buffer.concat(own.map(({ hex }) => Buffer.from(hex, 'hex')));
        const mac = keys === undefined ? undefined : new AckMac(Buffer.from(keys[from], 'hex'), new HmacScratch());
        for (const pieceBytes of [bytes.length, 1, 7]) {
          const fields = decoded(bytes, pieceBytes).map((message) =>
            Object.fromEntries(Object.entries(fieldsOf(message)).map(([field, value]) => [field, textOf(value)])),
          );
          assert.deepEqual(
            fields,
            own.map((message) => message.fields),
          );
        }
        for (const message of decoded(bytes)) {
          if (message.type !== ACK_TYPE.challenge && mac !== undefined) assert.ok(mac.verifies(message));
        }
      }
    });
  }
});
