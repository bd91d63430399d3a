import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { newSensorId } from '@d4ts/protocol';
import { afterwards, temporaryFolder } from '@d4ts/testkit';
import { pino } from 'pino';
import { formatFor } from '../formats/registry.ts';
import { ItemCursors } from '../queues/item-cursor.ts';
import { ACTOR, QueueHome } from '../queues/queue-home-fixture.ts';
import { Exporters, type ExportersOptions, exporterSequences } from './exporters.ts';
import { SupervisedExporter } from './supervised-exporter.ts';

const log = pino({ level: 'silent' });

function exportersOf(home: QueueHome, options: Partial<ExportersOptions>): Promise<Exporters> {
  const { registry, journal } = home;
  const items = new ItemCursors({ registry, journal, formats: formatFor });
  return Exporters.open({ registry, journal, formats: formatFor, items, self: () => 'self', log, ...options });
}

/** A home, and what opens exporters over it; all is closed after the test. */
async function homeFor(t: TestContext) {
  const home = await QueueHome.make(64 * 1024);
  const opened: Exporters[] = [];
  afterwards(t, async () => {
    for (const exporters of opened) await exporters.close();
    await home[Symbol.asyncDispose]();
  });
  const open = async (options: Partial<ExportersOptions> = {}): Promise<Exporters> => {
    const exporters = await exportersOf(home, options);
    opened.push(exporters);
    return exporters;
  };
  return { home, open };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

const linesIn = (path: string): string[] =>
  existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [];
const numbered = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => `record ${from + i} ${'x'.repeat(50)}`);

test('an exporter takes what comes from its making on, and after a restart goes on behind what was delivered', async (t) => {
  const { home, open } = await homeFor(t);
  const path = join(temporaryFolder(t), 'out');
  const sensor = newSensorId();
  await home.append(sensor, ['before']);
  let exporters = await open();
  const made = await exporters.add({ name: 'out', type: '3', target: { kind: 'file', path } }, ACTOR);
  assert.deepEqual([made.state, made.revision, made.lag, made.declared], ['waiting', 1, 0, false]);
  for (let round = 0; round < 4; round++) {
    const records = numbered(round * 3_000, round * 3_000 + 3_000);
    for (let at = 0; at < records.length; at += 100) await home.append(sensor, records.slice(at, at + 100));
    // It is stopped in the middle, with and without a crash of what was not saved yet.
    await until(() => linesIn(path).length > round * 2_500 + 500);
    await exporters.close();
    await home.restart();
    exporters = await open();
  }
  await until(() => linesIn(path).length >= 12_000);
  assert.deepEqual(linesIn(path), numbered(0, 12_000));
  await until(() => exporters.get('out')?.lag === 0);
  assert.equal(exporters.get('out')?.delivered, 12_000);
  await exporters.close();
});

test('one that has delivered everything is delivering for some seconds more, and then waits', async (t) => {
  const { home } = await homeFor(t);
  const path = join(temporaryFolder(t), 'out');
  const { registry, journal } = home;
  const items = new ItemCursors({ registry, journal, formats: formatFor });
  const cursor = { ...(await items.start('3')), taken: 0, dropped: 0, flushed: 0, givenBack: [] };
  const settings = { name: 'out', topic: '3', sensors: 'all', description: '', secrets: '{}' } as const;
  const exporter = new SupervisedExporter(
    { ...settings, target: { kind: 'file', path }, paused: false, declared: false, createdAt: 0 },
    cursor,
    { items, self: () => 'self', home: undefined, log, filterFor: undefined, changed: () => {} },
  );
  afterwards(t, () => exporter.stop());
  exporter.start();
  const tick = (times: number) => {
    for (let i = 0; i < times; i++) exporter.tick();
  };
  tick(20);
  assert.equal(exporter.info(1).state, 'waiting');
  await home.append(newSensorId(), ['a', 'b']);
  await until(() => exporter.info(1).delivered === 2 && exporter.info(1).lag === 0);
  assert.equal(exporter.info(1).state, 'delivering');
  tick(10);
  assert.equal(exporter.info(1).state, 'delivering');
  tick(1);
  assert.equal(exporter.info(1).state, 'waiting');
});

