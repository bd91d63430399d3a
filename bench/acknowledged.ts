import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newSensorId, type SensorId } from '@d4ts/protocol';
import { launchServer } from '@d4ts/testkit';
import { KEY, register } from './ingest.ts';
import { end, firstLine, start } from './processes.ts';
import type { Figure } from './report.ts';

const CONNECTIONS = 8;
const SECONDS = 8;
/** What a client sends in one frame or message: of old, and as much as ours does. */
const PAYLOADS = [4_096, 65_536];

/** MB a second that a server takes, until everything is journaled and, with acknowledgements, acknowledged. */
async function rate(policy: 'os' | 'fsync', payloadBytes: number, acknowledged: boolean): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'd4-bench-'));
  const home = join(folder, 'home');
  mkdirSync(home);
  writeFileSync(join(home, 'd4.yaml'), `journal:\n  policy: ${policy}\narchive:\n  paused: true\n`);
  const server = await launchServer({ home });
  try {
    const sensors: SensorId[] = Array.from({ length: CONNECTIONS }, () => newSensorId());
    await register(server, sensors);
    const port = Number(server.info.listen.split(':').at(-1));
    const load = { port, connections: CONNECTIONS, sensors, key: KEY, type: 3, payloadBytes, seconds: SECONDS };
    const child = start('load.ts', [JSON.stringify({ ...load, acknowledged })]);
    const { bytes, seconds } = JSON.parse(await firstLine(child)) as { bytes: number; seconds: number };
    await end(child);
    return bytes / seconds / 1e6;
  } finally {
    await server.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Acknowledged streams, whose every commit is synced before it is acknowledged, against v1 connections to a server that
 * syncs nothing (`journal.policy: os`), and to one as it comes.
 */
export async function acknowledgedFigures(): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const payloadBytes of PAYLOADS) {
    const unsynced = await rate('os', payloadBytes, false);
    const usual = await rate('fsync', payloadBytes, false);
    figures.push({
      name: `acknowledged streams, ${payloadBytes} B messages, ${CONNECTIONS} connections`,
      value: await rate('fsync', payloadBytes, true),
      unit: 'MB/s',
      references: { 'v1 without a sync': unsynced, v1: usual },
    });
  }
  return figures;
}
