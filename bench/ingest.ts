import { newSensorId, type SensorId } from '@d4ts/protocol';
import { launchServer, makeTestCertificates, type ServerProcess } from '@d4ts/testkit';
import { Api } from './api.ts';
import { end, firstLine, start } from './processes.ts';
import type { Figure } from './report.ts';

const CONNECTIONS = 8;
const SECONDS = 5;
export const KEY = 'the key of the benchmark';

/** Bytes of payload per second, in MB/s. */
async function rate(port: number, payloadBytes: number, sensors: readonly SensorId[]): Promise<number> {
  const load = { port, connections: CONNECTIONS, sensors, key: KEY, type: 3, payloadBytes, seconds: SECONDS };
  const child = start('load.ts', [JSON.stringify(load)]);
  const { bytes, seconds } = JSON.parse(await firstLine(child)) as { bytes: number; seconds: number };
  await end(child);
  return bytes / seconds / 1e6;
}

export async function sinkRate(mode: 'r0' | 'r1', payloadBytes: number, sensors: readonly SensorId[]): Promise<number> {
  const { cert, key } = await makeTestCertificates();
  const sink = start('sink.ts', [mode, KEY, JSON.stringify({ cert, key })]);
  try {
    return await rate(Number(await firstLine(sink)), payloadBytes, sensors);
  } finally {
    await end(sink);
  }
}

/** Registers and approves sensors, all with the benchmark's key. */
export async function register(server: ServerProcess, sensors: readonly SensorId[]): Promise<void> {
  using api = new Api(server);
  for (const uuid of sensors) await api.call('POST', '/sensors', { uuid, key: KEY, approve: true });
}

/**
 * What the server takes in, against a bare TLS sink (R0) and a sink that decodes frames and checks their HMACs with
 * `createHmac` (R1), in the same run: 8 connections, a new server for each size, the default journal policy.
 */
export async function ingestFigures(): Promise<Figure[]> {
  const sensors = Array.from({ length: CONNECTIONS }, () => newSensorId());
  const figures: Figure[] = [];
  for (const payloadBytes of [4096, 150]) {
    const r0 = await sinkRate('r0', payloadBytes, sensors);
    const r1 = await sinkRate('r1', payloadBytes, sensors);
    // The archive is measured by itself.
    const server = await launchServer({ environment: { D4_ARCHIVE_PAUSED: 'true' } });
    try {
      await register(server, sensors);
      const taken = await rate(Number(server.info.listen.split(':').at(-1)), payloadBytes, sensors);
      const name = `ingest, ${payloadBytes} B frames`;
      figures.push({ name, value: taken, unit: 'MB/s', references: { R0: r0, R1: r1 } });
    } finally {
      await server.dispose();
    }
  }
  return figures;
}
