import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { parseSensorId, type SensorId } from '@d4ts/protocol';
import { afterwards, temporaryFolder } from '@d4ts/testkit';
import fc from 'fast-check';
import pino from 'pino';
import { formatFor } from '../formats/registry.ts';
import { openFileJournal } from '../journal/files.ts';
import { ENTRY_FLAG, ENTRY_KIND, type EntryDraft, type Journal, type StreamDefinition } from '../journal/port.ts';
import { type Announcement, announcementOf, filesTopic } from './announcement.ts';
import { Folders } from './folders.ts';
import { type Progress, progressFrom } from './progress.ts';
import { RecordFileWriter } from './record-files.ts';
import { Slots } from './slots.ts';
import { TopicArchiver } from './topic-archiver.ts';

const log = pino({ level: 'silent' });
const SENSOR = parseSensorId('6f8a3b52-1c4d-4e7f-9a21-5d0c7be41f93');
const OTHER = parseSensorId('7f8a3b52-1c4d-4e7f-9a21-5d0c7be41f93');
const CLOSE: EntryDraft = { kind: ENTRY_KIND.close, flags: 0, pieces: [], bytes: 0, records: 0 };

interface Home {
  readonly root: string;
  readonly journal: Journal;
  readonly slots: Slots;
  archiver(topic: string, progress?: Progress): Promise<TopicArchiver>;
}

async function newHome(t: TestContext): Promise<Home> {
  const folder = await mkdtemp(join(tmpdir(), 'd4-archive-'));
  const root = join(folder, 'archive');
  await mkdir(root);
  const journal = await openFileJournal({ root: join(folder, 'journal'), policy: 'os', log, segmentBytes: 20_000 });
  afterwards(t, async () => {
    await journal.close();
    await rm(folder, { recursive: true, force: true });
  });
  const slots = new Slots(3);
  const folders = new Folders(root, slots, log);
  const parts = { folders, slots, records: new RecordFileWriter(folders) };
  const archiver = async (topic: string, progress = progressFrom(undefined)): Promise<TopicArchiver> => {
    const [source, files] = [await journal.open(topic), await journal.open(filesTopic(topic))];
    const made = new TopicArchiver(source, files, formatFor(topic), progress, parts);
    await made.catchUp();
    return made;
  };
  return { root, journal, slots, archiver };
}

function newStream(topic: string, sensor: SensorId = SENSOR, metaHeader?: string): StreamDefinition {
  const id = randomBytes(16).toString('hex');
  const type = /^[0-9]+$/.test(topic) ? Number(topic) : 254;
  const stream = { id, sensor, topic, type, preamble: Buffer.alloc(0) };
  return metaHeader === undefined ? stream : { ...stream, metaHeader };
}

function data(text: string | Buffer, records: number, flags = 0): EntryDraft {
  const piece = Buffer.from(text);
  return { kind: ENTRY_KIND.data, flags, pieces: [piece], bytes: piece.length, records };
}

async function takeAll(archiver: TopicArchiver): Promise<void> {
  while (await archiver.takeBlock()) await setImmediate();
  await archiver.settle();
}

async function announcements(journal: Journal, topic: string): Promise<Announcement[]> {
  const files = await journal.open(filesTopic(topic));
  const found: Announcement[] = [];
  for (let sequence = files.firstSequence; sequence < files.endSequence; ) {
    for (const entry of await files.read(sequence, 1 << 20)) {
      sequence = entry.sequence + 1;
      const announcement = announcementOf(entry);
      if (announcement !== undefined) found.push(announcement);
    }
  }
  return found;
}

async function filesBelow(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort();
}

async function contentOf(announcement: Announcement): Promise<Buffer> {
  const bytes = await readFile(announcement.path);
  assert.equal(bytes.length, announcement.bytes);
  assert.equal(createHash('sha256').update(bytes).digest('hex'), announcement.sha256);
  return announcement.path.endsWith('.gz') ? gunzipSync(bytes) : bytes;
}

test('the bytes of a closed stream are in a file of the name that the ecosystem expects', async (t) => {
  const { root, journal, archiver } = await newHome(t);
  const topic = await journal.open('3');
  await topic.append(newStream('3'), 0, [data('one\n\ntwo\r\n', 2), data('three', 1), CLOSE]);
  await takeAll(await archiver('3'));
  const [file, ...more] = await announcements(journal, '3');
  assert.ok(file !== undefined && more.length === 0);
  assert.equal((await contentOf(file)).toString(), 'one\n\ntwo\r\nthree');
  assert.deepEqual([file.from, file.to, file.announce, file.kind], [0, 15, false, 'stream']);
  const uuid = SENSOR.replaceAll('-', '');
  const [date = '', clock = ''] = new Date(file.firstTime).toISOString().slice(0, 19).split('T');
  const name = `${uuid}-${date}-${clock.replaceAll(':', '')}.syslog.txt.gz`;
  assert.deepEqual(await filesBelow(root), [join(uuid, '3', ...date.split('-'), name)]);
});

