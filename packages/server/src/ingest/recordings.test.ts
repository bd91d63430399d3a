import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { FrameEncoder, HmacScratch, parseSensorId } from '@d4ts/protocol';
import fc from 'fast-check';
import { pino } from 'pino';
import { formatFor } from '../formats/registry.ts';
import { ENTRY_FLAG, ENTRY_KIND, type EntryDraft, type StreamDefinition } from '../journal/port.ts';
import type { Sensor } from '../registry/port.ts';
import { Admission } from './admission.ts';
import { BackPressure } from './back-pressure.ts';
import { Session, type StreamStart } from './session.ts';
import { StreamWriter } from './stream-writer.ts';

const uuid = parseSensorId('6f8a3b52-1c4d-4e7f-9a21-5d0c7be41f93');
const key = 'private key to change';
const log = pino({ level: 'silent' });
const sensor: Sensor = {
  uuid,
  key,
  state: 'approved',
  description: '',
  mail: '',
  thirdParty: false,
  unproven: false,
  createdAt: 0,
};
const scratch = new HmacScratch();
const admission = new Admission(
  { sensor: () => sensor, isBlocked: () => false, accepts: () => true },
  { mode: 'registration', defaultKey: undefined, maxPayloadBytes: 1_000_000, scratch },
);

/** What reached the journal, so that the same stream in other pieces compares equal: entries are as time has it. */
interface Arrived {
  definition: Omit<StreamDefinition, 'id'> | undefined;
  bytes: string;
  items: string[];
  records: number;
  partial: number;
  closed: boolean;
}

/** Sends pieces through a session into a journal that commits as slowly as `turns` says. */
async function send(pieces: readonly Buffer[], turns: (piece: number) => boolean): Promise<Arrived> {
  const arrived: Arrived = { definition: undefined, bytes: '', items: [], records: 0, partial: 0, closed: false };
  let fragments = '';
  const take = (draft: EntryDraft): void => {
    assert.ok(!arrived.closed, 'nothing comes after the close');
    const text = Buffer.concat(draft.pieces).toString('latin1');
    arrived.bytes += text;
    arrived.records += draft.records;
    if (draft.flags & ENTRY_FLAG.partial) arrived.partial += draft.bytes;
    arrived.closed = draft.kind === ENTRY_KIND.close;
    fragments += text;
    if (draft.flags & (ENTRY_FLAG.first | ENTRY_FLAG.middle)) return;
    arrived.items.push(...fragments.split('\n').filter((item) => item !== ''));
    fragments = '';
  };
  let length = 0;
  const topic = {
    maxEntryBytes: 512,
    async append(definition: StreamDefinition, offset: number, drafts: readonly EntryDraft[]) {
      assert.equal(offset, length);
      const { id, ...rest } = definition;
      assert.match(id, /^[0-9a-f]{32}$/);
      arrived.definition = rest;
      await turn();
      for (const draft of drafts) {
        length += draft.bytes;
        take(draft);
      }
    },
  };
  const pressure = new BackPressure(1e9, log, () => undefined);
  let writer: StreamWriter | undefined;
  const open = (start: StreamStart) => {
    writer = new StreamWriter(start, {
      journal: { get: () => topic, open: async () => topic },
      format: formatFor(start.topic),
      pressure,
      log,
      after: undefined,
      continues: () => false,
      share: { add: () => undefined },
      earlier: undefined,
      onPreamble: () => undefined,
      mayLog: () => false,
      onBroken: () => assert.fail('broken'),
    });
    return writer;
  };
  const refused = ({ code }: { code: string }) => assert.fail(code);
  const times = { headerTimeoutMs: 1, payloadTimeoutMs: 1 };
  const effects = { open, refused, enrol: () => false, proved: () => undefined, declaring: () => undefined };
  const session = new Session(admission, effects, times, 0);
  for (const [i, piece] of pieces.entries()) {
    session.receive(piece, 0);
    writer?.flush();
    if (turns(i)) await turn();
  }
  session.end();
  writer?.end();
  await writer?.finished;
  assert.equal(writer?.records ?? 0, arrived.records);
  return arrived;
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

function split(bytes: Buffer, at: readonly number[]): Buffer[] {
  const edges = [0, ...at.map((position) => position % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return edges.slice(1).map((edge, i) => bytes.subarray(edges[i], edge));
}

const never = () => false;

function recording(name: string): Buffer {
  return readFileSync(new URL(`../../../../test/data/wire-vectors/${name}.d4`, import.meta.url));
}

/** The payloads of a recording that belong to its stream, by a plain reading of the frames. */
function payloads(bytes: Buffer): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const size = bytes.readUInt32LE(at + 58);
    if (bytes[at + 1] !== 2) text += bytes.toString('latin1', at + 62, at + 62 + size);
    at += 62 + size;
  }
  return text;
}

describe('recordings of the reference clients', () => {
  for (const name of ['c-t3-4096-lines', 'c-t3-4096-pipe', 'go-t3-4096-lines', 'go-t254-maltrail', 'go-t254-pretty']) {
    test(`${name}: whole, byte by byte and in random pieces`, async () => {
      const bytes = recording(name);
      const whole = await send([bytes], never);
      const text = payloads(bytes);
      assert.equal(whole.bytes, text);
      assert.deepEqual(
        whole.items,
        text.split('\n').filter((line) => line !== ''),
      );
      assert.equal(whole.records, whole.items.length);
      assert.equal(whole.definition?.topic, name.includes('t254') ? 'maltrail' : '3');
      assert.ok(whole.closed);
      assert.deepEqual(
        await send(
          [...bytes].map((byte) => Buffer.from([byte])),
          (i) => i % 100 === 0,
        ),
        whole,
      );
      await fc.assert(
        fc.asyncProperty(fc.array(fc.nat(), { maxLength: 30 }), fc.nat(5), async (at, slow) => {
          assert.deepEqual(await send(split(bytes, at), (i) => i % 5 < slow), whole);
        }),
        { numRuns: 30 },
      );
    });
  }

  test('c-t3-empty leaves nothing', async () => {
    const arrived = await send([recording('c-t3-empty')], never);
    assert.equal(arrived.definition, undefined);
  });
});

test('generated streams arrive the same, however they are split into frames and pieces', async () => {
  const encoder = new FrameEncoder({ sensor: uuid, key: Buffer.from(key), version: 1, scratch });
  const character = fc.constantFrom(...Buffer.from('ab\r\0\n\n'), 0xff);
  const stream = fc
    .array(fc.oneof(character, fc.constantFrom(0x61)), { maxLength: 2_000 })
    .map((bytes) => Buffer.from(bytes));
  const cuts = fc.array(fc.nat(), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(stream, cuts, cuts, fc.nat(3), async (bytes, frames, pieces, slow) => {
      const wire = Buffer.concat(split(bytes, frames).map((payload) => encoder.encode(3, payload, 1)));
      const arrived = await send(split(wire, pieces), (i) => i % 3 < slow);
      const text = bytes.toString('latin1');
      const items = text.split('\n').filter((line) => line !== '');
      assert.equal(arrived.bytes, text);
      assert.deepEqual(arrived.items, items);
      assert.equal(arrived.records, items.length);
      assert.equal(arrived.partial, text.length - text.lastIndexOf('\n') - 1);
      assert.equal(arrived.closed, text.length > 0);
    }),
    { numRuns: 150 },
  );
});