test('one of some sensors, with the past, and changed while it runs', async (t) => {
  const { home, open } = await homeFor(t);
  const path = join(temporaryFolder(t), 'out');
  const [one, two] = [newSensorId(), newSensorId()];
  await home.append(one, ['1a']);
  await home.append(two, ['2a']);
  const exporters = await open();
  const draft = { name: 'some', type: '3', sensors: [one], from: 0, target: { kind: 'file', path } } as const;
  await exporters.add(draft, ACTOR);
  await home.append(two, ['2b']);
  await home.append(one, ['1b']);
  await until(() => linesIn(path).length === 2);
  await exporters.pause('some', true, ACTOR);
  await home.append(one, ['1c']);
  await home.append(two, ['2c']);
  await until(() => exporters.get('some')?.lag === 1);
  assert.equal(exporters.get('some')?.state, 'paused');
  const changed = await exporters.change('some', { sensors: null, description: 'all' }, ACTOR, 2);
  assert.equal(changed?.revision, 3);
  await assert.rejects(exporters.change('some', { description: 'x' }, ACTOR, 2), { code: 'D4_CONFLICT' });
  await exporters.pause('some', false, ACTOR);
  await until(() => linesIn(path).length === 4);
  assert.deepEqual(linesIn(path), ['1a', '1b', '1c', '2c']);
  assert.equal(await exporters.remove('some', ACTOR), true);
  assert.equal(await exporters.remove('some', ACTOR), false);
  assert.equal(home.registry.loadCursors().size, 0);
  await assert.rejects(exporters.add({ ...draft, type: '4' }, ACTOR), { code: 'D4_TYPE_NOT_ACCEPTED' });
});

test('one that fails is in nobody’s way, says why, and goes on by itself', async (t) => {
  const { home, open } = await homeFor(t);
  const folder = temporaryFolder(t);
  const sensor = newSensorId();
  const exporters = await open();
  const server = createServer().listen(0, '127.0.0.36');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  await new Promise((resolve) => server.close(resolve));
  const good = join(folder, 'good');
  const late = join(folder, 'late');
  await exporters.add({ name: 'good', type: '3', target: { kind: 'file', path: good } }, ACTOR);
  await exporters.add({ name: 'refused', type: '3', target: { kind: 'tcp', host: '127.0.0.36', port } }, ACTOR);
  await exporters.add(
    { name: 'no-ca', type: '3', target: { kind: 'http', url: 'https://127.0.0.1:1/', ca: join(folder, 'none') } },
    ACTOR,
  );
  await exporters.add({ name: 'late', type: '3', target: { kind: 'file', path: join(late, 'x') } }, ACTOR);
  await home.append(sensor, ['a', 'b']);
  await until(() => linesIn(good).length === 2);
  await until(() => ['refused', 'no-ca', 'late'].every((name) => exporters.get(name)?.state === 'failing'));
  assert.match(exporters.get('refused')?.problem ?? '', /cannot reach tcp .*ECONNREFUSED/);
  assert.match(exporters.get('no-ca')?.problem ?? '', /authorities in .*none cannot be read/);
  assert.match(exporters.get('late')?.lastError?.text ?? '', /ENOENT/);
  assert.equal(exporters.get('refused')?.lag, 2);
  const received: Buffer[] = [];
  const receiver = createServer((socket: Socket) => socket.on('data', (chunk) => received.push(chunk)));
  receiver.listen(port, '127.0.0.36');
  afterwards(t, () => receiver.close());
  await until(() => Buffer.concat(received).toString() === 'a\nb\n');
  await until(() => exporters.get('refused')?.lag === 0 && exporters.get('refused')?.state !== 'failing');
  assert.ok((exporters.get('refused')?.errors ?? 0) > 0);
});

