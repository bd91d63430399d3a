import { newSensorId, type SensorId } from '@d4ts/protocol';
import { launchServer } from '@d4ts/testkit';
import { KEY, register } from './ingest.ts';
import { end, firstLine, start } from './processes.ts';
import type { Figure } from './report.ts';

const SECONDS = 5;
const PAYLOAD_BYTES = 4096;
/** Sensors with one connection each; the flooding one has as many as it may. */
const OTHERS = 4;
const FLOODING_CONNECTIONS = 4;

interface Load {
  readonly port: number;
  readonly sensors: readonly SensorId[];
  readonly connections: number;
  readonly seconds: number;
}

/** Starts to send as fast as the server takes it. @returns bytes of payload per second, in MB/s */
async function rate(load: Load): Promise<number> {
  const child = start('load.ts', [JSON.stringify({ ...load, key: KEY, type: 3, payloadBytes: PAYLOAD_BYTES })]);
  const { bytes, seconds } = JSON.parse(await firstLine(child)) as { bytes: number; seconds: number };
  await end(child);
  return bytes / seconds / 1e6;
}

/** What a flooding sensor, at full speed over four connections, leaves to four others that are at full speed too. */
export async function fairnessFigures(): Promise<Figure[]> {
  const [flooding, ...others] = Array.from({ length: 1 + OTHERS }, () => newSensorId()) as [SensorId, ...SensorId[]];
  const server = await launchServer();
  try {
    await register(server, [flooding, ...others]);
    const port = Number(server.info.listen.split(':').at(-1));
    const load = { port, sensors: others, connections: OTHERS, seconds: SECONDS };
    const alone = await rate(load);
    const flood = rate({ port, sensors: [flooding], connections: FLOODING_CONNECTIONS, seconds: SECONDS + 1 });
    const beside = await rate(load);
    const name = `${OTHERS} sensors beside a flooding one`;
    return [
      { name, value: beside, unit: 'MB/s', references: { 'the same without it': alone } },
      { name: 'the flooding one beside them', value: await flood, unit: 'MB/s' },
    ];
  } finally {
    await server.dispose();
  }
}
