import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { newSensorId } from '@d4ts/protocol';
import { launchServer, runD4 } from '@d4ts/testkit';
import { Redis } from 'ioredis';
import { KEY, register } from './ingest.ts';
import { end, firstLine, start } from './processes.ts';
import type { Figure } from './report.ts';

const LINE_BYTES = 150;
const BYTES = 60_000_000;
const COUNT = 100;
const REDIS_PORT = 7398;

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

/** A genuine Redis that keeps nothing on disk, filled with the same lines. */
async function redisRate(): Promise<number> {
  // Debian's redis-tools holds the server too: what it does goes by the name it is called.
  const server = spawn(
    '/usr/bin/redis-check-rdb',
    ['--port', String(REDIS_PORT), '--bind', '127.0.0.1', '--save', ''],
    {
      argv0: 'redis-server',
    },
  );
  for await (const chunk of server.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
    if (String(chunk).includes('Ready to accept')) break;
  }
  server.stdout.resume();
  const url = `redis://127.0.0.1:${REDIS_PORT}/2`;
  const client = new Redis(url);
  const line = Buffer.alloc(LINE_BYTES - 1, 'a line of some log 0123456789 ');
  for (let sent = 0; sent < BYTES; sent += LINE_BYTES * 1000) await client.lpush('list', ...Array(1000).fill(line));
  client.disconnect();
  const rate = await popRate(url, 'list');
  server.kill();
  await once(server, 'exit');
  return rate;
}

/** Pops through the server's socket, against Redis itself with the same client in the same run. */
export async function popFigures(): Promise<Figure[]> {
  const redis = await redisRate();
  const server = await launchServer({ environment: { D4_ARCHIVE_PAUSED: 'true' } });
  try {
    const sensor = newSensorId();
    await register(server, [sensor]);
    const queue = (await runD4(['queue', 'add', '3', '--home', server.home])).stdout.trim();
    const port = Number(server.info.listen.split(':').at(-1));
    const load = { port, connections: 1, sensors: [sensor], key: KEY, type: 3, payloadBytes: 4050, seconds: 60 };
    const child = start('load.ts', [JSON.stringify({ ...load, bytesPerConnection: BYTES })]);
    await firstLine(child);
    await end(child);
    const ours = await popRate(`redis://${server.info.redis}/2`, `analyzer:3:${queue}`);
    const name = `pops, ${COUNT} at a time, ${LINE_BYTES} B lines`;
    return [{ name, value: ours, unit: 'items/s', references: { Redis: redis } }];
  } finally {
    await server.dispose();
  }
}
