import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { FrameEncoder, type SensorId, sensorIdHex } from '@d4ts/protocol';
import type { ArchivedFileView } from '@d4ts/server';
import { openFileJournal } from '@d4ts/server/journal';
import { afterwards, temporaryFolder } from '@d4ts/testkit';
import pino from 'pino';
import { ArchivingServer, contentOf, KEY } from './archiving-server.ts';

// What sensors send, in the archive's files, and what `d4 archive` shows of them: every program a process of its own.

const SAMPLES = join(import.meta.dirname, 'data/samples');
const MALTRAIL = readFileSync(join(import.meta.dirname, 'data/maltrail/events.txt'));
const sample = (name: string) => readFileSync(join(SAMPLES, name));
const base64 = (text: string) => Buffer.from(text).toString('base64');

async function launch(t: TestContext): Promise<ArchivingServer> {
  const running = await ArchivingServer.launch();
  afterwards(t, () => running.dispose());
  return running;
}

const pathsOf = (files: readonly ArchivedFileView[]) => files.map(({ path }) => path);
const lines = (text: string) => text.split('\n').slice(0, -1);

/** Everything below a folder that is no folder, sorted. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

test('lines and captures are listed, shown and printed as they were sent, soon after they were', async (t) => {
  const running = await launch(t);
  const sensor = await running.addSensor();
  const queue = await running.addQueue('1');
  const text = Buffer.from('one\n\ntw\0o\r\n\xff\x1b[31m\nthree', 'latin1');
  const capture = sample('mixed_soup.pcap');
  await running.sendByClient({ sensor, type: 3 }, text);
  await running.sendByClient({ sensor, type: 254, metaHeader: '{"type":"maltrail"}' }, MALTRAIL);
  await running.send({ sensor, type: 8 }, sample('passivedns.txt'));
  await running.send({ sensor, type: 1 }, capture);
  await running.sendByClient({ sensor, type: 1, snaplen: 100 }, capture);
  const files = await running.untilFiles((all) => all.length === 5);

  const [first] = await running.files('3');
  assert.ok(first !== undefined);
  const hex = sensorIdHex(sensor);
  assert.match(
    relative(running.root, first.path),
    new RegExp(`^${hex}/3/\\d{4}/\\d\\d/\\d\\d/${hex}-\\d{4}-\\d\\d-\\d\\d-\\d{6}\\.syslog\\.txt\\.gz$`),
  );
  assert.deepEqual([first.state, first.item, first.toByte], ['there', false, text.length]);
  assert.equal(createHash('sha256').update(readFileSync(first.path)).digest('hex'), first.sha256);
  const [maltrail] = await running.files('maltrail');
  assert.deepEqual(await running.bytes('archive', 'cat', first.id), { stdout: text, stderr: '' });
  assert.deepEqual((await running.bytes('archive', 'cat', first.path)).stdout, text);
  assert.deepEqual((await running.bytes('archive', 'cat', relative(running.root, first.path))).stdout, text);
  assert.deepEqual((await running.bytes('archive', 'cat', '--raw', first.id)).stdout, readFileSync(first.path));
  assert.deepEqual(
    (await running.bytes('archive', 'cat', maltrail?.id ?? '', first.id)).stdout,
    Buffer.concat([MALTRAIL, text]),
  );
  for (const [type, bytes] of [
    ['maltrail', MALTRAIL],
    ['8', sample('passivedns.txt')],
  ] as const) {
    assert.deepEqual((await running.bytes('archive', 'cat', '--type', type, '--sensor', sensor)).stdout, bytes);
  }
  const captures = files.filter(({ topic }) => topic === '1');
  for (const { id } of captures) assert.deepEqual((await running.bytes('archive', 'cat', id)).stdout, capture);
  const joined = Buffer.concat([capture, capture.subarray(24)]);
  assert.deepEqual((await running.bytes('archive', 'cat', '--type', '1', '--from', '1h')).stdout, joined);
  assert.deepEqual((await running.bytes('archive', 'cat', '--type', '1', '--to', '1h')).stdout, Buffer.alloc(0));

  assert.deepEqual(await running.popAll(queue), pathsOf(captures));

  const [table, row] = lines(await running.done('archive', 'list', '--type', '3'));
  assert.match(table ?? '', /^ID +SENSOR +NAME +FROM +TO +ON DISK +STATE +PATH$/);
  assert.ok(row?.startsWith(`${first.id} `) && row.endsWith(` there  ${first.path}`), row);
  const shown = await running.done('archive', 'show', first.path);
  assert.equal(await running.done('archive', 'show', first.id), shown);
  assert.match(shown, new RegExp(`^SHA-256 +${first.sha256}$`, 'm'));
  const last = await running.d4('archive', 'list', '-n', '2', '--json');
  assert.deepEqual(pathsOf(JSON.parse(last.stdout)), pathsOf(files.slice(-2)).reverse());
  assert.match(last.stderr, /there may be more/);
  const { archive } = await running.status();
  assert.deepEqual([archive.root, archive.paused], [running.root, false]);
  assert.deepEqual(archive.topics.map(({ topic, filesFinished }) => [topic, filesFinished]).sort(), [
    ['1', 2],
    ['3', 1],
    ['8', 1],
    ['maltrail', 1],
  ]);
  assert.match(await running.done('status'), /^ARCHIVED TYPE .*\n(.*\n)*maltrail +no +1 +- +-$/m);

  rmSync(captures[0]?.path ?? '');
  assert.deepEqual(
    (await running.files('1')).map(({ state }) => state),
    ['removed', 'there'],
  );
  const left = await running.bytes('archive', 'cat', '--type', '1');
  assert.deepEqual(left.stdout, capture);
  assert.match(left.stderr, /was removed by somebody and is left out/);
  const gone = await running.d4('archive', 'cat', captures[0]?.id ?? '');
  assert.deepEqual([gone.code, gone.stdout], [1, '']);
  assert.match(gone.stderr, /D4_FILE_GONE/);
  const wrong = [
    [1, 'show 3:9999'],
    [1, 'show /etc/passwd'],
    [2, 'cat'],
    [2, `cat ${first.id} --type 3`],
    [2, `cat ${first.id} ${captures[1]?.id}`],
    [2, 'list --type a/b'],
    [2, 'list --from yesterday'],
    [2, 'list -n 0'],
  ] as const;
  const codes = await Promise.all(
    wrong.map(async ([, words]) => (await running.d4('archive', ...words.split(' '))).code),
  );
  assert.deepEqual(
    codes,
    wrong.map(([code]) => code),
  );
});

test('records that make files of their own: each path is an item once, and its content what was sent', async (t) => {
  const running = await launch(t);
  const sensor = await running.addSensor();
  const queues = new Map<string, string>();
  for (const type of ['filewatcher', 'ja3-jl']) {
    await running.acceptType(type);
    queues.set(type, await running.addQueue(type));
  }
  const metaHeader = '{"type":"filewatcher","extension":"log","compress":true}';
  const watched = ['first', 'second', 'first'];
  await running.send({ sensor, type: 254, metaHeader }, [...watched.map(base64), '!!! no base64', ''].join('\n'));
  const connections = lines(sample('ja3-jl.ndjson').toString());
  await running.send({ sensor, type: 254, metaHeader: '{"type":"ja3-jl"}' }, `${connections.join('\n')}\n`);

  const made = await running.untilFiles((all) => all.length === 4, 'filewatcher');
  const items = made.filter(({ item }) => item);
  assert.deepEqual(
    items.map(({ path }) => contentOf(path).toString()),
    watched,
  );
  for (const { path } of items) {
    const name = createHash('sha256').update(contentOf(path)).digest('hex');
    assert.equal(basename(path), `${name}.log.gz`);
  }
  const rejected = made.filter(({ kind }) => kind === 'rejected');
  assert.equal((await running.bytes('archive', 'cat', rejected[0]?.id ?? '')).stdout.toString(), '!!! no base64\n');
  assert.equal((await running.bytes('archive', 'cat', '--type', 'filewatcher')).stdout.toString(), watched.join(''));
  assert.deepEqual((await running.status()).archive.topics.find(({ topic }) => topic === 'filewatcher')?.rejected, {
    'not base64': 1,
  });

  const certificates = connections.flatMap((line) => JSON.parse(line).Certificates ?? []) as { Raw: string }[];
  const jsons = (
    await running.untilFiles((all) => all.length === connections.length + certificates.length, 'ja3-jl')
  ).filter(({ item }) => item);
  assert.deepEqual(
    jsons.map(({ path }) => contentOf(path).toString()),
    connections,
  );
  for (const { Raw } of certificates) {
    const der = Buffer.from(Raw, 'base64');
    const sha1 = createHash('sha1').update(der).digest('hex');
    assert.deepEqual(readFileSync(join(running.root, 'datas/ja3-jl/certs', `${sha1}.crt`)), der);
  }
  for (const [type, expected] of [
    ['filewatcher', items],
    ['ja3-jl', jsons],
  ] as const) {
    assert.deepEqual(await running.popAll(queues.get(type) ?? ''), pathsOf(expected));
  }
});

/** What a sensor sends in one session, frame after frame, until the connection ends or there were enough lines. */
function sendForever(
  port: number,
  sensor: SensorId,
  session: Session,
  maxLines = Number.POSITIVE_INFINITY,
): { socket: TLSSocket; ended: Promise<void> } {
  const encoder = new FrameEncoder({ sensor, key: Buffer.from(KEY), version: 1 });
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
  const encode = (type: number, payload: string) => encoder.encode(type, Buffer.from(payload), 1);
  let number = 0;
  let rest = '';
  const send = (): void => {
    while (!socket.destroyed && !socket.writableEnded) {
      for (let i = 0; i < 20; i++) rest += `${session.line(number++)}\n`;
      // Frames end in the middle of lines.
      const payload = rest.slice(0, -7);
      rest = rest.slice(-7);
      if (number >= maxLines) socket.end(encode(session.type, payload));
      else if (!socket.write(encode(session.type, payload))) return;
    }
  };
  socket
    .once('secureConnect', () => {
      if (session.metaHeader !== undefined) socket.write(encode(2, session.metaHeader));
      send();
    })
    .on('drain', send)
    .on('data', () => {})
    .on('error', () => {});
  return { socket, ended: new Promise((resolve) => socket.once('close', () => resolve())) };
}

