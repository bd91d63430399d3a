import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { SensorId } from '@d4ts/protocol';
import type {
  Acknowledged,
  AuditPage,
  Credential,
  QueueView,
  Records,
  RecordView,
  Released,
  ReplayView,
  RewoundView,
} from '@d4ts/server';
import { afterwards, launchServer, temporaryFolder } from '@d4ts/testkit';
import { Redis } from 'ioredis';
import { ArchivingServer } from './archiving-server.ts';

// Consumers with acknowledgement, and the past again (docs/consumers.md): real servers, clients and consumers.

const PATIENCE = 30_000;
const PAGE = readFileSync(join(import.meta.dirname, '../docs/consumers.md'), 'utf8');

interface Asked {
  readonly method?: string;
  readonly token?: string;
  readonly body?: object;
  readonly headers?: Record<string, string>;
}

/** Asks the interface. @returns the answer before its body */
async function open({ server }: ArchivingServer, path: string, asked: Asked = {}): Promise<IncomingMessage> {
  const { url, ca, token: local } = server.info;
  const { method = 'GET', token = local, body } = asked;
  const headers = {
    authorization: `Bearer ${token}`,
    ...(body && { 'content-type': 'application/json' }),
    ...asked.headers,
  };
  const sent = request(`${url}/api/v1${path}`, { method, ca, headers, agent: false });
  sent.end(body && JSON.stringify(body));
  const [response]: IncomingMessage[] = await once(sent, 'response');
  assert.ok(response);
  return response;
}

async function ask<T>(running: ArchivingServer, path: string, asked: Asked = {}, status = 200): Promise<T> {
  const response = await open(running, path, asked);
  const body = await text(response);
  assert.equal(response.statusCode, status, `${path}: ${body}`);
  return body === '' ? (undefined as T) : JSON.parse(body);
}

async function codeOf(running: ArchivingServer, path: string, asked: Asked, status: number): Promise<string> {
  return (await ask<{ error: { code: string } }>(running, path, asked, status)).error.code;
}

interface Home {
  readonly running: ArchivingServer;
  readonly sensor: SensorId;
  readonly uuid: string;
  readonly records: (query?: string, asked?: Asked) => Promise<Records>;
  readonly settle: <T = Acknowledged>(what: 'acknowledge' | 'release', items: readonly RecordView[]) => Promise<T>;
  readonly view: () => Promise<QueueView>;
  readonly send: (lines: readonly string[]) => Promise<void>;
}

async function launch(t: TestContext): Promise<Home> {
  const running = await ArchivingServer.launch();
  afterwards(t, () => running.dispose());
  const sensor = await running.addSensor();
  const uuid = await running.addQueue('3');
  const path = `/queues/${uuid}`;
  return {
    running,
    sensor,
    uuid,
    records: (query = '', asked = {}) => ask(running, `${path}/records?${query}`, asked),
    settle: (what, items) =>
      ask(running, `${path}/${what}`, { method: 'POST', body: { ids: items.map(({ id }) => id) } }),
    view: () => ask(running, path),
    send: (lines) => running.sendByClient({ sensor, type: 3 }, `${lines.join('\n')}\n`),
  };
}

const data = (items: readonly RecordView[]) => items.map((item) => item.data);
const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => String(from + i));

async function until(holds: () => Promise<boolean>, what: string): Promise<void> {
  for (const end = Date.now() + PATIENCE; !(await holds()); ) {
    assert.ok(Date.now() < end, `not within ${PATIENCE} ms: ${what}`);
    await setTimeout(20);
  }
}