test('retention sees where it stands, and makes it give up; what that costs is counted', async (t) => {
  const { home, open } = await homeFor(t);
  const path = join(temporaryFolder(t), 'out');
  const [one, two] = [newSensorId(), newSensorId()];
  const exporters = await open();
  await exporters.add({ name: 'out', type: '3', paused: true, target: { kind: 'file', path } }, ACTOR);
  const start = (await home.journal.open('3')).endSequence;
  await home.append(one, ['a', 'b']);
  await home.append(two, ['c']);
  await home.append(one, ['d']);
  const among = exporters.amongQueues(home.queues);
  assert.deepEqual(await among.places(), [{ uuid: 'exporter:out', source: '3', sequence: start }]);
  const end = (await home.journal.open('3')).endSequence;
  const given = await among.giveUpBefore('exporter:out', end - 1);
  assert.deepEqual(
    given,
    new Map([
      [one, 2],
      [two, 1],
    ]),
  );
  assert.equal(exporters.get('out')?.lost, 3);
  await exporters.pause('out', false, ACTOR);
  await until(() => linesIn(path).length === 1);
  assert.deepEqual(linesIn(path), ['d']);
  await exporters.close();
  await home.restart();
  const again = await open();
  assert.deepEqual([again.get('out')?.lost, again.get('out')?.delivered], [3, 1]);
  assert.ok(exporterSequences(home.registry, (topic) => topic)('3') >= end);
  await again.close();
});

test('those of d4.yaml are made, changed and removed as it says; a pause by hand stays', async (t) => {
  const { home, open } = await homeFor(t);
  const folder = temporaryFolder(t);
  const target = { kind: 'file', path: join(folder, 'a') } as const;
  let exporters = await open({ declared: [{ name: 'a', type: '3', target }] });
  await assert.rejects(exporters.change('a', { description: 'x' }, ACTOR), {
    code: 'D4_CONFLICT',
    message: /is declared in d4.yaml/,
  });
  await assert.rejects(exporters.remove('a', ACTOR), { code: 'D4_CONFLICT' });
  await exporters.pause('a', true, ACTOR);
  await home.append(newSensorId(), ['waits']);
  await exporters.add({ name: 'own', type: '3', target }, ACTOR);
  await exporters.close();
  const moved = { ...target, path: join(folder, 'b') };
  exporters = await open({ declared: [{ name: 'a', type: '3', target: moved }] });
  assert.deepEqual([exporters.get('a')?.state, exporters.get('a')?.target], ['paused', moved]);
  await exporters.pause('a', false, ACTOR);
  await until(() => linesIn(moved.path).length === 1);
  await exporters.close();
  await assert.rejects(open({ declared: [{ name: 'own', type: '3', target }] }), { code: 'D4_CONFIG' });
  exporters = await open();
  assert.deepEqual(
    exporters.list().map(({ name }) => name),
    ['own'],
  );
  await exporters.close();
});

