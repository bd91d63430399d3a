import { connect } from 'node:tls';
import { FrameEncoder, type SensorId } from '@d4ts/protocol';

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
  /** Ends each connection after so many bytes of payload, if given. */
  readonly bytesPerConnection?: number;
}

const BURST_BYTES = 1024 * 1024;

/** Frames of log lines, about `BURST_BYTES` of them. */
function burst(sensor: SensorId, options: LoadOptions): { bytes: Buffer; payload: number } {
  const encoder = new FrameEncoder({ sensor, key: Buffer.from(options.key), version: 1 });
  const line = Buffer.alloc(Math.min(options.payloadBytes, 150), 'a line of some log 0123456789 ');
  line[line.length - 1] = 0x0a;
  const payload = Buffer.alloc(options.payloadBytes, line);
  payload[payload.length - 1] = 0x0a;
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

const options = JSON.parse(process.argv[2] ?? '') as LoadOptions;
const start = performance.now();
const until = start + options.seconds * 1000;
const sent = await Promise.all(
  Array.from({ length: options.connections }, (_, i) =>
    send(options.sensors[i % options.sensors.length] as SensorId, options, until),
  ),
);
// Until the server has closed every connection it has not taken everything.
const seconds = (performance.now() - start) / 1000;
process.stdout.write(`${JSON.stringify({ bytes: sent.reduce((sum, bytes) => sum + bytes, 0), seconds })}\n`);