test('records are claimed, waited for, acknowledged and released, in three formats, beside a Redis client', async (t) => {
  const { running, uuid, records, settle, view, send, sensor } = await launch(t);
  const waiting = records('wait=30&limit=2');
  await send(numbers(1, 6));
  const first = (await waiting).items;
  assert.deepEqual(data(first)[0], '1');
  const ndjson = await open(running, `/queues/${uuid}/records?limit=2`, {
    headers: { accept: 'application/x-ndjson' },
  });
  assert.equal(ndjson.headers['content-type'], 'application/x-ndjson');
  const lines = (await text(ndjson)).trimEnd().split('\n');
  const second = lines.map((line) => JSON.parse(line) as RecordView);
  assert.equal(second.length, 2);
  const port = Number(running.server.info.redis.split(':').at(-1));
  const redis = new Redis({ host: '127.0.0.1', port, lazyConnect: true });
  await redis.connect();
  const popped = await redis.rpop(`analyzer:3:${uuid}`);
  assert.deepEqual([...data(first), ...data(second), popped], numbers(1, first.length + 3));
  assert.equal((await settle('acknowledge', first)).acknowledged, first.length);
  assert.deepEqual((await settle('acknowledge', first)).unknown.length, first.length);
  assert.equal((await settle<Released>('release', second)).released, 2);
  assert.deepEqual(await redis.brpop(`analyzer:3:${uuid}`, 5), [`analyzer:3:${uuid}`, second[0]?.data]);
  await redis.quit();
  const again = await records();
  assert.deepEqual([again.items[0]?.data, again.items[0]?.delivery], [second[1]?.data, 2]);
  await settle('acknowledge', again.items);
  const rest = 6 - first.length - 4;
  assert.equal(again.items.length, 1 + rest + 1);
  const { length, claimed, taken } = await view();
  assert.deepEqual([length, claimed, taken], [0, 0, 6]);
  assert.deepEqual((await records('wait=0')).items, []);

  await running.sendByClient({ sensor, type: 3 }, Buffer.from('\xff\xfe\n', 'latin1'));
  const [binary] = (await records('wait=30')).items;
  assert.deepEqual([binary?.data, binary?.encoding], [Buffer.from('\xff\xfe', 'latin1').toString('base64'), 'base64']);
});

test('what a consumer does not acknowledge in time, or when its stream ends, is delivered again', async (t) => {
  const { running, uuid, records, settle, send } = await launch(t);
  await send(numbers(1, 3));
  const [claimed] = (await records('limit=1&visibility=1')).items;
  const others = (await records('limit=9')).items;
  const [again] = (await records('wait=30')).items;
  assert.deepEqual([again?.data, again?.delivery], [claimed?.data, 2]);
  await settle<Released>('release', [...others, ...(again ? [again] : [])]);

  const stream = await open(running, `/queues/${uuid}/records?limit=2`, { headers: { accept: 'text/event-stream' } });
  assert.equal(stream.headers['content-type'], 'text/event-stream; charset=utf-8');
  const events = createInterface({ input: stream })[Symbol.asyncIterator]();
  const nextRecord = async (): Promise<RecordView> => {
    for (;;) {
      const { value } = await events.next();
      assert.ok(value !== undefined, 'the stream has ended');
      if (value.startsWith('data: ')) return JSON.parse(value.slice('data: '.length));
    }
  };
  const two = [await nextRecord(), await nextRecord()];
  assert.deepEqual(data(two), ['1', '2']);
  await settle('acknowledge', two.slice(0, 1));
  const third = await nextRecord();
  assert.equal(third.data, '3');
  stream.destroy();
  const left = (await records('wait=30&limit=1')).items;
  assert.deepEqual(data(left), ['2']);
});

test('after a kill -9 what was not acknowledged comes again, and what was does not', async (t) => {
  const { running, uuid, records, settle, send, view } = await launch(t);
  await send(numbers(1, 1000));
  await until(async () => (await view()).length === 1000, 'the records are there');
  const { items } = await records('limit=600');
  const kept = items.filter((_, i) => i % 5 === 2);
  await settle(
    'acknowledge',
    items.filter((item) => !kept.includes(item)),
  );
  // Rule 25: saved at most 200 ms after a change. The journal's own view says when that is over.
  await setTimeout(400);
  await running.killAndStart();
  const { length, claimed, taken } = await view();
  assert.deepEqual([length, claimed, taken], [1000 - 480, 0, 480]);
  assert.equal((await settle('acknowledge', kept.slice(0, 1))).acknowledged, 1);
  const rest = (await records('limit=10000')).items;
  assert.deepEqual(data(rest), [...data(kept).slice(1), ...numbers(601, 1000)]);
  assert.equal((await settle('acknowledge', rest)).acknowledged, 519);
  assert.equal((await ask<QueueView>(running, `/queues/${uuid}`)).taken, 1000);
});