test('an open stream has no finished file until it is cut, and goes on in a new one', async (t) => {
  const { journal, archiver } = await newHome(t);
  const topic = await journal.open('8');
  const stream = newStream('8');
  await topic.append(stream, 0, [data('a\n', 1)]);
  const role = await archiver('8');
  await takeAll(role);
  assert.deepEqual(await announcements(journal, '8'), []);
  await role.cutStale(Date.now() + 59 * 60 * 1000);
  await takeAll(role);
  const midnightIsNear = (await announcements(journal, '8')).length > 0;
  await role.cutStale(Date.now() + 3_600_000);
  await role.cutStale(Date.now() + 3_600_000);
  await takeAll(role);
  assert.equal((await announcements(journal, '8')).length, 1, `midnight is near: ${midnightIsNear}`);
  await topic.append(stream, 2, [data('b\n', 1), CLOSE]);
  await takeAll(role);
  const files = await announcements(journal, '8');
  assert.deepEqual(await Promise.all(files.map(async (file) => (await contentOf(file)).toString())), ['a\n', 'b\n']);
  assert.equal(new Set(files.map((file) => file.path)).size, 2);
});

test('streams that would share a name get numbers', async (t) => {
  const { root, journal, archiver } = await newHome(t);
  const topic = await journal.open('3');
  await Promise.all(['x\n', 'y\n', 'z\n'].map((text) => topic.append(newStream('3'), 0, [data(text, 1), CLOSE])));
  await takeAll(await archiver('3'));
  const names = (await filesBelow(root)).map((path) => path.replace(/^.*-\d{6}/, ''));
  assert.deepEqual(names.sort(), ['-2.syslog.txt.gz', '-3.syslog.txt.gz', '.syslog.txt.gz']);
  const contents = await Promise.all((await announcements(journal, '3')).map(contentOf));
  assert.deepEqual(contents.map(String).sort(), ['x\n', 'y\n', 'z\n']);
});

test('each file of a capture begins with its header, and what is left of a packet is kept as .rest', async (t) => {
  const { journal, archiver } = await newHome(t);
  const capture = await readFile(join(import.meta.dirname, '../../../../test/data/samples/dns_responses.pcap'));
  const topic = await journal.open('1');
  const stream = newStream('1');
  await topic.append(stream, 0, [data(capture, 1)]);
  const role = await archiver('1');
  await takeAll(role);
  await topic.cut(stream);
  const packet = capture.subarray(24);
  await topic.append(stream, capture.length, [
    data(packet, 1),
    data(packet.subarray(0, 20), 0, ENTRY_FLAG.partial),
    CLOSE,
  ]);
  await takeAll(role);
  const files = await announcements(journal, '1');
  assert.deepEqual(
    files.map(({ kind, announce }) => [kind, announce]),
    [
      ['stream', true],
      ['stream', true],
      ['rest', false],
    ],
  );
  const [first, second, rest] = await Promise.all(files.map(contentOf));
  assert.ok(first && second && rest);
  assert.deepEqual(first, capture);
  assert.deepEqual(second, Buffer.concat([capture.subarray(0, 24), packet]));
  assert.deepEqual(rest, packet.subarray(0, 20));
  assert.ok(files[2]?.path.endsWith('.rest.gz'));
});

