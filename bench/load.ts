import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:tls';
import { FrameEncoder, type SensorId } from '@d4ts/protocol';
import { AckClient } from '@d4ts/testkit';

// Runs as a process of its own: sends the same run of frames over N connections until its time is up, then says how
// many payload bytes it sent. Arguments: one JSON object.

interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  readonly sensors: readonly SensorId[];
  readonly key: string;
  readonly type: number;
  readonly payloadBytes: number;
  readonly seconds: number;
  /** Of all connections together; as fast as it goes if not given. */
  readonly bytesPerSecond?: number;
  /** As acknowledged streams; else as v1 frames. */
  readonly acknowledged?: boolean;
  /** Ends each connection after so many bytes of payload, if given. */
  readonly bytesPerConnection?: number;
}

const BURST_BYTES = 1024 * 1024;

/** Log lines, so many bytes of them together. */
function linesOf(bytes: number): Buffer {
  const line = Buffer.alloc(Math.min(bytes, 150), 'a line of some log 0123456789 ');
  line[line.length - 1] = 0x0a;
  const lines = Buffer.alloc(bytes, line);
  lines[lines.length - 1] = 0x0a;
  return lines;
}

/** Frames of log lines, about `BURST_BYTES` of them. */
function burst(sensor: SensorId, options: LoadOptions): { bytes: Buffer; payload: number } {
  const encoder = new FrameEncoder({ sensor, key: Buffer.from(options.key), version: 1 });
  const payload = linesOf(options.payloadBytes);
  const frames: Buffer[] = [];
  for (let bytes = 0; bytes < BURST_BYTES; bytes += payload.length)
    frames.push(encoder.encode(options.type, payload, 1));
  return { bytes: Buffer.concat(frames), payload: frames.length * payload.length };
}

async function send(sensor: SensorId, options: LoadOptions, until: number): Promise<number> {
  const { bytes, payload } = burst(sensor, options);
  const socket = connect({ host: '127.0.0.1', port: options.port, rejectUnauthorized: false });
  socket.on('data', () => undefined);
  const failed = new Promise<never>((_, reject) => socket.once('error', reject));
  await Promise.race([new Promise((resolve) => socket.once('secureConnect', resolve)), failed]);
  let sent = 0;
  const began = performance.now();
  const pace = (options.bytesPerSecond ?? Number.POSITIVE_INFINITY) / options.connections / 1000;
  while (performance.now() < until && sent < (options.bytesPerConnection ?? Number.POSITIVE_INFINITY)) {
    const early = sent / pace - (performance.now() - began);
    if (early > 1) {
      await new Promise((resolve) => setTimeout(resolve, early));
      continue;
    }
    if (!socket.write(bytes)) {
      await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), failed]);
    }
    sent += payload;
  }
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.end();
  await Promise.race([closed, failed]);
  return sent;
}

/** As `send`, as an acknowledged stream: until its end is acknowledged. */
async function sendAcknowledged(sensor: SensorId, options: LoadOptions, until: number): Promise<number> {
  const to = { host: '127.0.0.1', port: options.port, rejectUnauthorized: false };
  const client = await AckClient.connect(to, Buffer.from(options.key));
  await client.open({ sensor, stream: randomBytes(16).toString('hex'), type: options.type });
  client.resume();
  const payload = linesOf(options.payloadBytes);
  let sent = 0;
  while (performance.now() < until) {
    for (const burstEnd = sent + BURST_BYTES; sent < burstEnd; sent += payload.length) client.data(sent, payload);
    if (client.socket.writableNeedDrain) await once(client.socket, 'drain');
  }
  await client.end(sent);
  client.destroy();
  return sent;
}

const options = JSON.parse(process.argv[2] ?? '') as LoadOptions;
const start = performance.now();
const until = start + options.seconds * 1000;
const sent = await Promise.all(
  Array.from({ length: options.connections }, (_, i) =>
    (options.acknowledged === true ? sendAcknowledged : send)(
      options.sensors[i % options.sensors.length] as SensorId,
      options,
      until,
    ),
  ),
);
// Until the server has closed every connection it has not taken everything.
const seconds = (performance.now() - start) / 1000;
process.stdout.write(`${JSON.stringify({ bytes: sent.reduce((sum, bytes) => sum + bytes, 0), seconds })}\n`);
