import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseSensorId, type SensorId, sensorIdHex } from '@d4ts/protocol';
import fc from 'fast-check';
import pino from 'pino';
import { openFileJournal } from '../journal/files.ts';
import type { Journal, StreamDefinition } from '../journal/port.ts';
import { type Announcement, Announcer, filesTopic } from './announcement.ts';
import { ArchivedFiles, type FileFilter, type ListedFile } from './listing.ts';

const log = pino({ level: 'silent' });
const ROOT = '/the/archive';
const SENSORS = [1, 2, 3].map((n) => parseSensorId(`6f8a3b52-1c4d-4e7f-9a21-5d0c7be41f9${n}`));
const [SENSOR, OTHER, RARE] = SENSORS as [SensorId, SensorId, SensorId];

interface ListingHome {
  journal: Journal;
  files: ArchivedFiles;
  /** Says that files are finished, of data that came at `time`. */
  announce(topic: string, sensor: SensorId, time: number, count?: number): Promise<string[]>;
  reopen(): Promise<void>;
  close(): Promise<void>;
}

/** @param segmentBytes small, so that there are many segments, sealed ones too */
async function openListing(segmentBytes = 8_000): Promise<ListingHome> {
  const root = await mkdtemp(join(tmpdir(), 'd4-listing-'));
  const open = () => openFileJournal({ root, policy: 'os', log, segmentBytes });
  const journal = await open();
  let number = 0;
  const home: ListingHome = {
    journal,
    files: new ArchivedFiles(ROOT, journal),
    async announce(topic, sensor, time, count = 1) {
      const type = /^[0-9]+$/.test(topic) ? Number(topic) : 254;
      const stream: StreamDefinition = { id: 'f'.repeat(32), sensor, topic, type, preamble: Buffer.alloc(0) };
      const day = new Date(time).toISOString().slice(0, 10).replaceAll('-', '/');
      const made = Array.from({ length: count }, (): Announcement => {
        const name = type === 254 ? `${topic}/${++number}.txt.gz` : `${++number}.txt.gz`;
        const path = `${ROOT}/${sensorIdHex(sensor)}/${type}/${day}/${name}`;
        const times = { firstTime: time, lastTime: time + 1_000 };
        const file = { path, bytes: 1, sha256: 'a'.repeat(64), kind: 'stream', announce: topic === '1' } as const;
        return { stream: stream.id, sensor, from: 0, to: 1, ...times, ...file };
      });
      await new Announcer(await home.journal.open(filesTopic(topic))).announce(stream, made);
      return made.map(({ path }) => path);
    },
    async reopen() {
      await home.journal.close();
      home.journal = await open();
      home.files = new ArchivedFiles(ROOT, home.journal);
    },
    async close() {
      await home.journal.close();
      await rm(root, { recursive: true });
    },
  };
  return home;
}

async function newListing(t: TestContext): Promise<ListingHome> {
  const home = await openListing();
  t.after(() => home.close());
  return home;
}

/** All pages. */
async function listed(files: ArchivedFiles, filter: FileFilter = {}, limit = 1_000): Promise<ListedFile[]> {
  const found: ListedFile[] = [];
  let after: string | undefined;
  do {
    const page = await files.list(filter, limit, after);
    assert.ok(page.files.length <= limit);
    found.push(...page.files);
    after = page.next;
  } while (after !== undefined);
  return found;
}

const pathsOf = (files: readonly ListedFile[]) => files.map(({ path }) => path);

test('the files announced last come first, of all topics in one list', async (t) => {
  const home = await newListing(t);
  assert.deepEqual(await home.files.list({}, 10), { files: [], next: undefined });
  const paths: string[] = [];
  for (let round = 0; round < 12; round++) {
    for (const topic of ['1', '3', 'maltrail']) paths.push(...(await home.announce(topic, SENSOR, round * 1_000, 2)));
  }
  const all = await listed(home.files);
  // Announcements of one ms are in no order that can be known beforehand.
  assert.deepEqual(pathsOf(all).sort(), paths.toSorted());
  for (const topic of ['1', '3', 'maltrail']) {
    const own = paths.filter((path) => path.includes(topic === 'maltrail' ? '/254/' : `/${topic}/`));
    assert.deepEqual(pathsOf(await listed(home.files, { topic }, 7)), own.toReversed());
    assert.deepEqual(pathsOf(all.filter((file) => file.topic === topic)), own.toReversed());
  }
  assert.ok(all.every((file, i) => i === 0 || file.announcedAt <= (all[i - 1]?.announcedAt ?? 0)));
  for (const limit of [1, 4, 64]) assert.deepEqual(await listed(home.files, {}, limit), all);
  for (const file of all.slice(0, 20)) assert.deepEqual(await home.files.get(file.id), file);
  await home.reopen();
  assert.deepEqual(await listed(home.files, {}, 50), all);
});

