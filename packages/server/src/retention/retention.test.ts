import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { newSensorId } from '@d4ts/protocol';
import { popAway } from '../queues/queue-home-fixture.ts';
import { ACTOR, RetentionHome } from './retention-home-fixture.ts';

const A = newSensorId();
const B = newSensorId();
const DAY = 86_400_000;

function lines(count: number, mark: string): string[] {
  return Array.from({ length: count }, (_, i) => `${mark} ${i} ${'x'.repeat(50)}`);
}

async function segments(home: RetentionHome, topic = '3'): Promise<string[]> {
  return (await readdir(join(home.folder, 'journal', topic))).filter((name) => name.endsWith('.seg')).sort();
}

async function fill(home: RetentionHome, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    await home.send(A, lines(100, `a${round}`));
    await home.send(B, lines(100, `b${round}`));
  }
}

test('the journal lets go of what the archive has had, and of nothing else', async () => {
  await using home = await RetentionHome.make({ journalTypeSize: '50000B' });
  await fill(home, 10);
  const before = await segments(home);
  await home.retention.run();
  assert.deepEqual(await segments(home), before);
  assert.equal(home.retention.status().journal[0]?.waitsFor, 'archive');
  await home.archived();
  const plan = await home.retention.plan();
  assert.deepEqual(
    plan.map(({ store, why, topic }) => [store, why, topic]),
    [['journal', 'type-bytes', '3']],
  );
  assert.deepEqual(await segments(home), before, 'a plan changes nothing');
  await home.retention.run();
  assert.equal(home.retention.status().error, undefined);
  const held = home.journal.get('3')?.stats();
  assert.ok(held !== undefined && held.bytes <= 50_000 && held.firstSequence > 1);
  assert.ok((await segments(home)).length < before.length);
  const gone = home.events.reduce((sum, { records = 0 }) => sum + records, 0);
  assert.equal(gone, 2_000 - held.records);
  assert.deepEqual(new Set(home.events.map(({ store, why }) => `${store} ${why}`)), new Set(['journal type-bytes']));
  assert.equal(home.retention.status().lastRemoval?.why, 'type-bytes');
});

test('a queue that is too far behind gives up items, counted and saved before they go', async () => {
  await using home = await RetentionHome.make({ queueSize: '100000B', rewindAge: '0s', rewindSize: '0B' });
  const all = await home.queues.add({ topic: '3' }, ACTOR);
  const group = await home.queues.add({ topic: '3', group: [B] }, ACTOR);
  await fill(home, 10);
  assert.deepEqual([all.length, group.length], [2_000, 1_000]);
  const [first] = await popAway(all, 1);
  assert.ok(first?.toString().startsWith('a0 0 '));
  await home.archived();
  await home.retention.run();
  const held = home.journal.get('3')?.stats().records ?? 0;
  assert.ok(held < 2_000 && held > 500);
  assert.deepEqual([all.length, all.info().dropped], [held, 2_000 - 1 - held]);
  assert.equal(group.length + group.info().dropped, 1_000);
  const [next] = await popAway(all, 1);
  assert.ok(!next?.toString().startsWith('a0 '));
  const lost = home.events.filter(({ store }) => store === 'queue');
  assert.equal(
    lost.filter(({ queue }) => queue === all.uuid).reduce((sum, { records = 0 }) => sum + records, 0),
    all.info().dropped,
  );
  assert.deepEqual(new Set(lost.filter(({ queue }) => queue === group.uuid).map(({ sensor }) => sensor)), new Set([B]));
  await home.restart();
  const again = home.queues.get(all.uuid)?.info();
  assert.deepEqual([again?.dropped, again?.length], [2_000 - 1 - held, held - 1]);
});

test('an open segment goes too, once it is old and everybody has had it', async () => {
  await using home = await RetentionHome.make({ rewindAge: '0s' });
  await home.send(A, lines(3, 'a'));
  await home.archived();
  home.clockAhead = 10;
  await home.retention.run();
  await home.archived();
  await home.retention.run();
  assert.equal(home.journal.get('3')?.stats().records, 0);
  assert.equal((await segments(home)).length, 1);
  await home.retention.run();
  assert.equal((await segments(home)).length, 1);
});

