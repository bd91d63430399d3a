import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { ACCEPT_STATE, ACK_STATE, END_CAUSE, PREVIOUS_CAUSE, runningCrc, type SensorId } from '@d4ts/protocol';
import { sampleFile } from '../formats/captures-fixture.ts';
import { linesFormat } from '../formats/lines.ts';
import { ENTRY_FLAG, ENTRY_KIND } from '../journal/port.ts';
import { type IngestFixture, peerClosed, startIngestFixture, until } from './ingest-fixture.ts';

const newStream = (): string => randomBytes(16).toString('hex');

/** What the journal has of a stream: its bytes of data, and the kinds of its entries. */
async function kept(fixture: IngestFixture, topic: string, stream: string) {
  const entries = (await fixture.entries(topic)).filter((entry) => entry.stream.id === stream);
  return {
    text: Buffer.concat(entries.filter(({ kind }) => kind === ENTRY_KIND.data).map(({ bytes }) => bytes)).toString(
      'latin1',
    ),
    gaps: entries.filter(({ kind }) => kind === ENTRY_KIND.gap).map(({ bytes }) => JSON.parse(bytes.toString())),
    closes: entries.filter(({ kind }) => kind === ENTRY_KIND.close).map(({ flags }) => flags),
    records: entries.reduce((sum, { records }) => sum + records, 0),
    entries,
  };
}