for (const [size, count] of [
  ['a few MB, kept with the position', 1_750],
  ['many MB, for which the position waits', 2_600],
] as const) {
  test(`what a slow Redis consumer has not got when the server is killed comes again: ${size}`, async (t) => {
    const { running, uuid, send, view } = await launch(t);
    const sent = Array.from({ length: count }, (_, i) => `${i} ${'x'.repeat(4_000)}`);
    await send(sent);
    await until(async () => (await view()).length === count, 'the records are there');
    const [host = '', port = ''] = running.server.info.redis.split(':');
    const slow = connect({ host, port: Number(port) }).pause();
    slow.on('error', () => {});
    slow.write(`RPOP analyzer:3:${uuid} ${count}\r\n`);
    await until(async () => (await view()).taken === count, 'they are popped');
    // Time for more than one save (rule 25).
    await setTimeout(500);
    const closed = once(slow, 'close');
    await running.killAndStart();
    const { length } = await view();
    assert.equal(length, count, 'all of them, since none had left whole');
    assert.deepEqual(await running.popAll(uuid), sent);
    slow.resume();
    await closed;
  });
}

test("roles, the queue's credential, and what is refused", async (t) => {
  const { running, uuid, send } = await launch(t);
  const other = await running.addQueue('3');
  await send(['1']);
  const path = `/queues/${uuid}`;
  const { secret: token } = await ask<Credential>(running, `${path}/credential`, { method: 'POST', body: {} }, 201);
  const { items } = await ask<Records>(running, `${path}/records?wait=30`, { token });
  const body = { ids: items.map(({ id }) => id) };
  assert.equal(
    (await ask<Acknowledged>(running, `${path}/acknowledge`, { method: 'POST', token, body })).acknowledged,
    1,
  );
  assert.equal(await codeOf(running, `/queues/${other}/records`, { token }, 401), 'D4_TOKEN_UNKNOWN');
  assert.equal(await codeOf(running, path, { token }, 401), 'D4_TOKEN_UNKNOWN');
  assert.equal(await codeOf(running, `${path}/flush`, { method: 'POST', token }, 401), 'D4_TOKEN_UNKNOWN');
  const rewind = { method: 'POST', token, body: { from: 0 } };
  assert.equal(await codeOf(running, `${path}/rewind`, rewind, 401), 'D4_TOKEN_UNKNOWN');
  assert.equal(await codeOf(running, `${path}/records?limit=0`, { token }, 400), 'D4_BAD_REQUEST');
  assert.equal(
    await codeOf(running, `${path}/acknowledge`, { method: 'POST', token, body: {} }, 400),
    'D4_BAD_REQUEST',
  );
  const stream = await open(running, `${path}/records?format=sse`, { token });
  await ask(running, `${path}/credential`, { method: 'DELETE' }, 204);
  await send(['2']);
  stream.resume();
  if (!stream.readableEnded) await once(stream, 'end');
  assert.equal(await codeOf(running, `${path}/records`, { token }, 401), 'D4_TOKEN_UNKNOWN');
  const wrong = { method: 'POST', body: { from: 5, to: 5 } };
  assert.equal(await codeOf(running, `${path}/replay`, wrong, 400), 'D4_BAD_REQUEST');
  const unknownType = { method: 'POST', body: { from: 5, type: 'nothing' } };
  assert.equal(await codeOf(running, `${path}/replay`, unknownType, 422), 'D4_TYPE_NOT_ACCEPTED');
});

