import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { connect } from 'node:tls';
import { gunzipSync } from 'node:zlib';
import { FrameEncoder, newSensorId, type SensorId } from '@d4ts/protocol';
import type { SensorView } from '@d4ts/server';
import { launchServer, runD4, type ServerProcess } from '@d4ts/testkit';

// What the Go client does after its connection broke: it goes on with its capture, without the header. And what an
// operator says of a sensor that sends too much. The server is a process of its own.

const KEY = 'a key';
const CAPTURE = readFileSync(new URL('./data/samples/mixed_soup.pcap', import.meta.url));
const HEADER = CAPTURE.subarray(0, 24);

let server: ServerProcess;
/** It made the home, and removes it. */
let first: ServerProcess;
before(async () => {
  first = await launchServer();
  server = first;
});
after(async () => {
  await server.dispose();
  await first.dispose();
});

async function d4(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runD4([...args, '--home', server.home]);
  assert.equal(code, 0, stderr);
  return stdout;
}

async function addSensor(): Promise<SensorId> {
  const uuid = newSensorId();
  await d4('sensor', 'add', '--uuid', uuid, '--key', KEY, '--approve');
  return uuid;
}

async function show(uuid: SensorId): Promise<SensorView> {
  return JSON.parse(await d4('sensor', 'show', uuid, '--json')) as SensorView;
}

async function until<T>(what: () => Promise<T | undefined>): Promise<T> {
  for (let tries = 0; tries < 200; tries++) {
    const found = await what();
    if (found !== undefined) return found;
    await setTimeout(50);
  }
  throw new Error(`waited in vain for ${what}`);
}

/** Opens a connection and sends bytes of a capture. */
async function send(uuid: SensorId, bytes: Buffer) {
  const [host = '', port] = server.info.listen.split(':');
  const socket = connect({ host, port: Number(port), ca: server.info.ca, checkServerIdentity: () => undefined });
  socket.on('error', () => undefined).on('data', () => undefined);
  await once(socket, 'secureConnect');
  socket.write(new FrameEncoder({ sensor: uuid, key: Buffer.from(KEY), version: 1 }).encode(1, bytes, 1));
  return socket;
}

/** Where the packets of the capture begin, and its end. */
function packetStarts(): number[] {
  const starts = [24];
  for (let at = 24; at < CAPTURE.length; starts.push(at)) at += 16 + CAPTURE.readUInt32LE(at + 8);
  return starts;
}

test('a capture goes on without its header after the server was killed, and what was left out is counted', async () => {
  const uuid = await addSensor();
  const queue = (await d4('queue', 'add', '1')).trim();
  const starts = packetStarts();
  const [killedAt = 0, brokenAt = 0] = [starts[10], starts[30]];
  // In mid-packet both times: what is left of that packet cannot be told from other bytes.
  const first = await send(uuid, CAPTURE.subarray(0, killedAt + 7));
  await until(async () => ((await show(uuid)).topics[0]?.records === 10 ? true : undefined));
  await server.kill9();
  first.destroy();
  server = await launchServer({ home: server.home });
  // Counters are saved each second.
  const counted = (await show(uuid)).topics[0]?.records ?? 0;

  const second = await send(uuid, CAPTURE.subarray(killedAt + 7, brokenAt + 9));
  second.end();
  await once(second, 'close');
  const third = await send(uuid, CAPTURE.subarray(brokenAt + 9));
  third.end();
  await once(third, 'close');

  const [topic] = (await show(uuid)).topics;
  // Up to the first packet that is found, and what the second stream, found again only at its end, has behind its last.
  const leftOut = (starts[11] ?? 0) - killedAt - 7 + 9 + ((starts[31] ?? 0) - brokenAt - 9);
  assert.deepEqual([(topic?.records ?? 0) - counted, topic?.skippedBytes], [19 + 16, leftOut]);
  assert.match(await d4('sensor', 'show', uuid), /LEFT OUT/);

  const paths: string[] = [];
  await until(async () => {
    const popped = (await d4('queue', 'pop', queue, '-n', '10')).split('\n').filter((line) => line !== '');
    paths.push(...popped);
    return paths.length >= 3 ? true : undefined;
  });
  const files = paths.map((path) => gunzipSync(readFileSync(path)));
  const part = (from: number, to: number) => CAPTURE.subarray(starts[from], starts[to]);
  const expected = [part(0, 10), part(11, 30), part(31, 47)].map((packets) => Buffer.concat([HEADER, packets]));
  assert.deepEqual(files.toSorted(Buffer.compare), expected.toSorted(Buffer.compare));
});

test('rate and quota are set, shown and taken back', async () => {
  const uuid = await addSensor();
  await d4('sensor', 'edit', uuid, '--rate', '2MB', '--quota', '500', '--description', 'too much');
  const limited = await show(uuid);
  assert.deepEqual(
    [limited.maxBytesPerSecond, limited.maxBytesPerDay, limited.description],
    [2_000_000, 500, 'too much'],
  );
  const socket = await send(uuid, CAPTURE);
  const over = await until(async () => {
    const shown = await show(uuid);
    return shown.state === 'over-quota' ? shown : undefined;
  });
  assert.equal(over.bytesToday, CAPTURE.length + 62);
  assert.match(await d4('sensor', 'list'), new RegExp(`${uuid}  over-quota`));
  await d4('sensor', 'edit', uuid, '--rate', 'none', '--quota', 'none', '--max-payload', '1MB');
  const unlimited = await show(uuid);
  assert.deepEqual(
    [unlimited.state, unlimited.maxBytesPerSecond, unlimited.maxBytesPerDay, unlimited.maxPayloadBytes],
    ['receiving', null, null, 1_000_000],
  );
  socket.end();
  await once(socket, 'close');
  const refused = await runD4(['sensor', 'edit', uuid, '--home', server.home]);
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /say what to change/);
});