interface Session {
  readonly topic: string;
  readonly type: number;
  readonly metaHeader?: string;
  line(number: number): string;
}

test('the server is killed twice while sensors send: files are exact, nothing is doubled or left over', async (t) => {
  const running = await launch(t);
  const sensor = await running.addSensor();
  for (const type of ['filewatcher', 'maltrail']) await running.acceptType(type);
  const queue = await running.addQueue('filewatcher');
  const sessions = (round: number): Session[] => [
    { topic: '3', type: 3, line: (number) => `${round} ${number}` },
    { topic: '8', type: 8, line: (number) => `${round}||${number}` },
    { topic: 'maltrail', type: 254, metaHeader: '{"type":"maltrail"}', line: (number) => `${round}:${number}` },
  ];
  const watched = (round: number): Session => ({
    topic: 'filewatcher',
    type: 254,
    metaHeader: '{"type":"filewatcher","extension":"log"}',
    line: (number) => base64(`file ${round} ${number % 40}`),
  });
  for (let round = 0; round < 3; round++) {
    const senders = sessions(round).map((session) => sendForever(running.sensorPort, sensor, session));
    // Each of its records is a file of its own, which takes its time.
    const slow = sendForever(running.sensorPort, sensor, watched(round), 200);
    await setTimeout(400 + 300 * round);
    if (round < 2) await running.killAndStart();
    else for (const { socket } of senders) socket.end();
    await Promise.all([...senders, slow].map(({ ended }) => ended));
  }
  // What was in flight when the connections ended takes its time.
  await running.untilFiles((files) => files.filter(({ topic }) => topic === '3').length >= 3);
  for (const end = Date.now() + 60_000; ; ) {
    // Between its connection's end and its commit a stream is in neither; the ledger knows it.
    const inFlight = await running.inFlight();
    const { sessions: open, archive } = await running.status();
    const upToDate = open.length === 0 && archive.topics.every(({ lagMs, error }) => lagMs === 0 && error === null);
    if (inFlight.length === 0 && upToDate) break;
    assert.ok(Date.now() < end, JSON.stringify({ inFlight, open, archive }));
    await setTimeout(100);
  }
  const expected = await checkJournal(running);
  const files = await running.untilFiles((all) => all.length === expected);
  const items = files.filter(({ item }) => item);
  assert.ok(items.length > 0);
  assert.deepEqual(await running.popAll(queue), pathsOf(items));
});