test('files make room by priority; what is on hold stays', async () => {
  await using home = await RetentionHome.make({ archiveSize: '350B' });
  const sensor = {
    key: 'k',
    state: 'approved',
    description: '',
    mail: '',
    thirdParty: false,
    unproven: false,
    createdAt: 0,
  } as const;
  await home.registry.sensors.put(A, { ...sensor, uuid: A, hold: true }, ACTOR);
  await home.registry.sensors.put(B, { ...sensor, uuid: B, archive: { priority: 5 } }, ACTOR);
  await home.registry.types.put('1', { name: '1', archive: { priority: -9 }, createdAt: 0 }, ACTOR);
  const held = await home.finish(A, '1', 'a1.gz');
  const ofB = [await home.finish(B, '3', 'b1.gz'), await home.finish(B, '3', 'b2.gz')];
  const first = await home.finish(B, '1', 'b3.gz');
  const last = await home.finish(B, '3', 'b4.gz');
  await home.retention.run();
  assert.deepEqual([held, first, ...ofB, last].map(existsSync), [true, false, false, true, true]);
  const [ofType1, ofType3] = home.retention.status().archive;
  assert.deepEqual([ofType1?.files, ofType1?.heldBytes, ofType1?.removedBytes], [1, 100, 100]);
  assert.deepEqual([ofType3?.files, ofType3?.bytes, ofType3?.removedFiles], [2, 200, 1]);
  const files = home.events.filter(({ store }) => store === 'archive');
  assert.deepEqual(
    files.map(({ sensor: of, topic, files: count, bytes, streamBytes, why }) => [
      of,
      topic,
      count,
      bytes,
      streamBytes,
      why,
    ]),
    [
      [B, '1', 1, 100, 200, 'total-bytes'],
      [B, '3', 1, 100, 200, 'total-bytes'],
    ],
  );
  const { archive } = home.registry;
  assert.equal(archive.removalOf('3', B, 1)?.why, 'total-bytes');
  assert.equal(archive.removalOf('3', B, 4), undefined);
  await home.restart();
  assert.equal(home.registry.archive.removalOf('1', B, 4)?.files, 1);
  assert.equal(
    home.retention.status().archive.reduce((sum, { files: count }) => sum + count, 0),
    3,
  );
});

test('old files go with their folders and meta headers; what others have removed or changed is no loss', async () => {
  await using home = await RetentionHome.make({ archiveAge: '30d' });
  const old = { firstTime: Date.now() - 50 * DAY, lastTime: Date.now() - 50 * DAY };
  const folder = `${A.replaceAll('-', '')}/254/2024/01/02/maltrail`;
  const gone = await home.finish(A, 'maltrail', `${folder}/one.txt.gz`, old);
  const meta = join(dirname(gone), 'one.json');
  await writeFile(meta, '{}');
  const removed = await home.finish(A, 'maltrail', `${folder}/two.txt.gz`, old);
  await rm(removed);
  const changed = await home.finish(A, 'maltrail', 'three.txt.gz', old);
  await writeFile(changed, 'something else');
  const young = await home.finish(A, 'maltrail', 'four.txt.gz');
  await home.retention.run();
  assert.deepEqual([gone, meta, changed, young].map(existsSync), [false, false, true, true]);
  assert.deepEqual(await readdir(join(home.root, A.replaceAll('-', ''), '254')), []);
  assert.deepEqual(
    home.events.map(({ files, bytes, why }) => [files, bytes, why]),
    [[1, 100, 'age']],
  );
  const [held] = home.retention.status().archive;
  assert.deepEqual([held?.files, held?.removedFiles], [1, 1]);
  // The oldest that is left is not looked for again.
  assert.ok((held?.oldest ?? 0) > Date.now() - DAY);
});

test('after a jump of the clock nothing goes by age until the clock is accepted', async () => {
  await using home = await RetentionHome.make({ archiveAge: '30d', rewindAge: '24h' });
  const path = await home.finish(A, '3', 'a.gz');
  await home.retention.run();
  home.clockAhead = 40 * DAY;
  await home.retention.run();
  assert.ok(existsSync(path));
  assert.match(home.retention.status().ageRulesPaused ?? '', /ahead by 57600 minutes/);
  await home.restart({ archiveAge: '30d' });
  await home.retention.run();
  assert.ok(existsSync(path), 'also after a restart');
  assert.equal(await home.retention.acceptClock(ACTOR), true);
  await home.retention.run();
  assert.equal(existsSync(path), false);
});

