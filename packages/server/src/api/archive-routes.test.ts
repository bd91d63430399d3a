import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { parseSensorId } from '@d4ts/protocol';
import pino from 'pino';
import { type Announcement, Announcer, filesTopic } from '../archive/announcement.ts';
import { ArchivedFiles } from '../archive/listing.ts';
import { openFileJournal } from '../journal/files.ts';
import type { Journal } from '../journal/port.ts';
import { type ApiFixture, startApiFixture } from './api-fixture.ts';
import type { ArchivedFilePage, ArchivedFileView, Status } from './schemas.ts';

const SENSOR = parseSensorId('6f8a3b52-1c4d-4e7f-9a21-5d0c7be41f93');
const TIME = Date.UTC(2026, 9, 1, 12);

let folder: string;
let root: string;
let journal: Journal;
let fixture: ApiFixture;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'd4-archive-routes-'));
  root = join(folder, 'archive');
  journal = await openFileJournal({ root: join(folder, 'journal'), policy: 'os', log: pino({ level: 'silent' }) });
  fixture = await startApiFixture(0, { archivedFiles: new ArchivedFiles(root, journal) });
});
after(async () => {
  await fixture[Symbol.asyncDispose]();
  await journal.close();
  rmSync(folder, { recursive: true });
});

/** Writes a file and says that it is finished. @returns its path */
async function finish(
  topic: string,
  name: string,
  content: string | Buffer,
  other: Partial<Announcement> = {},
): Promise<string> {
  const path = join(root, name);
  mkdirSync(dirname(path), { recursive: true });
  const stored = name.endsWith('.gz') ? gzipSync(content) : Buffer.from(content);
  writeFileSync(path, stored);
  const type = /^[0-9]+$/.test(topic) ? Number(topic) : 254;
  const stream = { id: 'ab'.repeat(16), sensor: SENSOR, topic, type, preamble: Buffer.alloc(0) };
  const announced: Announcement = {
    stream: stream.id,
    sensor: SENSOR,
    from: 0,
    to: content.length,
    firstTime: TIME,
    lastTime: TIME + 5_000,
    path,
    bytes: stored.length,
    sha256: createHash('sha256').update(stored).digest('hex'),
    kind: 'stream',
    announce: false,
    ...other,
  };
  await new Announcer(await journal.open(filesTopic(topic))).announce(stream, [announced]);
  return path;
}

async function page(query: string, status = 200): Promise<ArchivedFilePage> {
  const answer = await fixture.call('GET', `/api/v1/archive/files${query}`);
  assert.equal(answer.status, status, answer.text);
  return answer.body as ArchivedFilePage;
}

async function fileOf(path: string): Promise<ArchivedFileView> {
  const { items } = await page(`?path=${encodeURIComponent(path)}`);
  assert.ok(items[0] !== undefined && items.length === 1);
  return items[0];
}

async function codeOf(path: string, status: number, token?: string): Promise<string> {
  const answer = await fixture.call('GET', `/api/v1${path}`, token === undefined ? {} : { token });
  assert.equal(answer.status, status, answer.text);
  return (answer.body as { error: { code: string } }).error.code;
}

test('files are listed, shown and read', async () => {
  const path = await finish('3', 'a/lines.syslog.txt.gz', 'one\ntwo\n', { announce: true });
  const file = await fileOf(path);
  assert.deepEqual(file, {
    id: file.id,
    topic: '3',
    sensor: SENSOR,
    sensorName: '',
    stream: 'ab'.repeat(16),
    kind: 'stream',
    item: true,
    path,
    bytes: file.bytes,
    sha256: file.sha256,
    state: 'there',
    removedAt: null,
    removedFor: null,
    fromByte: 0,
    toByte: 8,
    firstTime: TIME,
    lastTime: TIME + 5_000,
    announcedAt: file.announcedAt,
  });
  assert.deepEqual((await fixture.call('GET', `/api/v1/archive/files/${file.id}`)).body, file);

  await fixture.call('POST', '/api/v1/sensors', { json: { uuid: SENSOR, key: 'k', description: 'Roof\nnorth' } });
  assert.equal((await fileOf(path)).sensorName, 'Roof');
  await fixture.call('PATCH', `/api/v1/sensors/${SENSOR}`, { json: { name: 'The roof' } });
  assert.equal((await fileOf(path)).sensorName, 'The roof');

  const content = await fixture.call('GET', `/api/v1/archive/files/${file.id}/content`);
  assert.equal(content.text, 'one\ntwo\n');
  assert.equal(content.headers['content-type'], 'text/plain');
  assert.equal(content.headers['content-disposition'], 'attachment; filename="lines.syslog.txt"');
  assert.equal(content.headers['x-content-type-options'], 'nosniff');
  const stored = await fixture.call('GET', `/api/v1/archive/files/${file.id}/content?stored=true`);
  assert.equal(stored.headers['content-type'], 'application/gzip');
  assert.equal(stored.headers['content-disposition'], 'attachment; filename="lines.syslog.txt.gz"');
  assert.equal(stored.headers['content-length'], `${file.bytes}`);
});

