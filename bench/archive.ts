import { newSensorId } from '@d4ts/protocol';
import { launchServer, runD4, type ServerProcess } from '@d4ts/testkit';
import { KEY, register, sinkRate } from './ingest.ts';
import { end, firstLine, residentMegabytes, start } from './processes.ts';
import type { Figure } from './report.ts';

const SECONDS = 60;
const CONNECTIONS = 8;
const PAYLOAD_BYTES = 4096;

/** How far behind the archiver is, in s. */
async function lag(server: ServerProcess): Promise<number> {
  const status = JSON.parse((await runD4(['status', '--json', '--home', server.home])).stdout) as {
    archive: { topics: readonly { topic: string; lagMs: number }[] };
  };
  return (status.archive.topics.find(({ topic }) => topic === '3')?.lagMs ?? 0) / 1000;
}

/** Log lines at a quarter of R1 for a minute: what comes in, and how far behind the archiver is at the end. */
export async function archiveFigures(): Promise<Figure[]> {
  const sensors = Array.from({ length: CONNECTIONS }, () => newSensorId());
  const wanted = (await sinkRate('r1', PAYLOAD_BYTES, sensors)) / 4;
  const server = await launchServer();
  try {
    await register(server, sensors);
    const port = Number(server.info.listen.split(':').at(-1));
    const load = { port, connections: CONNECTIONS, sensors, key: KEY, type: 3, payloadBytes: PAYLOAD_BYTES };
    const child = start('load.ts', [JSON.stringify({ ...load, seconds: SECONDS, bytesPerSecond: wanted * 1e6 })]);
    const { bytes, seconds } = JSON.parse(await firstLine(child)) as { bytes: number; seconds: number };
    const behind = await lag(server);
    await end(child);
    const taken = bytes / seconds / 1e6;
    return [
      {
        name: `log lines taken in and archived for ${SECONDS} s`,
        value: taken,
        unit: 'MB/s',
        references: { 'R1/4': wanted },
      },
      { name: 'the archiver behind them at the end', value: behind, unit: 's' },
      { name: 'resident memory then', value: residentMegabytes(server.pid), unit: 'MB' },
    ];
  } finally {
    await server.dispose();
  }
}
