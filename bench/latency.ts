import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newSensorId } from '@d4ts/protocol';
import { launchServer, runD4, startD4 } from '@d4ts/testkit';
import { Redis } from 'ioredis';
import type { Figure } from './report.ts';

const RECORDS = 300;

/**
 * One record's way from the client's standard input to a consumer blocked in `BRPOP`, on an idle server: the next
 * record is written when the one before has arrived.
 */
export async function latencyFigures(): Promise<Figure[]> {
  const server = await launchServer();
  const directory = mkdtempSync(join(tmpdir(), 'd4-bench-'));
  try {
    const uuid = newSensorId();
    await runD4(['sensor', 'add', '--home', server.home, '--uuid', uuid, '--key', 'k', '--approve']);
    const queue = (await runD4(['queue', 'add', '3', '--home', server.home])).stdout.trim();
    const files = {
      uuid,
      key: 'k',
      type: '3',
      source: 'stdin',
      destination: server.info.listen,
      'rootCA.crt': server.info.ca,
    };
    for (const [name, value] of Object.entries(files)) writeFileSync(join(directory, name), value);

    const client = startD4(['client', '-c', directory]);
    client.stderr.pipe(process.stderr);
    const [host, port] = server.info.redis.split(':');
    const consumer = new Redis({ host: host ?? '', port: Number(port), db: 2 });
    const times: number[] = [];
    for (let i = 0; i < RECORDS + 20; i++) {
      const popped = consumer.brpop(`analyzer:3:${queue}`, 30);
      const start = performance.now();
      client.stdin.write(`record ${i}\n`);
      const item = await popped;
      if (item?.[1] !== `record ${i}`) throw new Error(`record ${i} did not arrive, but ${item?.[1]}`);
      if (i >= 20) times.push(performance.now() - start);
    }
    consumer.disconnect();
    client.kill('SIGKILL');
    times.sort((a, b) => a - b);
    const at = (share: number) => times[Math.floor(times.length * share)] ?? 0;
    return [
      { name: 'standard input to BRPOP, median', value: at(0.5), unit: 'ms' },
      { name: 'standard input to BRPOP, 99 of 100', value: at(0.99), unit: 'ms' },
    ];
  } finally {
    await server.dispose();
    rmSync(directory, { recursive: true, force: true });
  }
}