test('files of a sensor, a time, a path', async (t) => {
  const home = await newListing(t);
  const day = Date.UTC(2026, 9, 1);
  const rare = await home.announce('3', RARE, day);
  const many: string[] = [];
  for (let i = 0; i < 40; i++)
    many.push(...(await home.announce('3', i % 2 === 0 ? SENSOR : OTHER, day + i * 60_000, 20)));
  rare.push(...(await home.announce('3', RARE, day + 86_400_000)));
  await home.announce('maltrail', RARE, day);
  const stats = home.journal.get('files/3')?.stats();
  assert.ok((stats?.segments ?? 0) > 5, `${stats?.segments} segments`);

  assert.deepEqual(pathsOf(await listed(home.files, { topic: '3', sensor: RARE })), rare.toReversed());
  assert.equal((await listed(home.files, { sensor: RARE })).length, 3);
  assert.equal((await listed(home.files, { sensor: SENSOR })).length, 400);
  const between = await listed(home.files, { from: day + 120_000, to: day + 180_000, topic: '3' });
  assert.deepEqual(pathsOf(between), many.slice(40, 60).toReversed());
  assert.equal((await listed(home.files, { from: day + 121_000, to: day + 121_001 })).length, 20);
  assert.equal((await listed(home.files, { from: day + 121_001, to: day + 180_000 })).length, 0);
  for (const path of [rare[0], rare[1], many[0], many[333]] as string[]) {
    assert.deepEqual(pathsOf(await listed(home.files, { path })), [path]);
    assert.deepEqual(pathsOf(await listed(home.files, { path: path.slice(ROOT.length + 1) })), [path]);
  }
  assert.deepEqual(await listed(home.files, { path: '/etc/passwd' }), []);
  assert.deepEqual(await listed(home.files, { path: `${many[0]}x` }), []);
  assert.deepEqual(await listed(home.files, { topic: 'nosuch' }), []);
});

test('a place in the list is taken back only as it was given', async (t) => {
  const home = await newListing(t);
  await home.announce('3', SENSOR, 0);
  for (const after of ['', 'x', '12', '12@', '12@3', '12@3:', '12@../3:1', '@3:1', '12@3:-1', '12@3:1 ']) {
    await assert.rejects(home.files.list({}, 1, after), { code: 'D4_BAD_REQUEST' }, after);
  }
  assert.deepEqual(await home.files.list({}, 1, '0@3:1'), { files: [], next: undefined });
  for (const id of ['', '3', '3:', '3:0', '3:1.5', '3:999', 'nosuch:1', '../3:1', 'files/3:1', '__proto__:1']) {
    assert.equal(await home.files.get(id), undefined, id);
  }
});

test('pages are exact whatever is announced, in whatever pieces', async () => {
  const step = fc.record({
    topic: fc.constantFrom('1', '3', 'ja3-jl'),
    sensor: fc.nat(2),
    count: fc.integer({ min: 1, max: 90 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.integer({ min: 1, max: 200 }), async (steps, limit) => {
      const home = await openListing();
      try {
        const made: { topic: string; sensor: SensorId; path: string }[] = [];
        for (const { topic, sensor, count } of steps) {
          const id = SENSORS[sensor] as SensorId;
          for (const path of await home.announce(topic, id, 0, count)) made.push({ topic, sensor: id, path });
        }
        for (const topic of ['1', '3', 'ja3-jl', undefined]) {
          for (const sensor of [...SENSORS, undefined]) {
            const filter = { ...(topic !== undefined && { topic }), ...(sensor !== undefined && { sensor }) };
            const fits = (each: { topic: string; sensor: SensorId }) =>
              (topic === undefined || each.topic === topic) && (sensor === undefined || each.sensor === sensor);
            const expected = made.filter(fits).map(({ path }) => path);
            const found = pathsOf(await listed(home.files, filter, limit));
            if (topic === undefined) assert.deepEqual(found.toSorted(), expected.toSorted());
            else assert.deepEqual(found, expected.toReversed());
          }
        }
      } finally {
        await home.close();
      }
    }),
    { numRuns: 12 },
  );
});