/**
 * Stops the server, compares the files with what the journal says was received, and starts it again.
 * @returns how many files were finished
 */
async function checkJournal(running: ArchivingServer): Promise<number> {
  const { home, server } = running;
  assert.equal((await server.stop()).code, 0);
  const journal = await openFileJournal({ root: join(home, 'journal'), policy: 'os', log: pino({ level: 'silent' }) });
  const announcedPaths: string[] = [];
  try {
    for (const topic of journal.topics().filter((name) => !name.startsWith('files/'))) {
      const received = await dataOf(await journal.open(topic));
      const announced = await announcementsOf(await journal.open(`files/${topic}`));
      announcedPaths.push(...announced.map(({ path }) => path));
      for (const [stream, bytes] of received) {
        const own = announced.filter((file) => file.stream === stream).sort((a, b) => a.from - b.from);
        let at = 0;
        for (const { from, to, path, sha256, kind } of own) {
          assert.equal(from, at, `${topic}: the files of a stream follow each other`);
          assert.equal(createHash('sha256').update(readFileSync(path)).digest('hex'), sha256);
          const content = contentOf(path);
          const part = bytes.subarray(from, to);
          if (kind === 'record') assert.equal(content.toString('base64'), part.toString().replace(/\n$/, ''));
          else assert.ok(content.equals(part), `${path} is what was received`);
          at = to;
        }
        assert.equal(at, bytes.length, `${topic}: all of a stream is in files`);
      }
    }
  } finally {
    await journal.close();
  }
  const streamFiles = announcedPaths.filter((path) => !path.includes('/files/'));
  assert.equal(new Set(streamFiles).size, streamFiles.length, 'no two files have one name');
  const onDisk = filesBelow(running.root).filter((path) => !path.endsWith('.json'));
  assert.deepEqual(onDisk, [...new Set(announcedPaths)].sort(), 'there are no other files');
  await running.start();
  return announcedPaths.length;
}

