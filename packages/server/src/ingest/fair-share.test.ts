import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import type { SensorId } from '@d4ts/protocol';
import { temporaryFolder } from '@d4ts/testkit';
import { ENTRY_KIND } from '../journal/port.ts';
import { bytesOfDay } from '../registry/activity.ts';
import { type IngestFixture, peerClosed, startIngestFixture, until } from './ingest-fixture.ts';

// A sensor cannot starve the others: its rate, its quota, its share of a commit.

const LINE = Buffer.from(`${'a line of some log '.repeat(5)}\n`);
const PAYLOAD = Buffer.concat(Array.from({ length: 40 }, () => LINE));
const MIB = 1024 * 1024;
/** What is read of a socket at once. */
const CHUNK_BYTES = 64 * 1024;

function frames(fixture: IngestFixture, sensor: SensorId, bytes: number): Buffer {
  const encoder = fixture.encoder(sensor);
  return Buffer.concat(Array.from({ length: Math.ceil(bytes / PAYLOAD.length) }, () => encoder.encode(3, PAYLOAD, 1)));
}

function today(fixture: IngestFixture, sensor: SensorId): number {
  return bytesOfDay(fixture.registry.activity.sensor(sensor), Date.now());
}

test('what a flooding sensor gets of each commit is bounded, and a quiet one is in the first', async () => {
  const gate = Promise.withResolvers<void>();
  await using fixture = await startIngestFixture({ disk: () => gate.promise });
  const [flooding, quiet] = [await fixture.addSensor(), await fixture.addSensor()];
  const log = await fixture.journal.open('3');
  const commits: number[] = [];
  log.onCommit(() => commits.push(log.endSequence));

  const wire = frames(fixture, flooding, 3 * MIB);
  const floods = await Promise.all([1, 2, 3, 4].map(() => fixture.connect()));
  for (const socket of floods) socket.end(wire);
  await until(() => fixture.ingest.backPressure().paused === 4);
  const other = await fixture.connect();
  other.end(fixture.encoder(quiet).encode(3, Buffer.from('a quiet line\n'), 1));
  await until(() => fixture.registry.activity.sensor(quiet).topics['3']?.records === 1);
  gate.resolve();
  await Promise.all([...floods, other].map(peerClosed));

  const entries = await fixture.entries('3');
  const shares = new Map<number, Map<SensorId, number>>();
  for (const { kind, sequence, stream, bytes } of entries) {
    if (kind !== ENTRY_KIND.data) continue;
    const commit = commits.findIndex((end) => sequence < end);
    const share = shares.get(commit) ?? new Map<SensorId, number>();
    share.set(stream.sensor, (share.get(stream.sensor) ?? 0) + bytes.length);
    shares.set(commit, share);
  }
  assert.ok(shares.size > 8, `${shares.size} commits`);
  for (const share of shares.values()) assert.ok((share.get(flooding) ?? 0) <= MIB + CHUNK_BYTES);
  const [first] = shares.values();
  assert.equal(first?.get(quiet), 13);
  const all = [...shares.values()].reduce((sum, share) => sum + (share.get(flooding) ?? 0), 0);
  assert.equal(all, 4 * Math.ceil((3 * MIB) / PAYLOAD.length) * PAYLOAD.length, 'nothing is lost');
  assert.equal(today(fixture, flooding), 4 * wire.length);
  assert.equal(today(fixture, quiet), 62 + 13);
});

test('over its daily quota a sensor is not read, also after a restart, until it has more; nothing is lost', async (t) => {
  const folder = temporaryFolder(t);
  const quota = 300_000;
  const setQuota = async (fixture: IngestFixture, sensor: SensorId, maxBytesPerDay: number) => {
    const known = fixture.registry.sensors.get(sensor)?.value ?? assert.fail();
    await fixture.registry.sensors.put(sensor, { ...known, maxBytesPerDay }, { name: 'test' });
  };
  let sensor: SensorId;
  let used: number;
  {
    await using fixture = await startIngestFixture({ folder });
    sensor = await fixture.addSensor({ maxBytesPerDay: quota });
    const wire = frames(fixture, sensor, 2 * quota);
    const sockets: TLSSocket[] = [];
    for (let i = 0; i < 2; i++) {
      const socket = await fixture.connect();
      socket.end(wire);
      sockets.push(socket);
    }
    await until(() => fixture.ingest.backPressure().paused === 2);
    used = today(fixture, sensor);
    assert.ok(used >= quota && used <= quota + 2 * CHUNK_BYTES, `${used}`);
    await setQuota(fixture, sensor, quota + 1_000_000_000);
    await Promise.all(sockets.map(peerClosed));
    used = today(fixture, sensor);
    assert.equal(used, 2 * wire.length);
    assert.equal((await fixture.text('3')).length, 2 * Math.ceil((2 * quota) / PAYLOAD.length) * PAYLOAD.length);
    await setQuota(fixture, sensor, used);
  }
  await using fixture = await startIngestFixture({ folder });
  assert.equal(today(fixture, sensor), used);
  const before = (await fixture.text('3')).length;
  const wire = frames(fixture, sensor, 500_000);
  const socket = await fixture.connect();
  socket.end(wire);
  await until(() => fixture.ingest.backPressure().paused === 1);
  assert.ok(today(fixture, sensor) <= used + CHUNK_BYTES);
  await setQuota(fixture, sensor, 2 * used);
  await peerClosed(socket);
  assert.equal((await fixture.text('3')).length - before, Math.ceil(500_000 / PAYLOAD.length) * PAYLOAD.length);
});

test('a sensor that is faster than its rate is read slower, and nothing is lost', async () => {
  await using fixture = await startIngestFixture();
  const sensor = await fixture.addSensor({ maxBytesPerSecond: 400_000 });
  const wire = frames(fixture, sensor, 500_000);
  const start = performance.now();
  const socket = await fixture.connect();
  socket.end(wire);
  await peerClosed(socket);
  const earliest = ((wire.length - 400_000 - CHUNK_BYTES) / 400_000) * 1_000;
  assert.ok(performance.now() - start >= earliest, 'it cannot have been faster');
  assert.ok(fixture.ingest.backPressure().pauses > 0);
  assert.equal((await fixture.text('3')).length, Math.ceil(500_000 / PAYLOAD.length) * PAYLOAD.length);
});

test('a server that stops takes what a sensor over its quota has sent already', async (t) => {
  const folder = temporaryFolder(t);
  {
    await using fixture = await startIngestFixture({ folder });
    const sensor = await fixture.addSensor({ maxBytesPerDay: 1 });
    const socket = await fixture.connect();
    const encoder = fixture.encoder(sensor);
    socket.write(encoder.encode(3, Buffer.from('first\n'), 1));
    await until(() => fixture.ingest.backPressure().paused === 1);
    await new Promise((resolve) => socket.write(encoder.encode(3, Buffer.from('second\n'), 1), resolve));
    socket.on('error', () => undefined);
  }
  await using fixture = await startIngestFixture({ folder });
  assert.equal(await fixture.text('3'), 'first\nsecond\n');
});