suite('acknowledged streams over TLS', () => {
  test('a stream is acknowledged at record boundaries, and ends with the ACK of its END', async () => {
    await using fixture = await startIngestFixture();
    const sensor = await fixture.addSensor();
    const stream = newStream();
    const client = await fixture.ackClient();
    const accepted = await client.open({ sensor, stream });
    assert.deepEqual(accepted, { offset: 0, state: 0, maxDataBytes: 262_144, maxRecordBytes: 1024 * 1024 });
    client.resume();
    client.data(0, Buffer.from('one\ntwo\nthr'));
    await client.acknowledged(8);
    assert.equal(client.acknowledgedTo, 8, 'not within a record');
    client.data(11, Buffer.from('ee\n'));
    await client.acknowledged(14);
    await client.end(14);
    await client.until(() => false);
    assert.deepEqual(client.acks.at(-1), { offset: 14, state: 2 });
    const { text, closes, records } = await kept(fixture, '3', stream);
    assert.deepEqual([text, closes, records], ['one\ntwo\nthree\n', [0], 3]);
  });

  test('a stream goes on where the server has it: what was not acknowledged is sent again, nothing twice', async () => {
    await using fixture = await startIngestFixture();
    const sensor = await fixture.addSensor();
    const stream = newStream();
    const whole = Buffer.from('a line\nanother one\nthe last');
    const first = await fixture.ackClient();
    await first.open({ sensor, stream });
    first.resume();
    first.data(0, whole.subarray(0, 12));
    await first.acknowledged(7);
    first.destroy();
    const second = await fixture.ackClient();
    const accepted = await second.open({ sensor, stream, from: 0, end: whole.length });
    assert.equal('offset' in accepted && accepted.offset, 7);
    second.resume(whole.subarray(0, 7));
    second.data(7, whole.subarray(7));
    await second.end(whole.length);
    const { text, closes, entries } = await kept(fixture, '3', stream);
    assert.equal(text, whole.toString());
    assert.deepEqual(closes, [0]);
    assert.equal((entries.at(-2)?.flags ?? 0) & ENTRY_FLAG.partial, ENTRY_FLAG.partial, 'it ended within a line');
    // The ACK of END may get lost: the client asks again.
    const third = await fixture.ackClient();
    const again = await third.open({
      sensor,
      stream,
      from: 7,
      end: whole.length,
      crc: runningCrc(0, whole.subarray(0, 7)),
    });
    assert.deepEqual(again, {
      offset: whole.length,
      state: ACCEPT_STATE.ended,
      maxDataBytes: 262_144,
      maxRecordBytes: 0,
    });
    await third.until(() => false);
  });

  test('the server stops and starts: open streams are not closed, and go on', async () => {
    using folder = temporaryFolder();
    const stream = newStream();
    let sensor = '' as SensorId;
    {
      await using fixture = await startIngestFixture({ folder: folder.path });
      sensor = await fixture.addSensor();
      const client = await fixture.ackClient();
      await client.open({ sensor, stream });
      client.resume();
      client.data(0, Buffer.from('one\ntwo\nthr'));
      await client.acknowledged(8);
    }
    await using fixture = await startIngestFixture({ folder: folder.path });
    const client = await fixture.ackClient();
    const before = Buffer.from('one\ntwo\n');
    const accepted = await client.open({ sensor, stream, from: 8, end: 11, crc: runningCrc(0, before) });
    assert.equal('offset' in accepted && accepted.offset, 8, JSON.stringify(accepted));
    client.resume(before);
    client.data(8, Buffer.from('three\n'));
    await client.end(14);
    const { text, closes } = await kept(fixture, '3', stream);
    assert.deepEqual([text, closes], ['one\ntwo\nthree\n', [0]]);
  });

  test('what the server lost is a gap; so is what the client tells', async () => {
    await using fixture = await startIngestFixture();
    const sensor = await fixture.addSensor();
    const stream = newStream();
    const client = await fixture.ackClient();
    const lost = Buffer.from('gone for ever\n');
    await client.open({ sensor, stream, from: lost.length, end: 100, crc: runningCrc(0, lost) });
    client.resume(lost);
    const one = Buffer.from('one\npart');
    client.data(lost.length, one);
    const at = lost.length + one.length;
    client.gap({ from: at, to: at + 1000, crc: 77, cause: 'spool-full' });
    client.data(at + 1000, Buffer.from('two\n'));
    await client.acknowledged(at + 1004);
    client.destroy();
    const second = await fixture.ackClient();
    const accepted = await second.open({
      sensor,
      stream,
      from: at + 1004,
      end: at + 1004,
      crc: runningCrc(77, Buffer.from('two\n')),
    });
    assert.equal('offset' in accepted && accepted.offset, at + 1004);
    second.write(second.sender?.resume({ offset: at + 1004, crc: runningCrc(77, Buffer.from('two\n')) }) ?? lost);
    await second.end(at + 1004);
    const { text, gaps, records } = await kept(fixture, '3', stream);
    assert.equal(text, 'one\nparttwo\n');
    assert.equal(records, 3);
    assert.deepEqual(
      gaps.map(({ from, to, why }) => [from, to, why]),
      [
        [0, 14, 'server-lost'],
        [at, at + 1000, 'spool-full'],
      ],
    );
  });

  test('two clients with one spool: each is recorded, neither is mixed into the other', async () => {
    await using fixture = await startIngestFixture();
    const sensor = await fixture.addSensor();
    const stream = newStream();
    const shared = Buffer.from('the same spool\n');
    const one = Buffer.concat([shared, Buffer.from('of one\n')]);
    const two = Buffer.concat([shared, Buffer.from('of the other\n')]);
    const first = await fixture.ackClient();
    await first.open({ sensor, stream, end: one.length });
    first.resume();
    first.data(0, one);
    await first.acknowledged(one.length);
    const second = await fixture.ackClient();
    const accepted = await second.open({ sensor, stream, end: two.length });
    assert.equal('offset' in accepted && accepted.offset, one.length);
    second.resume(two.subarray(0, one.length));
    second.data(one.length, two.subarray(one.length));
    await second.until(() => false);
    assert.equal(second.refused?.code, 'stream-forked');
    assert.equal(second.refused?.verified, true);
    await first.until(() => first.refused !== undefined);
    assert.equal(first.refused?.code, 'stream-replaced');
    const ownStream = newStream();
    const third = await fixture.ackClient();
    await third.open({
      sensor,
      stream: ownStream,
      previous: stream,
      previousCause: PREVIOUS_CAUSE.refused,
      end: two.length,
    });
    third.resume();
    third.data(0, two);
    const fourth = await fixture.ackClient();
    await fourth.open({ sensor, stream, from: one.length, end: one.length, crc: runningCrc(0, one) });
    fourth.resume(one);
    fourth.data(one.length, Buffer.from('more\n'));
    await fourth.acknowledged(one.length + 5);
    await third.acknowledged(two.length);
    assert.equal((await kept(fixture, '3', stream)).text, `${one}more\n`);
    assert.equal((await kept(fixture, '3', ownStream)).text, two.toString());
    // Both have to be active at the same time, however slow the machine is.
    let more = 0;
    await until(() => {
      third.data(two.length + 2 * more, Buffer.from('3\n'));
      fourth.data(one.length + 5 + 2 * more, Buffer.from('4\n'));
      more++;
      return fixture.ingest.suspectedClones().includes(sensor);
    });
    assert.equal(fixture.registry.activity.find(sensor)?.refusals['stream-forked']?.count, 1);
    fourth.destroy();
    third.destroy();
  });

  test('a client that was killed ends its stream by naming it', async () => {
    await using fixture = await startIngestFixture();
    const sensor = await fixture.addSensor();
    const [stream, next] = [newStream(), newStream()];
    const first = await fixture.ackClient();
    await first.open({ sensor, stream });
    first.resume();
    first.data(0, Buffer.from('one\ntw'));
    await first.acknowledged(4);
    const second = await fixture.ackClient();
    await second.open({ sensor, stream: next, previous: stream, previousCause: PREVIOUS_CAUSE.restarted });
    second.resume();
    second.data(0, Buffer.from('three\n'));
    await second.end(6, END_CAUSE.complete);
    const { text, closes } = await kept(fixture, '3', stream);
    assert.deepEqual([text, closes], ['one\n', [ENTRY_FLAG.aborted]]);
    const [entry] = (await kept(fixture, '3', next)).entries;
    assert.equal(entry?.stream.acknowledged?.previous, stream);
  });

  test('a record that a crash left in fragments is gone on with', async () => {
    using folder = temporaryFolder();
    const stream = newStream();
    const line = Buffer.from(`before\n${'y'.repeat(700_000)}\nbehind\n`);
    const fragmentBytes = 256 * 1024;
    const at = 7 + 2 * fragmentBytes;
    let sensor = '' as SensorId;
    {
      await using fixture = await startIngestFixture({ folder: folder.path });
      sensor = await fixture.addSensor();
      const log = await fixture.journal.open('3');
      const none = Buffer.alloc(0);
      const definition = { id: stream, sensor, topic: '3', type: 3, preamble: none, acknowledged: { crc: 0 } };
      const draft = (from: number, to: number, flags: number, records: number) => {
        return { kind: ENTRY_KIND.data, flags, pieces: [line.subarray(from, to)], bytes: to - from, records };
      };
      const drafts = [
        draft(0, 7, 0, 1),
        draft(7, 7 + fragmentBytes, ENTRY_FLAG.first, 0),
        draft(7 + fragmentBytes, at, ENTRY_FLAG.middle, 0),
      ];
      await log.append(definition, 0, drafts, { crc: 0, preamble: none });
    }
    await using fixture = await startIngestFixture({ folder: folder.path });
    const client = await fixture.ackClient();
    const accepted = await client.open({ sensor, stream, end: line.length });
    assert.equal('offset' in accepted && accepted.offset, at);
    client.resume(line.subarray(0, at));
    client.data(at, line.subarray(at));
    await client.end(line.length);
    const { text, records, entries } = await kept(fixture, '3', stream);
    assert.ok(text === line.toString('latin1'));
    assert.equal(records, 3);
    assert.deepEqual(
      entries.map(({ flags }) => flags),
      [0, ENTRY_FLAG.first, ENTRY_FLAG.middle, ENTRY_FLAG.last, 0, 0],
    );
  });

  test('what a reader must have seen is known where a stream goes on, also after a crash', async () => {
    using folder = temporaryFolder();
    const capture = sampleFile('mixed_soup.pcapng');
    const stream = newStream();
    let [sensor, at] = ['' as SensorId, 0];
    const open = () => {
      const before = capture.subarray(0, at);
      return { before, open: { sensor, stream, type: 5, from: at, end: capture.length, crc: runningCrc(0, before) } };
    };
    for (let round = 1; round <= 3; round++) {
      await using fixture = await startIngestFixture({ folder: folder.path });
      if (round === 1) sensor = await fixture.addSensor();
      const client = await fixture.ackClient();
      const { before, open: given } = open();
      const accepted = await client.open(given);
      assert.equal('offset' in accepted && accepted.offset, at);
      client.resume(before);
      client.data(at, capture.subarray(at, Math.floor((capture.length * round) / 3)), 1_000);
      if (round === 3) {
        await client.end(capture.length);
        const { entries, gaps } = await kept(fixture, '5', stream);
        const data = entries.filter(({ kind }) => kind === ENTRY_KIND.data);
        assert.ok(Buffer.concat(data.map(({ bytes }) => bytes)).equals(capture));
        assert.deepEqual(gaps, []);
      } else {
        await client.until(() => client.acknowledgedTo > at);
        at = client.acknowledgedTo;
        client.destroy();
      }
    }
  });

  test('bytes that no format keeps are acknowledged all the same, and where they go on is known', async () => {
    using folder = temporaryFolder();
    const stream = newStream();
    // A line of which nothing may be kept: it is over its limit.
    const formats = () => linesFormat(1000, { overLimit: 'skip' });
    const options = { folder: folder.path, formats };
    const long = Buffer.from(`one\n${'z'.repeat(3_000_000)}\ntwo\n`);
    let [sensor, at] = ['' as SensorId, 0];
    {
      await using fixture = await startIngestFixture(options);
      sensor = await fixture.addSensor();
      const client = await fixture.ackClient();
      await client.open({ sensor, stream });
      client.resume();
      client.data(0, long.subarray(0, 2_500_000));
      await client.until(() => client.acknowledgedTo > 1_000_000);
      at = client.acknowledgedTo;
    }
    await using fixture = await startIngestFixture(options);
    const client = await fixture.ackClient();
    const before = long.subarray(0, at);
    const accepted = await client.open({ sensor, stream, from: at, end: long.length, crc: runningCrc(0, before) });
    assert.ok('offset' in accepted && accepted.offset >= at, JSON.stringify(accepted));
    client.resume(long.subarray(0, accepted.offset));
    client.data(accepted.offset, long.subarray(accepted.offset));
    await client.end(long.length);
    const { text, records, gaps } = await kept(fixture, '3', stream);
    assert.deepEqual([text, records], ['one\ntwo\n', 2]);
    let end = 4;
    for (const { from, to } of gaps) {
      assert.equal(from, end);
      end = to;
    }
    assert.equal(end, long.length - 4);
  });

  test('the server says every few moments that it is there, and that it reads nothing while it is behind', async () => {
    const disk = Promise.withResolvers<void>();
    await using fixture = await startIngestFixture({
      limits: { heartbeatMs: 20, closeTimeoutMs: 40, sensorPendingBytes: 1000 },
      disk: () => disk.promise,
    });
    const sensor = await fixture.addSensor();
    const client = await fixture.ackClient();
    await client.open({ sensor, stream: newStream() });
    client.resume();
    await client.until(() => client.acks.length > 1);
    client.data(0, Buffer.from('a line\n'.repeat(1000)));
    await client.until(() => client.acks.at(-1)?.state === ACK_STATE.holding);
    assert.equal(client.acknowledgedTo, 0);
    disk.resolve();
    await client.acknowledged(7000);
    await client.until(() => client.acks.at(-1)?.state === ACK_STATE.reading);
    await client.end(7000);
  });

  test('a client that goes away before its stream is found leaves nothing behind', async () => {
    await using fixture = await startIngestFixture();
    const sensor = await fixture.addSensor();
    const stream = newStream();
    for (let i = 0; i < 20; i++) {
      const client = await fixture.ackClient();
      client.sendOpen({ sensor, stream });
      client.destroy();
    }
    const client = await fixture.ackClient();
    await client.open({ sensor, stream });
    client.resume();
    client.data(0, Buffer.from('a line\n'));
    await client.end(7);
    assert.equal((await kept(fixture, '3', stream)).text, 'a line\n');
  });

  test('a sensor that may send acknowledged streams only is refused on v1, and seen so', async () => {
    await using fixture = await startIngestFixture();
    const sensor = await fixture.addSensor({ acknowledgedOnly: true });
    const socket = await fixture.connect();
    const closed = peerClosed(socket);
    socket.write(fixture.encoder(sensor).encode(3, Buffer.from('a line\n'), 0));
    await closed;
    assert.equal(fixture.registry.activity.find(sensor)?.refusals['acknowledged-only']?.count, 1);
    const client = await fixture.ackClient();
    assert.ok('offset' in (await client.open({ sensor, stream: newStream() })));
    client.destroy();
  });

  test('what the interface shows of a session', async () => {
    await using fixture = await startIngestFixture();
    const sensor = await fixture.addSensor();
    const stream = newStream();
    const client = await fixture.ackClient();
    await client.open({ sensor, stream });
    client.resume();
    client.data(0, Buffer.from('one\ntw'));
    client.gap({ from: 6, to: 10, crc: 0, cause: 'spool-full' });
    await client.acknowledged(10);
    const [session] = fixture.ingest.sessions();
    assert.deepEqual(session?.acknowledged, { stream, receivedTo: 10, acknowledgedTo: 10, gaps: 1, gapBytes: 4 });
    client.destroy();
  });
});

function temporaryFolder(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'd4-ack-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}
