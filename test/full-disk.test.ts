import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { open, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { gunzipSync } from 'node:zlib';
import { FrameEncoder, PROTOCOL_VERSION, type SensorId } from '@d4ts/protocol';
import type { ArchivedFilePage, ArchivedFileView, RetentionView, SensorView, Status } from '@d4ts/server';
import { runD4, SmallDisk } from '@d4ts/testkit';
import { ask } from './monitored-server.ts';

const KEY = 'a key of its own';
/** How long something that must happen may take, in ms. */
const PATIENCE = 90_000;
const LINE_BYTES = 4_000;
const MB = 1_000_000;

/** A v1 sensor that sends numbered lines of random text on one connection, as fast as it is read. */
class Sender {
  readonly sensor: SensorId;
  readonly #socket: TLSSocket;
  readonly #encoder: FrameEncoder;
  readonly #ended: Promise<unknown>;
  lines = 0;

  constructor(sensor: SensorId, socket: TLSSocket) {
    this.sensor = sensor;
    this.#socket = socket;
    this.#encoder = new FrameEncoder({ sensor, key: Buffer.from(KEY), version: PROTOCOL_VERSION });
    this.#ended = once(socket.resume(), 'close');
    this.#ended.catch(() => {});
  }

  static async connect({ server }: SmallDisk, sensor: SensorId): Promise<Sender> {
    const socket = connect({
      host: '127.0.0.1',
      port: Number(server.info.listen.split(':').at(-1)),
      ca: server.info.ca,
    });
    await once(socket, 'secureConnect');
    return new Sender(sensor, socket);
  }

  /** Sends so many bytes; takes as long as the server reads. */
  async send(bytes: number): Promise<void> {
    for (let sent = 0; sent < bytes; sent += LINE_BYTES) {
      const text = randomBytes((LINE_BYTES * 3) / 4).toString('base64');
      const line = `${this.lines} ${text}`.slice(0, LINE_BYTES - 1);
      this.lines += 1;
      if (!this.#socket.write(this.#encoder.encode(3, Buffer.from(`${line}\n`), 1))) await once(this.#socket, 'drain');
    }
  }

  /** Ends the session; resolved when the server has, too. */
  async end(): Promise<void> {
    this.#socket.end();
    await this.#ended;
  }
}

async function newSensor({ server }: SmallDisk, more: object): Promise<SensorId> {
  const uuid = crypto.randomUUID() as string as SensorId;
  await ask(server, '/sensors', { uuid, key: KEY, approve: true });
  await ask<SensorView>(server, `/sensors/${uuid}`, more, 'PATCH');
  return uuid;
}

async function until<T>(look: () => Promise<T>, holds: (found: T) => boolean): Promise<T> {
  for (const end = Date.now() + PATIENCE; ; ) {
    const found = await look();
    if (holds(found)) return found;
    assert.ok(Date.now() < end, `not within ${PATIENCE} ms: ${JSON.stringify(found)}`);
    await setTimeout(100);
  }
}

/** Waits until everything of the sensors is in files, and returns the numbers of the lines in them, in order. */
async function archivedLines(disk: SmallDisk, sensor: SensorId, lines: number): Promise<number[]> {
  const { server, home } = disk;
  const files = async () => {
    const { items } = await ask<ArchivedFilePage>(server, `/archive/files?sensor=${sensor}&limit=1000`);
    return items.toReversed();
  };
  const all = await until(files, (found) => sizeOf(found) >= lines * LINE_BYTES);
  const numbers: number[] = [];
  for (const { path, state } of all) {
    assert.equal(state, 'there', path);
    const content = gunzipSync(await readFile(join(home, relative(server.home, path)))).toString();
    for (const line of content.split('\n').slice(0, -1)) {
      assert.equal(line.length, LINE_BYTES - 1);
      numbers.push(Number(line.slice(0, line.indexOf(' '))));
    }
  }
  return numbers;
}

function sizeOf(files: readonly ArchivedFileView[]): number {
  return Math.max(0, ...files.map(({ toByte }) => toByte));
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

test('a disk that fills up under load stops the sensors, not the server; enlarged, it takes the rest, and nothing is lost', async () => {
  await using disk = await SmallDisk.launch('64m');
  const { server } = disk;
  await ask(server, '/types', { name: '3' });
  const [kept, other] = [await newSensor(disk, { hold: true }), await newSensor(disk, { hold: true })];
  const senders = [await Sender.connect(disk, kept), await Sender.connect(disk, other)];
  const sending = Promise.all(senders.map((sender) => sender.send(45 * MB)));
  sending.catch(() => {});

  const stopped = await until(
    () => ask<Status>(server, '/status'),
    ({ space }) => space.state === 'stopped',
  );
  assert.match(stopped.space.reason ?? '', /no sensor is read until there is space/);
  assert.match(server.log(), /the disk is full but for its reserve: no sensor is read until there is space/);
  const [space] = stopped.space.disks;
  assert.ok(space !== undefined && space.freeBytes > 0, 'the reserve is not used up');
  // Both have sent more than there is room for, so they wait.
  await until(
    () => ask<Status>(server, '/status'),
    ({ backPressure }) => backPressure.paused === 2,
  );
  const shown = await runD4(['retention', 'show', '--home', disk.home]);
  assert.deepEqual([shown.code, shown.stderr], [0, '']);
  assert.match(shown.stdout, /^space +NONE since /m);
  assert.match((await runD4(['status', '--home', disk.home])).stdout, /^space +NONE since /m);
  // The interface works, what it changes is saved, and nothing on hold was removed.
  await newSensor(disk, { description: 'made while the disk was full' });
  const { archive } = await ask<RetentionView>(server, '/retention');
  assert.ok(archive.every(({ removedFiles }) => removedFiles === 0));

  await disk.resize('400m');
  await sending;
  await until(
    () => ask<Status>(server, '/status'),
    ({ space: now }) => now.state === 'ok',
  );
  assert.match(server.log(), /there is space again: sensors are read/);
  for (const sender of senders) await sender.end();
  for (const { sensor, lines } of senders) {
    const numbers = await archivedLines(disk, sensor, lines);
    assert.deepEqual(numbers, upTo(lines));
  }
  assert.equal((await server.stop()).code, 0);
});

test('under pressure the rewind window goes, then what queues hold, then the files that are not on hold; the load goes on', async () => {
  await using disk = await SmallDisk.launch('64m');
  const { server } = disk;
  await ask(server, '/types', { name: '3' });
  const kept = await newSensor(disk, { hold: true });
  const first = await newSensor(disk, { archivePriority: -1 });
  const { uuid: queue } = await ask<{ uuid: string }>(server, '/queues', { type: '3' });
  const held = await Sender.connect(disk, kept);
  await held.send(2 * MB);
  await held.end();
  const sender = await Sender.connect(disk, first);
  // More than the disk holds.
  await sender.send(80 * MB);
  await sender.end();
  const { dropped, length } = await ask<{ dropped: number; length: number }>(server, `/queues/${queue}`);
  assert.equal(dropped + length, held.lines + sender.lines);
  assert.ok(dropped > 0);
  const files = async () => (await ask<ArchivedFilePage>(server, '/archive/files?type=3&limit=1000')).items;
  const all = await until(files, (found) => sizeOf(found) >= sender.lines * LINE_BYTES);
  const removed = all.filter(({ removedFor }) => removedFor !== null);
  assert.ok(removed.length > 0);
  assert.deepEqual(
    new Set(removed.map(({ sensor, removedFor }) => `${sensor} ${removedFor}`)),
    new Set([`${first} pressure`]),
  );
  assert.deepEqual(await archivedLines(disk, kept, held.lines), upTo(held.lines));
  const { archive } = await ask<RetentionView>(server, '/retention');
  assert.equal(archive[0]?.removedFiles, removed.length);
  assert.equal(
    archive[0]?.removedBytes,
    removed.reduce((sum, { bytes }) => sum + bytes, 0),
  );
});

test('a disk that somebody else fills up to the last byte: the server stays, says so, and goes on', async () => {
  await using disk = await SmallDisk.launch('64m');
  const { server, home } = disk;
  await ask(server, '/types', { name: '3' });
  const sensor = await newSensor(disk, { hold: true });
  const sender = await Sender.connect(disk, sensor);
  await sender.send(2 * MB);
  const sending = sender.send(20 * MB);
  sending.catch(() => {});
  const filler = join(home, 'filler');
  await fillUp(filler);
  await until(
    () => ask<Status>(server, '/status'),
    ({ space, backPressure }) => space.state === 'stopped' && backPressure.paused === 1,
  );
  // Again and again, since retention makes room.
  await fillUp(`${filler}2`);
  const asked = await runD4(['sensor', 'list', '--home', home]);
  assert.equal(asked.code, 0, asked.stderr);
  await rm(filler);
  await rm(`${filler}2`);
  await sending;
  await sender.end();
  assert.deepEqual(await archivedLines(disk, sensor, sender.lines), upTo(sender.lines));
  await newSensor(disk, {});
  assert.equal((await server.stop()).code, 0);
});

test('a disk that somebody else fills up for good: what is unfinished makes room, and the load goes on', async () => {
  await using disk = await SmallDisk.launch('64m');
  const { server, home } = disk;
  await ask(server, '/types', { name: '3' });
  const sensor = await newSensor(disk, {});
  const sender = await Sender.connect(disk, sensor);
  await sender.send(20 * MB);
  // The file of the archive is written and stays open, for its period is not over.
  const { bavail, bsize } = await until(
    () => statfs(home),
    ({ blocks, bavail: free, bsize: block }) => (blocks - free) * block > 1.7 * 20 * MB,
  );
  await writeFile(join(home, 'filler'), Buffer.alloc(bavail * bsize)).catch(() => {});
  await sender.send(10 * MB);
  await sender.end();
  const files = async () => (await ask<ArchivedFilePage>(server, '/archive/files?type=3&limit=1000')).items;
  const all = await until(files, (found) => sizeOf(found) >= sender.lines * LINE_BYTES);
  // One after the other, with nothing left out, whether they are still there or not.
  const ranges = all.toReversed().map(({ fromByte, toByte }) => [fromByte, toByte]);
  assert.deepEqual(
    ranges.map(([from]) => from),
    [0, ...ranges.slice(0, -1).map(([, to]) => to)],
  );
  assert.equal((await server.stop()).code, 0);
});

/** Writes until nothing more fits. */
async function fillUp(path: string): Promise<void> {
  await writeFile(path, '');
  const file = await open(path, 'a');
  try {
    for (let bytes = 1 << 20; bytes >= 4_096; ) {
      const written = await file.write(Buffer.alloc(bytes)).catch(() => undefined);
      if (written === undefined || written.bytesWritten < bytes) bytes >>= 1;
    }
  } finally {
    await file.close();
  }
}
