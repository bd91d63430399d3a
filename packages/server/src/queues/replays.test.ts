import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { newSensorId, type SensorId } from '@d4ts/protocol';
import { pino } from 'pino';
import { announcementOf } from '../archive/announcement.ts';
import { Folders } from '../archive/folders.ts';
import { progressFrom } from '../archive/progress.ts';
import { RecordFileWriter } from '../archive/record-files.ts';
import { Slots } from '../archive/slots.ts';
import { TopicArchiver } from '../archive/topic-archiver.ts';
import { formatFor } from '../formats/registry.ts';
import { ENTRY_KIND } from '../journal/port.ts';
import type { ReplayState } from '../registry/port.ts';
import type { Queue } from './port.ts';
import { ACTOR, popAway, QueueHome } from './queue-home-fixture.ts';

const MINUTE_MS = 60_000;
const ALL = { from: 0 };
const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => String(from + i));

function existing(queue: Queue | undefined): Queue {
  assert.ok(queue);
  return queue;
}

function replayOf(queue: Queue, index = -1): ReplayState {
  const replay = queue.info().replays.at(index);
  assert.ok(replay);
  return replay;
}

/** Takes items until no replay is under way and none is left. */
async function takeAll(queue: Queue, count = 100): Promise<string[]> {
  const taken: string[] = [];
  for (;;) {
    for (const item of await popAway(queue, count)) taken.push(String(item));
    if (queue.length > 0) continue;
    if (queue.info().replays.every(({ state }) => state !== 'running')) return taken;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Takes just so many items. */
async function takeSome(queue: Queue, count: number): Promise<string[]> {
  const taken: string[] = [];
  while (taken.length < count) {
    for (const item of await popAway(queue, count - taken.length)) taken.push(String(item));
    await new Promise((resolve) => setImmediate(resolve));
  }
  return taken;
}

function assertBalanced(queue: Queue, arrived: number): void {
  const { length, claimed, taken, dropped, flushed, rewound, replayed } = queue.info();
  assert.equal(
    length + claimed + taken + dropped + flushed,
    arrived + rewound + replayed,
    JSON.stringify(queue.info()),
  );
}

test('a replay puts one sensor’s past into another type’s queue, and disturbs no other', async () => {
  await using home = await QueueHome.make();
  const [a, b] = [newSensorId(), newSensorId()];
  await home.registry.types.put('8', { name: '8', createdAt: 0 }, ACTOR);
  const other = await home.queues.add({ topic: '3' }, ACTOR);
  for (let i = 0; i < 5; i++) {
    await home.append(a, numbers(i * 500 + 1, i * 500 + 500));
    await home.append(b, ['b']);
  }
  const queue = await home.queues.add({ topic: '8' }, ACTOR);
  const replay = await home.queues.replay(queue.uuid, { ...ALL, topic: '3', sensors: [a] }, ACTOR);
  assert.deepEqual([replay?.source, replay?.journalItems], ['journal', 2500]);
  await home.append(a, ['live'], '8');
  const taken = await takeAll(queue);
  assert.deepEqual(
    taken.filter((item) => item !== 'live'),
    numbers(1, 2500),
  );
  assert.equal(taken.length, 2501);
  assert.deepEqual([replayOf(queue).state, replayOf(queue).delivered, replayOf(queue).lost], ['done', 2500, 0]);
  assert.equal(queue.info().replayed, 2500);
  assert.equal(other.length, 2505);
  assertBalanced(queue, 1);
  const [record] = home.registry.audit.list({ kind: 'replay-started' }, 1).records;
  assert.equal(record?.key, queue.uuid);
});

test('a replay ends at its time, goes on after a restart, and is acknowledged like all else', async () => {
  await using home = await QueueHome.make(2000);
  const a = newSensorId();
  for (let i = 0; i < 10; i++) await home.append(a, numbers(i * 200 + 1, i * 200 + 200));
  const { uuid } = await home.queues.add({ topic: '3' }, ACTOR);
  const to = Date.now() + 1;
  while (Date.now() < to + 2) await new Promise((resolve) => setImmediate(resolve));
  await home.append(a, ['too late']);
  await home.queues.replay(uuid, { from: 0, to }, ACTOR);
  const queue = existing(home.queues.get(uuid));
  const seen = (await takeSome(queue, 700)).filter((item) => item !== 'too late');
  const claimed = await queue.claim(50, MINUTE_MS);
  assert.ok(claimed.length > 0);
  queue.acknowledge(claimed.slice(10).map(({ id }) => id));
  await home.restart();
  const again = existing(home.queues.get(uuid));
  const rest = (await takeAll(again)).filter((item) => item !== 'too late');
  const known = claimed.map(({ item }) => String(item)).filter((item) => item !== 'too late');
  assert.deepEqual(rest.slice(0, 10), known.slice(0, 10));
  assert.deepEqual([...seen, ...known.slice(0, known.length), ...rest.slice(10)].sort(), numbers(1, 2000).sort());
  assert.deepEqual([replayOf(again).state, replayOf(again).delivered], ['done', 2000]);
  assertBalanced(again, 1);
});

test('a replay waits for a full queue, can be cancelled, and ends with a flush', async () => {
  await using home = await QueueHome.make();
  await home.append(newSensorId(), numbers(1, 100));
  const queue = await home.queues.add({ topic: '3', limit: 10 }, ACTOR);
  const replay = await home.queues.replay(queue.uuid, ALL, ACTOR);
  const untilStaged = async () => {
    while (queue.length < 10) await new Promise((resolve) => setImmediate(resolve));
  };
  await untilStaged();
  assert.deepEqual([queue.length, queue.info().dropped], [10, 0]);
  assert.deepEqual((await queue.peek(99)).map(String), numbers(1, 10));
  assert.equal((await popAway(queue, 4)).length, 4);
  await untilStaged();
  const cancelled = await home.queues.cancelReplay(queue.uuid, replay?.id ?? '', ACTOR);
  assert.deepEqual([cancelled?.state, cancelled?.delivered, queue.length], ['cancelled', 4, 0]);
  assertBalanced(queue, 0);
  await home.queues.replay(queue.uuid, ALL, ACTOR);
  await untilStaged();
  assert.equal(queue.flush(), 10);
  assert.equal(replayOf(queue).state, 'cancelled');
  assertBalanced(queue, 0);
  assert.equal(await home.queues.cancelReplay(queue.uuid, 'none', ACTOR), undefined);
  await assert.rejects(home.queues.cancelReplay(queue.uuid, replay?.id ?? '', ACTOR), {
    code: 'D4_CONFLICT',
    message: /is over already \(cancelled\)/,
  });
  await assert.rejects(home.queues.replay(queue.uuid, { from: 5, to: 5 }, ACTOR), { code: 'D4_BAD_REQUEST' });
  await assert.rejects(home.queues.replay(queue.uuid, { from: 5, topic: '77' }, ACTOR), {
    code: 'D4_TYPE_NOT_ACCEPTED',
  });
});

test('paths of finished files are replayed as they were announced', async () => {
  await using home = await QueueHome.make();
  const a = newSensorId();
  await home.announce('1', a, '/archive/a.cap.gz');
  await home.announce('1', newSensorId(), '/archive/b.cap.gz');
  const queue = await home.queues.add({ topic: '3' }, ACTOR);
  await home.queues.replay(queue.uuid, { ...ALL, topic: '1', sensors: [a] }, ACTOR);
  assert.deepEqual(await takeAll(queue), ['/archive/a.cap.gz']);
});

/** Lines of one stream, in files and in a journal of which the beginning is gone. @returns how many lines that were */
async function archivedHome(home: QueueHome, sensor: SensorId): Promise<number> {
  const log = pino({ level: 'silent' });
  const root = join(home.root, 'archive');
  await mkdir(root);
  const [topic, files] = [await home.journal.open('3'), await home.journal.open('files/3')];
  const stream = { id: randomBytes(16).toString('hex'), sensor, topic: '3', type: 3, preamble: Buffer.alloc(0) };
  let length = 0;
  for (let i = 0; i < 40; i++) {
    const bytes = Buffer.from(`${numbers(i * 10 + 1, i * 10 + 10).join('\n')}\n`);
    const draft = { kind: ENTRY_KIND.data, flags: 0, pieces: [bytes], bytes: bytes.length, records: 10 };
    await topic.append(stream, length, [draft]);
    length += bytes.length;
    if (i === 11 || i === 31) await topic.cut(stream);
  }
  const slots = new Slots(3);
  const folders = new Folders(root, slots, log);
  const parts = { folders, slots, records: new RecordFileWriter(folders) };
  const archiver = new TopicArchiver(topic, files, formatFor('3'), progressFrom(undefined), parts);
  await archiver.catchUp();
  while (await archiver.takeBlock()) await new Promise((resolve) => setImmediate(resolve));
  await archiver.settle();
  // Within the first file.
  await topic.truncateBefore(24);
  return 400 - topic.stats().records;
}

test('what the journal does not have any more comes from the archive, each record once', async () => {
  await using home = await QueueHome.make(400);
  const sensor = newSensorId();
  await archivedHome(home, sensor);
  for (const sensors of [undefined, [sensor], [newSensorId()]]) {
    const queue = await home.queues.add({ topic: '3' }, ACTOR);
    const replay = await home.queues.replay(queue.uuid, { ...ALL, ...(sensors && { sensors }) }, ACTOR);
    assert.equal(replay?.source, 'archive');
    const expected = sensors !== undefined && sensors[0] !== sensor ? [] : numbers(1, 400);
    assert.deepEqual(await takeAll(queue, 7), expected);
    assert.deepEqual([replayOf(queue).lost, replayOf(queue).missingFiles], [0, 0]);
  }
});

test('a replay out of the archive goes on after a restart, and counts files that are gone', async () => {
  await using home = await QueueHome.make(400);
  const gone = await archivedHome(home, newSensorId());
  assert.ok(gone > 50 && gone < 120);
  const { uuid } = await home.queues.add({ topic: '3' }, ACTOR);
  await home.queues.replay(uuid, ALL, ACTOR);
  const queue = existing(home.queues.get(uuid));
  const first = await takeSome(queue, 130);
  await home.restart();
  const [file] = (await (await home.journal.open('files/3')).read(1, 1 << 20))
    .map(announcementOf)
    .filter((each) => each);
  assert.ok(file);
  await rm(file.path);
  const again = existing(home.queues.get(uuid));
  assert.deepEqual([...first, ...(await takeAll(again))], numbers(1, 400));
  const { uuid: other } = await home.queues.add({ topic: '3' }, ACTOR);
  await home.queues.replay(other, ALL, ACTOR);
  assert.deepEqual(await takeAll(existing(home.queues.get(other))), numbers(gone + 1, 400));
  assert.equal(replayOf(existing(home.queues.get(other))).missingFiles, 1);
});
