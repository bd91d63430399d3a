import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { newSensorId } from '@d4ts/protocol';
import { launchServer } from '@d4ts/testkit';
import { Redis } from 'ioredis';
import { Api } from './api.ts';
import { KEY, register } from './ingest.ts';
import { end, firstLine, start } from './processes.ts';
import { type Figure, median } from './report.ts';

const LINE_BYTES = 150;
const BYTES = 60_000_000;
const COUNT = 100;
const REDIS_PORT = 7398;
const REDIS_URL = `redis://127.0.0.1:${REDIS_PORT}/2`;
const TURNS = 7;

/** Pops everything from a list, 100 at a time, one request after another. @returns items per second */
async function popRate(url: string, key: string): Promise<number> {
  const client = new Redis(url);
  const began = performance.now();
  let items = 0;
  for (;;) {
    const popped = await client.rpopBuffer(key, COUNT);
    if (popped === null) break;
    items += popped.length;
  }
  const seconds = (performance.now() - began) / 1000;
  client.disconnect();
  return items / seconds;
}

/** A genuine Redis that keeps nothing on disk. */
async function startRedis(): Promise<ChildProcess> {
  // Debian's redis-tools holds the server too: what it does goes by the name it is called.
  const args = ['--port', String(REDIS_PORT), '--bind', '127.0.0.1', '--save', ''];
  const server = spawn('/usr/bin/redis-check-rdb', args, { argv0: 'redis-server' });
  for await (const chunk of server.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
    if (String(chunk).includes('Ready to accept')) break;
  }
  server.stdout.resume();
  return server;
}

async function fillRedis(key: string): Promise<void> {
  const client = new Redis(REDIS_URL);
  const line = Buffer.alloc(LINE_BYTES - 1, 'a line of some log 0123456789 ');
  for (let sent = 0; sent < BYTES; sent += LINE_BYTES * 1000) await client.lpush(key, ...Array(1000).fill(line));
  client.disconnect();
}

/**
 * Pops through the server's socket, against Redis itself with the same client: in turns, because what a round trip costs
 * here changes within seconds. Each turn pops the same lines, from a queue of its own.
 */
export async function popFigures(): Promise<Figure[]> {
  const redis = await startRedis();
  const server = await launchServer({ environment: { D4_ARCHIVE_PAUSED: 'true' } });
  try {
    const sensor = newSensorId();
    await register(server, [sensor]);
    using api = new Api(server);
    const queues: string[] = [];
    for (let turn = 0; turn < TURNS; turn++) {
      const { uuid } = (await api.call('POST', '/queues', { type: '3' })) as { uuid: string };
      queues.push(`analyzer:3:${uuid}`);
    }
    const port = Number(server.info.listen.split(':').at(-1));
    const load = { port, connections: 1, sensors: [sensor], key: KEY, type: 3, payloadBytes: 4050, seconds: 60 };
    const child = start('load.ts', [JSON.stringify({ ...load, bytesPerConnection: BYTES })]);
    await firstLine(child);
    await end(child);
    const rates: { ours: number; theirs: number }[] = [];
    for (const queue of queues) {
      await fillRedis('list');
      const theirs = await popRate(REDIS_URL, 'list');
      rates.push({ theirs, ours: await popRate(`redis://${server.info.redis}/2`, queue) });
    }
    const name = `pops, ${COUNT} at a time, ${LINE_BYTES} B lines, median of ${TURNS} turns`;
    const references = { Redis: median(rates.map(({ theirs }) => theirs)) };
    const ratios = rates.map(({ ours, theirs }) => ours / theirs);
    return [
      { name, value: median(rates.map(({ ours }) => ours)), unit: 'items/s', references },
      { name: 'the turn with the lowest ratio', value: Math.min(...ratios), unit: 'of Redis' },
      { name: 'the turn in the middle', value: median(ratios), unit: 'of Redis' },
    ];
  } finally {
    await server.dispose();
    redis.kill();
    await once(redis, 'exit');
  }
}
