import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { FrameEncoder, type SensorId } from '@d4ts/protocol';

// Runs as a process of its own, until it is ended: each sensor sends a few lines every second, at a moment of its own.
// Says `sending` when all are connected. Arguments: one JSON object.

interface SteadyOptions {
  readonly port: number;
  readonly sensors: readonly SensorId[];
  readonly key: string;
}

const SECOND_MS = 1_000;
/** Handshakes at a time: the server gives one address no more. */
const CONNECTING = 20;

async function open(port: number): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  return socket.resume().on('error', () => undefined);
}

async function send(socket: TLSSocket, encoder: FrameEncoder, delayMs: number): Promise<void> {
  await setTimeout(delayMs);
  for (let line = 0; !socket.destroyed; line += 1) {
    const lines = `${line} one line of a log\n`.repeat(4);
    socket.write(encoder.encode(3, Buffer.from(lines), Math.floor(Date.now() / SECOND_MS)));
    await setTimeout(SECOND_MS);
  }
}

const { port, sensors, key } = JSON.parse(process.argv[2] ?? '') as SteadyOptions;
for (let at = 0; at < sensors.length; at += CONNECTING) {
  const some = sensors.slice(at, at + CONNECTING);
  const sockets = await Promise.all(some.map(() => open(port)));
  for (const [index, sensor] of some.entries()) {
    const encoder = new FrameEncoder({ sensor, key: Buffer.from(key), version: 1 });
    const socket = sockets[index];
    if (socket !== undefined) void send(socket, encoder, ((at + index) * SECOND_MS) / sensors.length);
  }
}
process.stdout.write('sending\n');