test('a pipe in place of authorities holds nobody up, and files of the server itself are not written', async (t) => {
  const { home, open } = await homeFor(t);
  const folder = temporaryFolder(t);
  const own = join(folder, 'home');
  const [pipe, large, outside] = [join(folder, 'pipe'), join(folder, 'large'), join(folder, 'out')];
  mkdirSync(own);
  execFileSync('mkfifo', [pipe]);
  writeFileSync(large, Buffer.alloc(1024 * 1024 + 1));
  symlinkSync(own, join(folder, 'link'));
  symlinkSync(join(own, 'new'), join(folder, 'dangling'));
  let exporters = await open({ home: own });
  const url = 'https://127.0.0.1:1/';
  const host = { host: '127.0.0.1', port: 1 };
  await exporters.add({ name: 'pipe', type: '3', target: { kind: 'http', url, ca: pipe } }, ACTOR);
  await exporters.add({ name: 'large', type: '3', target: { kind: 'tls', ...host, ca: large } }, ACTOR);
  const sensor = newSensorId();
  await exporters.add(
    { name: 'd4', type: '3', target: { kind: 'd4', ...host, sensor, ca: '/dev/zero' }, secrets: { key: 'k' } },
    ACTOR,
  );
  const file = (path: string) => ({ kind: 'file', path }) as const;
  for (const [path, why] of [
    [join(own, 'DEFAULT_PASSWORD'), /lies in the server's home/],
    [join(own, 'keys', '..', 'x'), /lies in the server's home/],
    [join(folder, 'link', 'x'), /lies in the server's home/],
    [join(folder, 'dangling'), /a link to what is not there/],
    [pipe, /not an ordinary file/],
    ['/dev/null', /not an ordinary file/],
  ] as const) {
    const added = exporters.add({ name: 'file', type: '3', target: file(path) }, ACTOR);
    await assert.rejects(added, { code: 'D4_BAD_EXPORTER', message: why });
    await assert.rejects(exporters.change('pipe', { target: file(path) }, ACTOR), { code: 'D4_BAD_EXPORTER' });
  }
  await exporters.add({ name: 'file', type: '3', target: file(outside) }, ACTOR);
  await home.append(sensor, ['a']);
  await until(() => linesIn(outside).length === 1);
  await exporters.close();
  // What has come to stand there meanwhile is not opened either.
  rmSync(outside);
  symlinkSync(join(own, 'server.pem'), outside);
  writeFileSync(join(own, 'server.pem'), 'secret');
  exporters = await open({ home: own });
  await home.append(sensor, ['b']);
  await until(() => ['pipe', 'large', 'd4', 'file'].every((name) => exporters.get(name)?.state === 'failing'));
  assert.match(exporters.get('pipe')?.problem ?? '', /pipe cannot be read: it is not an ordinary file/);
  assert.match(exporters.get('large')?.problem ?? '', /it has 1048577 bytes, and may have 1048576/);
  assert.match(exporters.get('d4')?.problem ?? '', /\/dev\/zero cannot be read: it is not an ordinary file/);
  assert.match(exporters.get('file')?.problem ?? '', /lies in the server's home/);
  assert.equal(readFileSync(join(own, 'server.pem'), 'utf8'), 'secret');
  await exporters.close();
});

test('a filter leaves records out without holding the others up', async (t) => {
  const { home, open } = await homeFor(t);
  const path = join(temporaryFolder(t), 'out');
  const exporters = await open({ filterFor: () => (record) => !record.toString().startsWith('[i]') });
  await exporters.add({ name: 'events', type: '3', target: { kind: 'file', path } }, ACTOR);
  await home.append(newSensorId(), ['[i] banner', 'event 1', '[i] x', 'event 2', '[i] end']);
  await until(() => linesIn(path).length === 2 && exporters.get('events')?.lag === 0);
  assert.deepEqual(linesIn(path), ['event 1', 'event 2']);
  assert.deepEqual([exporters.get('events')?.leftOut, exporters.get('events')?.delivered], [3, 2]);
  await exporters.close();
});

test('settings that do not go together are refused', async (t) => {
  const { open } = await homeFor(t);
  const exporters = await open();
  const d4 = { kind: 'd4', host: 'h', port: 1, sensor: newSensorId() } as const;
  for (const [type, target, secrets, message] of [
    ['3', { kind: 'syslog', transport: 'tcp' }, {}, /needs a host/],
    ['3', { kind: 'http', url: 'https://user:secret@host/' }, {}, /as a header instead/],
    ['3', d4, {}, /needs the key/],
    ['1', d4, { key: 'k' }, /are files of this machine/],
    ['3', { kind: 'file', path: '/nowhere', files: true }, {}, /files=true is for types/],
  ] as const) {
    const added = exporters.add({ name: 'x', type, target, secrets }, ACTOR);
    await assert.rejects(added, { code: 'D4_BAD_EXPORTER', message });
  }
});