test('a file that several records share goes with the last of them', async () => {
  await using home = await RetentionHome.make({ archiveSensorSize: '50B' });
  const record = { kind: 'record', announce: true } as const;
  const shared = await home.finish(A, 'ja3-jl', 'shared.json', record);
  await home.finish(B, 'ja3-jl', 'shared.json', record);
  const own = await home.finish(A, 'ja3-jl', 'own.json', record);
  const sensor = {
    key: 'k',
    state: 'approved',
    description: '',
    mail: '',
    thirdParty: false,
    unproven: false,
    createdAt: 0,
  } as const;
  await home.registry.sensors.put(B, { ...sensor, uuid: B, hold: true }, ACTOR);
  await home.retention.run();
  assert.deepEqual([shared, own].map(existsSync), [true, false]);
  await home.registry.sensors.put(B, { ...sensor, uuid: B }, ACTOR);
  await home.retention.run();
  assert.equal(existsSync(shared), false);
});

test('a path whose file was removed is no item any more, and counted as dropped', async () => {
  await using home = await RetentionHome.make({ archiveTypeSize: '150B' });
  const queue = await home.queues.add({ topic: '1' }, ACTOR);
  for (const name of ['1.gz', '2.gz', '3.gz']) await home.finish(A, '1', name, { announce: true });
  assert.equal(queue.length, 3);
  await home.retention.run();
  assert.deepEqual((await popAway(queue, 10)).map(String), [join(home.root, '3.gz')]);
  assert.deepEqual([queue.length, queue.info().taken, queue.info().dropped], [0, 1, 2]);
});

test('what was counted as removed when the server was killed is removed at the next start', async () => {
  await using home = await RetentionHome.make();
  const path = await home.finish(A, '3', 'a.gz');
  home.registry.archive.save({ holdings: [], unlinking: [path] });
  await home.restart();
  assert.equal(existsSync(path), false);
  assert.deepEqual(home.registry.archive.unlinking(), []);
});

test('the data of one sensor are erased, and the others are as they were', async () => {
  await using home = await RetentionHome.make();
  const queue = await home.queues.add({ topic: '3' }, ACTOR);
  await fill(home, 4);
  const files = [await home.finish(A, '3', 'a.gz'), await home.finish(B, '3', 'b.gz')];
  assert.equal((await popAway(queue, 150)).length, 150);
  // A topic that has had nothing holds nothing up.
  await home.journal.open('maltrail');
  const erasure = await home.retention.erase(A, ACTOR);
  assert.equal(erasure.doneAt, undefined);
  await home.retention.run();
  await home.retention.run();
  assert.match(home.retention.status().erasures[0]?.waitsFor ?? '', /^the archive/);
  assert.deepEqual([home.expelled, home.forgotten, files.map(existsSync)], [[A], [A], [false, true]]);
  await home.archived();
  await home.retention.run();
  const [done] = home.retention.status().erasures;
  assert.deepEqual([done?.waitsFor, done?.files, done?.journalRecords], [undefined, 1, 400]);

  for (const name of await readdir(join(home.folder, 'journal', '3'))) {
    const bytes = await readFile(join(home.folder, 'journal', '3', name), 'latin1');
    assert.doesNotMatch(bytes, /a\d \d/, name);
  }
  const check = async (taken: number): Promise<void> => {
    const left = home.queues.get(queue.uuid);
    assert.ok(left !== undefined);
    const items = (await popAway(left, 10_000)).map(String);
    assert.deepEqual(items, ['b0', 'b1', 'b2', 'b3'].flatMap((mark) => lines(100, mark)).slice(taken));
    const { length, dropped } = left.info();
    // 100 of the first 150 were of A.
    assert.deepEqual([length, dropped], [0, 300]);
  };
  await check(50);
  const entries = await home.journal.get('3')?.read(1, 1 << 20);
  assert.ok(entries?.every(({ stream, kind }) => stream.sensor !== A || kind !== 2));
  // Without its index a segment says the same.
  await home.close();
  for (const name of await readdir(join(home.folder, 'journal', '3'))) {
    if (name.endsWith('.idx')) await rm(join(home.folder, 'journal', '3', name));
  }
  await home.open();
  const later = await home.queues.add({ topic: '3', from: 0, group: [A] }, ACTOR);
  assert.equal(later.length, 400);
  assert.deepEqual(await popAway(later, 500), []);
  assert.deepEqual([later.length, later.info().dropped], [0, 400]);
  assert.equal(home.retention.status().erasures[0]?.journalRecords, 400);
});

test('what is on hold is not erased', async () => {
  await using home = await RetentionHome.make();
  const sensor = {
    key: 'k',
    state: 'approved',
    description: '',
    mail: '',
    thirdParty: false,
    unproven: false,
    createdAt: 0,
  } as const;
  await home.registry.sensors.put(A, { ...sensor, uuid: A, hold: true }, ACTOR);
  await assert.rejects(home.retention.erase(A, ACTOR), { code: 'D4_CONFLICT' });
});