test('content has the type of its format, whatever a sensor calls it', async () => {
  const types = {
    'x.cap.gz': 'application/vnd.tcpdump.pcap',
    'x.ndjson.gz': 'application/x-ndjson',
    'x.json': 'application/json',
    'x.crt': 'application/pkix-cert',
    'x.html': 'application/octet-stream',
    'x.rest.gz': 'application/octet-stream',
    'a"b\r\n.html': 'application/octet-stream',
  };
  for (const [name, type] of Object.entries(types)) {
    const { id } = await fileOf(await finish('filewatcher', name, '{}'));
    const { status, headers, text } = await fixture.call('GET', `/api/v1/archive/files/${id}/content`);
    assert.deepEqual([status, headers['content-type'], text], [200, type, '{}'], name);
    assert.match(String(headers['content-disposition']), /^attachment; filename="[\w.]+"$/, name);
  }
});

test('pages go on where they ended; filters are checked', async () => {
  for (let i = 0; i < 7; i++) await finish('8', `p/${i}.txt`, `${i}`, { firstTime: TIME + i, lastTime: TIME + i });
  const seen: string[] = [];
  for (let query = '?type=8&limit=3'; ; ) {
    const { items, next } = await page(query);
    seen.push(...items.map(({ path }) => path.slice(-5)));
    if (next === null) break;
    query = `?type=8&limit=3&after=${encodeURIComponent(next)}`;
  }
  assert.deepEqual(seen, ['6.txt', '5.txt', '4.txt', '3.txt', '2.txt', '1.txt', '0.txt']);
  const between = await page(`?type=8&from=${TIME + 2}&to=${TIME + 4}&sensor=${SENSOR.replaceAll('-', '')}`);
  assert.deepEqual(
    between.items.map(({ path }) => path.slice(-5)),
    ['3.txt', '2.txt'],
  );
  assert.deepEqual((await page('?type=7')).items, []);
  const wrong = ['?limit=0', '?limit=1001', '?from=yesterday', '?after=x', '?order=up', '?sensor=x', '?type=a/b'];
  for (const query of wrong) assert.match(await codeOf(`/archive/files${query}`, 400), /^D4_BAD_/, query);
});

test('what was removed is a line; its content, and anything else in its place, is refused', async () => {
  const path = await finish('3', 'gone.txt', 'content');
  const { id } = await fileOf(path);
  rmSync(path);
  assert.equal((await fileOf(path)).state, 'removed');
  assert.equal(await codeOf(`/archive/files/${id}/content`, 410), 'D4_FILE_GONE');
  const secret = join(folder, 'secret');
  writeFileSync(secret, 'secrets');
  symlinkSync(secret, path);
  assert.equal((await fileOf(path)).state, 'changed');
  assert.equal(await codeOf(`/archive/files/${id}/content`, 410), 'D4_FILE_GONE');

  const outside = await fileOf(await finish('3', '../outside.txt', 'content'));
  assert.equal(outside.state, 'outside');
  assert.equal(await codeOf(`/archive/files/${outside.id}/content`, 410), 'D4_FILE_GONE');

  for (const missing of ['3:9999', 'nosuch:1', '..%2F3:1', '%2Fetc%2Fpasswd', '3']) {
    assert.equal(await codeOf(`/archive/files/${missing}`, 404), 'D4_NOT_FOUND', missing);
    assert.equal(await codeOf(`/archive/files/${missing}/content`, 404), 'D4_NOT_FOUND', missing);
  }
});

test('a file that is damaged breaks off, and does not end as if it were whole', async () => {
  const path = await finish('3', 'damaged.txt.gz', randomBytes(1_000_000));
  const { id } = await fileOf(path);
  const stored = readFileSync(path);
  // The check sum: everything was sent when it is found wrong.
  stored[stored.length - 8] = (stored[stored.length - 8] ?? 0) ^ 1;
  writeFileSync(path, stored);
  await assert.rejects(fixture.call('GET', `/api/v1/archive/files/${id}/content`));
  assert.ok(fixture.logged.some(({ msg }) => msg === 'a file of the archive cannot be read'));
});

test('viewers may list, users may read', async () => {
  const { id } = await fileOf(await finish('3', 'roles.txt', 'content'));
  const viewer = await fixture.addToken('viewer');
  const sensorRegister = await fixture.addToken('sensor_register');
  assert.equal((await fixture.call('GET', '/api/v1/archive/files', { token: viewer })).status, 200);
  assert.equal((await fixture.call('GET', `/api/v1/archive/files/${id}`, { token: viewer })).status, 200);
  assert.equal(await codeOf(`/archive/files/${id}/content`, 403, viewer), 'D4_FORBIDDEN');
  assert.equal(await codeOf('/archive/files', 403, sensorRegister), 'D4_FORBIDDEN');
  const user = await fixture.addToken('user');
  assert.equal((await fixture.call('GET', `/api/v1/archive/files/${id}/content`, { token: user })).text, 'content');
});

test('the status says how the archive is doing', async () => {
  const { archive } = (await fixture.call('GET', '/api/v1/status')).body as Status;
  const topic = { topic: '3', lagMs: 4, filesFinished: 5, rejected: { 'not base64': 6 }, error: null };
  assert.deepEqual(archive, { root: '/archive', paused: false, topics: [topic] });
});
