import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import { FrameEncoder, newSensorId, type SensorId } from '@d4ts/protocol';
import { afterwards, launchServer, type ServerProcess, startD4, temporaryFolder } from '@d4ts/testkit';

// Servers that forward to each other: in a ring nothing comes back, and nothing is lost when one of them is killed.

const KEY = 'the key of every sensor here';

/** Asks a server's HTTP interface. */
async function ask<T>(server: ServerProcess, method: string, path: string, body?: object): Promise<T> {
  const { url, token, ca } = server.info;
  const json = body === undefined ? undefined : JSON.stringify(body);
  const headers = { authorization: token, ...(json !== undefined && { 'content-type': 'application/json' }) };
  const asked = request(`${url}/api/v1${path}`, { method, ca, headers, agent: false });
  asked.end(json);
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  const answer = await text(response);
  assert.ok((response.statusCode ?? 0) < 300, `${method} ${path}: ${answer}`);
  return JSON.parse(answer);
}

async function serverWith(t: TestContext, home: string, types: readonly string[], ports: readonly string[] = []) {
  mkdirSync(home, { recursive: true });
  const server = await launchServer({ home, args: ports });
  afterwards(t, () => server.dispose());
  for (const name of types) await ask(server, 'POST', '/types', { name });
  return server;
}

async function register(server: ServerProcess): Promise<SensorId> {
  const uuid = newSensorId();
  await ask(server, 'POST', '/sensors', { uuid, key: KEY, approve: true });
  return uuid;
}

async function newQueue(server: ServerProcess, type: string): Promise<string> {
  const { uuid } = await ask<{ uuid: string }>(server, 'POST', '/queues', { type });
  return uuid;
}

async function forward(from: ServerProcess, to: ServerProcess, type: string): Promise<void> {
  const sensor = await register(to);
  const ca = join(from.home, `ca-${sensor}`);
  writeFileSync(ca, to.info.ca);
  const [host = '', port = ''] = to.info.listen.split(':');
  const target = { kind: 'd4', host, port: Number(port), sensor, ca };
  await ask(from, 'POST', '/exporters', { name: `next-${type}`, type, target, secrets: { key: KEY } });
}

/** Sends lines as a new sensor of a server. */
async function send(server: ServerProcess, records: readonly string[], meta?: string): Promise<void> {
  const [host = '', port = ''] = server.info.listen.split(':');
  const encoder = new FrameEncoder({ sensor: await register(server), key: Buffer.from(KEY), version: 1 });
  const socket = connect({ host, port: Number(port), ca: server.info.ca });
  await once(socket, 'secureConnect');
  if (meta !== undefined) socket.write(encoder.encode(2, Buffer.from(JSON.stringify({ type: meta })), 1));
  socket.end(encoder.encode(meta === undefined ? 3 : 254, Buffer.from(`${records.join('\n')}\n`), 1));
  socket.resume();
  await once(socket, 'close');
}

async function items(server: ServerProcess, queue: string, atLeast: number): Promise<string[]> {
  for (;;) {
    const peeked = await ask<{ items: { data: string }[] }>(server, 'GET', `/queues/${queue}/items?count=10000`);
    if (peeked.items.length >= atLeast) return peeked.items.map(({ data }) => data);
    await sleep(50);
  }
}

interface Exporter {
  readonly lag: number;
  readonly delivered: number;
  readonly repeated: number;
  readonly remark: string;
}

function exporterOf(server: ServerProcess, name: string): Promise<Exporter> {
  return ask(server, 'GET', `/exporters/${name}`);
}