type Log = Awaited<ReturnType<Awaited<ReturnType<typeof openFileJournal>>['open']>>;

async function entriesOf(log: Log) {
  const all: Awaited<ReturnType<Log['read']>> = [];
  for (let sequence = log.firstSequence; sequence < log.endSequence; ) {
    for (const entry of await log.read(sequence, 4 * 1024 * 1024)) {
      sequence = entry.sequence + 1;
      all.push(entry);
    }
  }
  return all;
}

/** The bytes of each stream. */
async function dataOf(log: Log): Promise<Map<string, Buffer>> {
  const pieces = new Map<string, Buffer[]>();
  for (const { kind, stream, bytes } of await entriesOf(log)) {
    if (kind === 2) pieces.set(stream.id, [...(pieces.get(stream.id) ?? []), bytes]);
  }
  return new Map([...pieces].map(([id, all]) => [id, Buffer.concat(all)]));
}

interface Announced {
  readonly stream: string;
  readonly from: number;
  readonly to: number;
  readonly path: string;
  readonly sha256: string;
  readonly kind: string;
}

async function announcementsOf(log: Log): Promise<Announced[]> {
  const files = (await entriesOf(log)).filter(({ kind }) => kind === 6);
  return files.map(({ bytes }) => JSON.parse(bytes.toString()) as Announced);
}