test('a new queue is given the past by commands, which are audited', async (t) => {
  const { running, sensor, uuid, send } = await launch(t);
  const second = await running.addSensor();
  await send(numbers(1, 2000));
  await running.sendByClient({ sensor: second, type: 3 }, 'other\n');
  await until(async () => (await ask<QueueView>(running, `/queues/${uuid}`)).length === 2001, 'all records are there');
  const fresh = await running.addQueue('3');
  assert.equal(await running.done('queue', 'rewind', fresh, '--from', '24h'), '2001 items come again, 2001 wait\n');
  assert.equal((await running.popAll(fresh)).length, 2001);
  const rewind = { method: 'POST', body: { from: 0 } };
  const rewound = await ask<RewoundView>(running, `/queues/${fresh}/rewind`, rewind);
  assert.deepEqual([rewound.items, rewound.complete, rewound.length], [2001, true, 2001]);

  const lines = await running.addQueue('8');
  const replay = (
    await running.done('queue', 'replay', lines, '--from', '1h', '--sensor', sensor, '--type', '3')
  ).trim();
  await until(async () => (await ask<QueueView>(running, `/queues/${lines}`)).length >= 500, 'it has begun');
  await running.killAndStart();
  const replayed: string[] = [];
  await until(async () => {
    replayed.push(...(await running.popAll(lines)));
    const [view] = (await ask<QueueView>(running, `/queues/${lines}`)).replays;
    return view?.state === 'done';
  }, 'it is over');
  assert.deepEqual(replayed, numbers(1, 2000));
  const [done] = (await ask<QueueView>(running, `/queues/${lines}`)).replays;
  assert.deepEqual([done?.id, done?.delivered, done?.left, done?.lost], [replay, 2000, 0, 0] satisfies unknown[]);
  assert.match(
    await running.done('queue', 'show', lines),
    new RegExp(`${replay} done: type 3 of ${sensor}, .*, 2000 taken`),
  );

  const range: ReplayView = JSON.parse(
    await running.done('queue', 'rewind', lines, '--from', '2h', '--to', '1h', '--json'),
  );
  assert.equal(range.topic, '8');
  for (const words of [
    ['replay', lines, '--from', '2h', '--to', '1h', '--type', '3'],
    ['rewind', lines, '--from', '2h', '--to', '1h'],
  ]) {
    const empty = await running.d4('queue', ...words);
    assert.deepEqual(
      [empty.code, empty.stderr],
      [0, 'd4: there is nothing in that range: nothing comes of this replay\n'],
    );
  }
  const next = (await running.done('queue', 'replay', lines, '--from', '1h', '--type', '3')).trim();
  assert.equal(await running.done('queue', 'cancel-replay', lines, next), `replay ${next} is cancelled\n`);
  assert.equal((await ask<QueueView>(running, `/queues/${lines}`)).replays.at(-1)?.state, 'cancelled');
  assert.match((await running.d4('queue', 'rewind', lines)).stderr, /--from 24h/);
  const { items } = await ask<AuditPage>(running, `/audit?key=${lines}`);
  assert.deepEqual(
    items.filter(({ action }) => action === 'event').map(({ kind }) => kind),
    ['replay-cancelled', ...Array(5).fill('replay-started')],
  );
  const [asked] = (await ask<AuditPage>(running, `/audit?kind=queue-rewound`)).items;
  assert.equal(asked?.key, fresh);
});

/** A consumer as it stands in docs/consumers.md, running. */
async function startConsumer(
  t: TestContext,
  home: Home,
  language: 'js' | 'python',
  token: string,
): Promise<ChildProcessByStdio<null, Readable, Readable>> {
  const [, program] = new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(PAGE) ?? [];
  assert.ok(program);
  const folder = temporaryFolder(t);
  const file = join(folder, language === 'js' ? 'consumer.mjs' : 'consumer.py');
  writeFileSync(file, program);
  const { url } = home.running.server.info;
  const ca = join(home.running.home, 'rootCA.crt');
  const command = language === 'js' ? process.execPath : '/usr/bin/python3';
  const child = spawn(command, [file, url, ca, home.uuid], {
    env: { PATH: process.env.PATH, D4_TOKEN: token },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  afterwards(t, async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'close');
  });
  return child;
}

test('the consumers of the page, in Node and Python, share a queue, and outlive the server', async (t) => {
  const home = await launch(t);
  const { running, uuid, send, view } = home;
  const { secret } = await ask<Credential>(running, `/queues/${uuid}/credential`, { method: 'POST', body: {} }, 201);
  const consumers = await Promise.all([startConsumer(t, home, 'js', secret), startConsumer(t, home, 'python', secret)]);
  const printed: string[] = [];
  const complaints: string[] = [];
  for (const consumer of consumers) {
    createInterface({ input: consumer.stdout }).on('line', (line) => printed.push(line));
    createInterface({ input: consumer.stderr }).on('line', (line) => complaints.push(line));
  }
  await send([...numbers(1, 500), 'poison', 'ümläut']);
  await until(async () => (await view()).taken === 502, 'all records are acknowledged');
  assert.deepEqual(new Set(printed), new Set([...numbers(1, 500), 'ümläut']));
  assert.ok(complaints.filter((line) => /delivery [123] of .*cannot be analyzed/.test(line)).length >= 3);
  const { web, listen, home: folder } = running.server.info;
  await running.server.kill9();
  await until(async () => complaints.length > 4, 'a consumer notices');
  running.server = await launchServer({ home: folder, args: ['--listen', listen, '--web', web] });
  await send(numbers(501, 600));
  await until(async () => new Set(printed).size === 601, `the rest: ${complaints.slice(-3)}`);
});