const lines = (name: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${name} ${i}`);

test('three servers in a ring: each record comes to each of them once', async (t) => {
  const root = temporaryFolder(t);
  const types = ['3', 'maltrail'];
  const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((name) => serverWith(t, join(root, name), types)));
  assert.ok(a && b && c);
  const servers = [a, b, c];
  const queues = new Map<ServerProcess, { [type: string]: string }>();
  for (const server of servers) {
    const made: { [type: string]: string } = {};
    for (const type of types) made[type] = await newQueue(server, type);
    queues.set(server, made);
  }
  for (const type of types) {
    await forward(a, b, type);
    await forward(b, c, type);
    await forward(c, a, type);
  }
  const sent: { [type: string]: string[] } = { 3: [], maltrail: [] };
  for (const [i, server] of servers.entries()) {
    for (const type of types) {
      const own = lines(`${'abc'[i]} ${type}`, 200);
      await send(server, own, type === '3' ? undefined : type);
      sent[type]?.push(...own);
    }
  }
  for (const server of servers) {
    for (const type of types) {
      const found = await items(server, queues.get(server)?.[type] ?? '', 600);
      assert.deepEqual(found.toSorted(), sent[type]?.toSorted());
    }
  }
  // All has been decided about, and nothing more comes.
  for (const server of servers) {
    for (const type of types) {
      while ((await exporterOf(server, `next-${type}`)).lag > 0) await sleep(100);
      assert.match((await exporterOf(server, `next-${type}`)).remark, /^200 not sent, because they had been there$/);
      assert.equal((await items(server, queues.get(server)?.[type] ?? '', 600)).length, 600);
    }
  }
});

test('a server that is killed in mid-stream and started again gets every record of the one that forwards to it once', async (t) => {
  const root = temporaryFolder(t);
  const a = await serverWith(t, join(root, 'a'), ['3']);
  let b = await serverWith(t, join(root, 'b'), ['3']);
  const queue = await newQueue(b, '3');
  await forward(a, b, '3');
  const sent: string[] = [];
  for (let round = 0; round < 3; round++) {
    const more = lines(`round ${round} ${'x'.repeat(400)}`, 2_000);
    sent.push(...more);
    const sending = send(a, more);
    await items(b, queue, sent.length - more.length + 1);
    const ports = ['--listen', b.info.listen, '--web', b.info.web, '--redis', b.info.redis];
    if (round < 2) {
      await b.kill9();
      b = await serverWith(t, b.home, [], ports);
    }
    await sending;
  }
  assert.deepEqual((await items(b, queue, sent.length)).toSorted(), sent.toSorted());
  while ((await exporterOf(a, 'next-3')).lag > 0) await sleep(50);
  const { delivered, repeated, remark } = await exporterOf(a, 'next-3');
  assert.deepEqual({ delivered, repeated, remark }, { delivered: sent.length, repeated: 0, remark: '' });
  assert.equal((await items(b, queue, sent.length)).length, sent.length);
});

test('d4 export d4 forwards a queue, with the configuration directory of a sensor', async (t) => {
  const root = temporaryFolder(t);
  const [a, b] = await Promise.all(['a', 'b'].map((name) => serverWith(t, join(root, name), ['3'])));
  assert.ok(a && b);
  const from = await newQueue(a, '3');
  const to = await newQueue(b, '3');
  const folder = join(root, 'forwarder');
  mkdirSync(folder);
  const files = {
    uuid: await register(b),
    key: `${KEY}\n`,
    type: '3',
    destination: b.info.listen,
    'rootCA.crt': b.info.ca,
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const [, port = ''] = a.info.redis.split(':');
  const exporter = startD4(['export', 'd4', '-t', '3', '-u', from, '-rp', port, '-c', folder, '-v']);
  afterwards(t, () => exporter.kill('SIGKILL'));
  let said = '';
  exporter.stderr.on('data', (chunk) => {
    said += chunk;
  });
  const sent = lines('line', 300);
  await send(a, sent);
  assert.deepEqual(await items(b, to, 300), sent, said);

  exporter.kill('SIGTERM');
  const code = await new Promise((resolve) => exporter.once('exit', resolve));
  assert.equal(code, 0, said);
  assert.match(said, /exporting queue .* of type 3 to d4 127.0.0.1:\d+\n/);
  assert.match(said, /300 delivered, 0 errors, 0 skipped\n$/);
});