test('names that sensors choose, and links planted in the archive, lead nowhere', async (t) => {
  const running = await launch(t);
  const outside = temporaryFolder(t);
  const sensor = await running.addSensor();
  for (const type of ['filewatcher', 'ja3-jl']) await running.acceptType(type);
  mkdirSync(join(running.root, 'datas/ja3-jl'), { recursive: true });
  symlinkSync(outside, join(running.root, 'datas/ja3-jl/jsons'));
  symlinkSync(outside, join(running.root, sensorIdHex(sensor)));

  const names = [
    '../../../../../../../../tmp/d4-planted',
    `${outside}/planted`,
    '..',
    '.',
    '/',
    'a\0b',
    'x'.repeat(4096),
    '../'.repeat(1365),
    'a/../../b',
    '..\\..\\b',
    '.hidden',
    '-rf',
    '$(touch b)',
    'ü\u202e\n',
    '',
  ];
  const records = names.map((Timestamp) => JSON.stringify({ Timestamp, Certificates: [] }));
  await running.send({ sensor, type: 254, metaHeader: '{"type":"ja3-jl"}' }, `${records.join('\n')}\n`);
  for (const extension of names) {
    const metaHeader = JSON.stringify({ type: 'filewatcher', extension, segregate: false });
    await running.send({ sensor, type: 254, metaHeader }, `${base64(`file of ${JSON.stringify(extension)}`)}\n`);
  }
  const watched = await running.untilFiles((all) => all.length === names.length, 'filewatcher');
  const made = [...watched, ...(await running.untilFiles((all) => all.length > 5, 'ja3-jl'))];
  assert.deepEqual(readdirSync(outside), []);
  assert.equal(existsSync('/tmp/d4-planted'), false);
  for (const { path, state } of made) {
    assert.equal(state, 'there', path);
    assert.match(relative(running.root, path), /^[\w.:+-]+(\/[\w:+][\w.:+-]*)+$/);
    assert.ok(basename(path).length <= 100, path);
  }
  const contents = watched.map(({ path }) => contentOf(path).toString());
  assert.deepEqual(contents.sort(), names.map((name) => `file of ${JSON.stringify(name)}`).sort());

  // Later, in place of folders that the archiver has used, and of a file.
  const shared = dirname(watched[0]?.path ?? '');
  renameSync(shared, `${shared}-aside`);
  symlinkSync(outside, shared);
  const metaHeader = '{"type":"filewatcher","segregate":false}';
  await running.send({ sensor, type: 254, metaHeader }, `${base64('later')}\n`);
  const later = (await running.untilFiles((all) => all.length === names.length + 1, 'filewatcher')).at(-1);
  assert.deepEqual(readdirSync(outside), []);
  assert.equal(later?.state, 'there');
  assert.equal(lstatSync(shared).isDirectory(), true);

  const secret = join(outside, 'secret');
  writeFileSync(secret, 'x'.repeat(later?.bytes ?? 0));
  rmSync(later?.path ?? '');
  symlinkSync(secret, later?.path ?? '');
  assert.equal((await running.files('filewatcher')).at(-1)?.state, 'changed');
  const refused = await running.d4('archive', 'cat', later?.id ?? '');
  assert.deepEqual([refused.code, refused.stdout], [1, '']);
});

test('while it is paused no files are made; then they are, in the root that is set by then', async (t) => {
  const running = await ArchivingServer.launch({ D4_ARCHIVE_PAUSED: 'true' });
  afterwards(t, () => running.dispose());
  const sensor = await running.addSensor();
  const queue = await running.addQueue('1');
  const capture = sample('ipv6.pcap');
  await running.send({ sensor, type: 1 }, capture);
  const { archive } = await running.status();
  assert.deepEqual(archive, { root: running.root, paused: true, topics: [] });
  assert.match(await running.done('status'), /^archive .*, paused: no files are made$/m);
  await running.server.stop();
  await running.start({ D4_ARCHIVE_ROOT: 'elsewhere' });
  const [file, ...more] = await running.untilFiles((files) => files.length > 0);
  assert.ok(file !== undefined && more.length === 0);
  assert.ok(file.path.startsWith(join(running.home, 'elsewhere', sensorIdHex(sensor))));
  assert.ok(contentOf(file.path).equals(capture));
  assert.deepEqual(await running.popAll(queue), [file.path]);
  assert.deepEqual(filesBelow(running.root), []);
  await running.server.stop();
  await running.start();
  assert.deepEqual(
    (await running.files()).map(({ path, state }) => [path, state]),
    [[file.path, 'outside']],
  );
});
