import { setTimeout } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { FrameEncoder, newSensorId, type SensorId } from '@d4ts/protocol';
import { launchServer, runD4, type ServerProcess } from '@d4ts/testkit';
import { Api } from './api.ts';
import { KEY, register } from './ingest.ts';
import { end, firstLine, residentMegabytes, start } from './processes.ts';
import type { Figure } from './report.ts';

const FRAMES = 100_000;
const FRAME_BYTES = 4096;
const IDLE_SENSORS = 2_000;
/** How often the server is asked how far it is; it takes some of its time. */
const POLL_MS = 200;

/** How much the server grows while 100,000 frames of 4 KB come in that no consumer takes. */
async function unreadFigure(): Promise<Figure> {
  const server = await launchServer();
  try {
    const sensors = Array.from({ length: 8 }, () => newSensorId());
    await register(server, sensors);
    await runD4(['queue', 'add', '3', '--home', server.home]);
    const before = residentMegabytes(server.pid);
    let most = before;
    const watch = setInterval(() => {
      most = Math.max(most, residentMegabytes(server.pid));
    }, 50);
    const port = Number(server.info.listen.split(':').at(-1));
    const load = { port, connections: 8, sensors, key: KEY, type: 3, payloadBytes: FRAME_BYTES, seconds: 120 };
    const child = start('load.ts', [JSON.stringify({ ...load, bytesPerConnection: (FRAMES * FRAME_BYTES) / 8 })]);
    await firstLine(child);
    await end(child);
    clearInterval(watch);
    return { name: 'growth while 100,000 unread frames of 4 KB come in', value: most - before, unit: 'MB' };
  } finally {
    await server.dispose();
  }
}

/** Connects a sensor and sends one frame. */
async function sendOnce(server: ServerProcess, sensor: SensorId, type: number, payload: Buffer): Promise<TLSSocket> {
  const [host = '', port = ''] = server.info.listen.split(':');
  const socket = connect({ host, port: Number(port), rejectUnauthorized: false });
  socket.on('data', () => undefined).on('error', () => undefined);
  await new Promise((resolve) => socket.once('secureConnect', resolve));
  const encoder = new FrameEncoder({ sensor, key: Buffer.from(KEY), version: 1 });
  socket.write(encoder.encode(type, payload, 1));
  return socket;
}

/** What a sensor costs that is connected, has sent one line, and is quiet. */
async function idleFigure(): Promise<Figure> {
  const server = await launchServer();
  const sockets: TLSSocket[] = [];
  try {
    const sensors = Array.from({ length: IDLE_SENSORS }, () => newSensorId());
    await register(server, sensors);
    const before = residentMegabytes(server.pid);
    for (const sensor of sensors) sockets.push(await sendOnce(server, sensor, 3, Buffer.from('one line\n')));
    using api = new Api(server);
    for (let sessions = 0; sessions < IDLE_SENSORS; ) {
      await setTimeout(POLL_MS);
      sessions = ((await api.call('GET', '/status')) as { sessions: readonly unknown[] }).sessions.length;
    }
    const grown = residentMegabytes(server.pid) - before;
    return { name: `an idle sensor, of ${IDLE_SENSORS} connected`, value: (grown * 1000) / IDLE_SENSORS, unit: 'kB' };
  } finally {
    for (const socket of sockets) socket.destroy();
    await server.dispose();
  }
}

/** What it costs to archive 2,000 sensors with two types each: a file for each stream, all ended at the same time. */
async function manySensorsFigures(): Promise<Figure[]> {
  const server = await launchServer();
  using api = new Api(server);
  const sockets: TLSSocket[] = [];
  try {
    const sensors = Array.from({ length: IDLE_SENSORS }, () => newSensorId());
    await register(server, sensors);
    const payload = Buffer.alloc(4096, 'some line of text\n');
    for (const sensor of sensors) {
      for (const type of [3, 8]) sockets.push(await sendOnce(server, sensor, type, payload));
    }
    const before = residentMegabytes(server.pid);
    const closed = Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve))));
    for (const socket of sockets) socket.end();
    await closed;
    const began = performance.now();
    let most = before;
    for (let files = 0; files < sockets.length; ) {
      await setTimeout(POLL_MS);
      most = Math.max(most, residentMegabytes(server.pid));
      const { archive } = (await api.call('GET', '/status')) as {
        archive: { topics: readonly { filesFinished: number }[] };
      };
      files = archive.topics.reduce((sum, topic) => sum + topic.filesFinished, 0);
    }
    const name = `${IDLE_SENSORS} sensors with two types each`;
    return [
      {
        name: `${name}: files of streams that all ended at once, after`,
        value: (performance.now() - began) / 1000,
        unit: 's',
      },
      { name: `${name}: growth of the server while they are finished`, value: most - before, unit: 'MB' },
    ];
  } finally {
    for (const socket of sockets) socket.destroy();
    await server.dispose();
  }
}

/** What the server holds in memory, and what many sensors cost. */
export async function footprintFigures(): Promise<Figure[]> {
  return [await unreadFigure(), await idleFigure(), ...(await manySensorsFigures())];
}