test('the meta header of a declared stream stands beside its files', async (t) => {
  const { root, journal, archiver } = await newHome(t);
  const topic = await journal.open('maltrail');
  await topic.append(newStream('maltrail', SENSOR, '{"type":"maltrail"}'), 0, [data('event\n', 1), CLOSE]);
  await takeAll(await archiver('maltrail'));
  const names = await filesBelow(root);
  assert.equal(names.length, 2);
  const header = names.find((name) => name.endsWith('.json')) ?? '';
  assert.match(header, /\/254\/\d{4}\/\d\d\/\d\d\/maltrail\//);
  assert.equal(await readFile(join(root, header), 'utf8'), '{"type":"maltrail"}');
});

test('records that make files of their own: announced, none doubled when done again, junk kept', async (t) => {
  const { root, journal, archiver } = await newHome(t);
  const topic = await journal.open('filewatcher');
  const header = '{"type":"filewatcher","extension":"../../etc/passwd\\u0000","compress":false}';
  const one = Buffer.from('first file').toString('base64');
  const two = Buffer.from('second file').toString('base64');
  await topic.append(newStream('filewatcher', SENSOR, header), 0, [
    data(`${one}\n!!! no base64\n${two}\n${one}\n`, 4),
    CLOSE,
  ]);
  const busy = await archiver('filewatcher');
  while (await busy.takeBlock());
  assert.ok(!busy.behind && busy.lag(Date.now()) > 0, 'all was read, but the files are still being made');
  await busy.settle();
  assert.equal(busy.lag(Date.now()), 0);
  await takeAll(await archiver('filewatcher'));
  const files = await announcements(journal, 'filewatcher');
  const items = files.filter((file) => file.announce);
  const contents = await Promise.all(items.map(async (file) => (await contentOf(file)).toString()));
  assert.deepEqual(contents, ['first file', 'second file', 'first file']);
  for (const { path } of files)
    assert.ok(path.startsWith(`${root}/`) && !path.includes('..') && !path.includes('passwd'));
  const rejected = files.filter((file) => file.kind === 'rejected');
  assert.equal(rejected.length, 1);
  assert.equal((await contentOf(rejected[0] as Announcement)).toString(), '!!! no base64\n');
});

test('links planted in the archive are not followed', async (t) => {
  const { root, journal, archiver } = await newHome(t);
  const outside = temporaryFolder(t);
  await symlink(outside, join(root, SENSOR.replaceAll('-', '')));
  const topic = await journal.open('3');
  await topic.append(newStream('3'), 0, [data('kept\n', 1), CLOSE]);
  await takeAll(await archiver('3'));
  assert.deepEqual(await readdir(outside), []);
  const [file] = await announcements(journal, '3');
  assert.ok(file !== undefined);
  assert.equal((await contentOf(file)).toString(), 'kept\n');

  const planted = join(outside, 'planted');
  await writeFile(planted, 'mine');
  const other = newStream('3', OTHER);
  await topic.append(other, 0, [data('also kept\n', 1)]);
  const role = await archiver('3');
  while (await role.takeBlock()) await setImmediate();
  await role.settle();
  const [folder = ''] = (await readdir(join(root, OTHER.replaceAll('-', '')), { recursive: true })).sort().toReversed();
  const day = join(root, OTHER.replaceAll('-', ''), folder);
  const time = (await topic.read(topic.endSequence - 1, 1))[0]?.time ?? 0;
  const clock = new Date(time).toISOString().slice(0, 19).replace('T', '-').replaceAll(':', '');
  await symlink(planted, join(day, `${OTHER.replaceAll('-', '')}-${clock}.syslog.txt.gz.part`));
  await topic.append(other, 10, [CLOSE]);
  await assert.rejects(takeAll(role), { code: 'ELOOP' });
  assert.equal(await readFile(planted, 'utf8'), 'mine');
});

test('a write that fails is done again from the progress, with the same names and bytes', async (t) => {
  const { root, journal, archiver } = await newHome(t);
  const topic = await journal.open('3');
  await topic.append(newStream('3'), 0, [data('a\n', 1), CLOSE]);
  const role = await archiver('3');
  await rm(root, { recursive: true });
  await writeFile(root, 'a file where the folder was');
  await assert.rejects(takeAll(role));
  const progress = role.progress();
  await role.drop();
  await rm(root);
  await mkdir(root);
  await takeAll(await archiver('3', progress));
  const [file, ...more] = await announcements(journal, '3');
  assert.ok(file !== undefined && more.length === 0);
  assert.equal((await contentOf(file)).toString(), 'a\n');
});

test('files that are finished early end between records, and are what the journal need not keep', async (t) => {
  const { journal, archiver } = await newHome(t);
  const topic = await journal.open('3');
  const [whole, within] = [newStream('3'), newStream('3', OTHER)];
  await topic.append(whole, 0, [data('one\n', 1)]);
  await topic.append(within, 0, [data('begun\n', 1), data('a long ', 0, ENTRY_FLAG.first)]);
  const role = await archiver('3');
  await takeAll(role);
  assert.equal(role.unfinishedBytes, 'one\nbegun\na long '.length);
  const before = role.progress().sequence;
  role.finishEarly(0);
  await role.settle();
  assert.deepEqual(await announcements(journal, '3'), [], 'none began before 1970');
  role.finishEarly(Number.POSITIVE_INFINITY);
  await role.settle();
  const [early, ...more] = await announcements(journal, '3');
  assert.ok(early !== undefined && more.length === 0);
  assert.equal((await contentOf(early)).toString(), 'one\n');
  assert.ok(role.progress().sequence > before);
  await topic.append(within, 13, [data('record\n', 1, ENTRY_FLAG.last)]);
  await takeAll(role);
  role.finishEarly(Number.POSITIVE_INFINITY);
  await role.settle();
  assert.equal(role.unfinishedBytes, 0);
  const last = (await announcements(journal, '3')).at(-1);
  assert.ok(last !== undefined);
  assert.equal((await contentOf(last)).toString(), 'begun\na long record\n');
});

test('on a full disk what is unfinished is removed, and made again when there is space', async (t) => {
  const { root, journal, slots, archiver } = await newHome(t);
  const topic = await journal.open('3');
  const texts = Array.from({ length: 5 }, () => randomBytes(150_000).toString('hex'));
  const streams = texts.map(() => newStream('3'));
  for (const [i, stream] of streams.entries()) {
    const text = texts[i] ?? '';
    const halves = [text.slice(0, text.length / 2), text.slice(text.length / 2)];
    await topic.append(
      stream,
      0,
      halves.map((half) => data(half, 1)),
    );
  }
  const role = await archiver('3');
  await takeAll(role);
  assert.equal((await filesBelow(root)).filter((name) => name.endsWith('.part')).length, texts.length);
  // One is about to be finished.
  await topic.append(streams[0] as StreamDefinition, texts[0]?.length ?? 0, [CLOSE]);
  slots.refuse('the disk is full');
  await assert.rejects(takeAll(role), { code: 'D4_DISK_FULL', message: 'the disk is full' });
  const progress = role.progress();
  await role.drop();
  assert.deepEqual(await filesBelow(root), []);
  slots.refuse(undefined);
  const again = await archiver('3', progress);
  await takeAll(again);
  again.finishEarly(Number.POSITIVE_INFINITY);
  await again.settle();
  const contents = await Promise.all((await announcements(journal, '3')).map(contentOf));
  assert.deepEqual(contents.map(String).toSorted(), texts.toSorted());
});

test('archives are exact under any mix of streams, cuts, restarts and old progress', async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('data' as const), stream: fc.nat(3), lines: fc.integer({ min: 1, max: 40 }) }),
    fc.record({ do: fc.constant('cut' as const), stream: fc.nat(3) }),
    fc.record({ do: fc.constant('close' as const), stream: fc.nat(3) }),
    fc.record({ do: fc.constant('archive' as const) }),
    fc.record({ do: fc.constant('flush' as const) }),
    fc.record({ do: fc.constant('finish' as const) }),
    fc.record({ do: fc.constant('save' as const) }),
    fc.record({ do: fc.constant('crash' as const), settles: fc.boolean() }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const cleanUp: (() => Promise<void>)[] = [];
      const context = { after: (work: () => Promise<void>) => cleanUp.push(work) } as unknown as TestContext;
      const { root, journal, archiver } = await newHome(context);
      const topic = await journal.open('3');
      const streams = Array.from({ length: 4 }, (_, i) => newStream('3', i % 2 === 0 ? SENSOR : OTHER));
      const all = [...streams];
      const sent = new Map<string, string>();
      const textOf = (stream: StreamDefinition) => sent.get(stream.id) ?? '';
      const replace = (index: number): void => {
        const fresh = newStream('3', index % 2 === 0 ? SENSOR : OTHER);
        streams[index] = fresh;
        all.push(fresh);
      };
      let saved = progressFrom(undefined);
      let role = await archiver('3', saved);
      let number = 0;
      for (const action of steps) {
        if (action.do === 'data') {
          const stream = streams[action.stream] as StreamDefinition;
          const text = Array.from({ length: action.lines }, () => `line ${number++}\n`).join('');
          await topic.append(stream, textOf(stream).length, [data(text, action.lines)]);
          sent.set(stream.id, textOf(stream) + text);
        } else if (action.do === 'cut') {
          await topic.cut(streams[action.stream] as StreamDefinition);
        } else if (action.do === 'close') {
          const stream = streams[action.stream] as StreamDefinition;
          await topic.append(stream, textOf(stream).length, [CLOSE]);
          replace(action.stream);
        } else if (action.do === 'archive') {
          await role.takeBlock();
        } else if (action.do === 'flush') {
          await role.flushLargest();
        } else if (action.do === 'finish') {
          role.finishEarly(Number.POSITIVE_INFINITY);
        } else if (action.do === 'save') {
          saved = progressFrom(JSON.stringify(role.progress()));
        } else {
          if (action.settles) await role.settle();
          await role.drop();
          role = await archiver('3', saved);
        }
      }
      for (const [index, stream] of [...streams].entries()) {
        await topic.append(stream, textOf(stream).length, [CLOSE]);
        replace(index);
      }
      await takeAll(role);
      const found = await announcements(journal, '3');
      assert.equal(new Set(found.map((file) => file.path)).size, found.length, 'no file is announced twice');
      assert.deepEqual(await filesBelow(root), found.map((file) => relative(root, file.path)).sort());
      for (const stream of all) {
        const parts = found.filter((file) => file.stream === stream.id).sort((a, b) => a.from - b.from);
        let text = '';
        for (const part of parts) {
          assert.equal(part.from, text.length);
          text += (await contentOf(part)).toString();
          assert.equal(part.to, text.length);
        }
        assert.equal(text, textOf(stream));
      }
      for (const work of cleanUp) await work();
    }),
    { numRuns: 40 },
  );
});
