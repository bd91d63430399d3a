import assert from 'node:assert/strict';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { inspectSpool } from '@d4ts/client';
import { FrameEncoder, newSensorId, type SensorId } from '@d4ts/protocol';
import type { SensorView, Status } from '@d4ts/server';
import { launchServer, type ServerProcess, startD4 } from '@d4ts/testkit';
import { journalStreams } from './crash/journal-streams.ts';
import { ask, until } from './monitored-server.ts';

/** 2,000 is what an operator may have. */
const SENSORS = Number(process.env.D4_TEST_SENSORS ?? 200);
const RECONNECTING = SENSORS / 4;
const ROUNDS = 4;
const KEY = 'a key of its own';

/** A v1 sensor with an address of its own. */
class Sensor {
  readonly uuid: SensorId = newSensorId();
  readonly number: number;
  readonly #server: ServerProcess;
  readonly #encoder: FrameEncoder;
  #socket: TLSSocket | undefined;

  constructor(number: number, server: ServerProcess) {
    this.number = number;
    this.#server = server;
    this.#encoder = new FrameEncoder({ sensor: this.uuid, key: Buffer.from(KEY), version: 1 });
  }

  async connect(): Promise<void> {
    const [host = '', port = ''] = this.#server.info.listen.split(':');
    const localAddress = `127.${1 + (this.number >> 14)}.${(this.number >> 7) & 127}.${1 + (this.number & 127)}`;
    const plain = connectTcp({ host, port: Number(port), localAddress });
    const socket = connect({ socket: plain, ca: this.#server.info.ca, checkServerIdentity: () => undefined });
    await once(socket, 'secureConnect');
    socket.on('error', () => {});
    this.#socket = socket.resume();
  }

  send(line: string): void {
    this.#socket?.write(this.#encoder.encode(3, Buffer.from(`${this.number} ${line}\n`), 1));
  }

  cut(): void {
    this.#socket?.destroy();
  }

  async end(): Promise<void> {
    assert.ok(this.#socket !== undefined);
    const closed = once(this.#socket, 'close');
    this.#socket.end();
    await closed;
  }
}

test(`${SENSORS} sensors of as many addresses, a quarter of which reconnect at once: none is refused`, async () => {
  await using server = await launchServer();
  const sensors = Array.from({ length: SENSORS }, (_, number) => new Sensor(number, server));
  for (const { uuid } of sensors) await ask(server, '/sensors', { uuid, key: KEY, approve: true });
  await Promise.all(sensors.map((sensor) => sensor.connect()));
  for (let round = 0; round < ROUNDS; round++) {
    for (const sensor of sensors) {
      sensor.send(`round ${round}`);
      // Slowly: one after the other.
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(async () => (await lines(server)) === SENSORS * (round + 1), `the lines of round ${round}`);
    if (round !== 1) continue;
    const reconnecting = sensors.slice(0, RECONNECTING);
    for (const sensor of reconnecting) sensor.cut();
    await Promise.all(reconnecting.map((sensor) => sensor.connect()));
  }
  const { sessions, refusals } = await ask<Status>(server, '/status');
  assert.equal(new Set(sessions.map(({ sensor }) => sensor)).size, SENSORS);
  assert.deepEqual(refusals, {});
  await Promise.all(sensors.map((sensor) => sensor.end()));
  assert.equal((await server.stop()).code, 0);
  const streams = (await journalStreams(server.home, '3')).map(({ bytes }) => bytes.toString());
  assert.equal(streams.length, SENSORS + RECONNECTING);
  const rounds = (from: number, to: number) => (number: number) =>
    Array.from({ length: to - from }, (_, i) => `${number} round ${from + i}\n`).join('');
  const expected = sensors.flatMap(({ number }) =>
    number < RECONNECTING ? [rounds(0, 2)(number), rounds(2, ROUNDS)(number)] : [rounds(0, ROUNDS)(number)],
  );
  assert.deepEqual(streams.sort(), expected.sort());
});

async function lines(server: ServerProcess): Promise<number> {
  const { topics } = await ask<Status>(server, '/status');
  return topics.find(({ topic }) => topic === '3')?.records ?? 0;
}

test('two clients with one identity and the same copied spool: both are recorded and marked, nothing is mixed', async () => {
  const root = mkdtempSync(join(tmpdir(), 'd4-clones-'));
  const [one, other] = [join(root, 'one'), join(root, 'other')];
  let server = await launchServer();
  try {
    const uuid = newSensorId();
    await ask(server, '/sensors', { uuid, key: KEY, approve: true });
    mkdirSync(one);
    const files = { uuid, key: KEY, type: '3', source: 'stdin', destination: server.info.listen };
    for (const [file, value] of Object.entries(files)) writeFileSync(join(one, file), value);
    writeFileSync(join(one, 'rootCA.crt'), server.info.ca);
    await server.kill9();
    const shared = Array.from({ length: 5_000 }, (_, i) => `shared ${i}\n`).join('');
    const first = startD4(['client', '-c', one, '--ack', 'require', '-rt', '200ms', '--spool', 'always']);
    first.stdin.write(shared);
    await until(async () => {
      const { streams } = await inspectSpool(one);
      return streams.reduce((sum, { waitingBytes }) => sum + waitingBytes, 0) === shared.length;
    }, 'everything is in the spool');
    const killed = once(first, 'close');
    first.kill('SIGKILL');
    await killed;
    cpSync(one, other, { recursive: true });
    rmSync(join(other, 'spool', 'lock'), { force: true });

    server = await launchServer({ home: server.home, args: ['--listen', server.info.listen] });
    const clients = [one, other].map((conf) => {
      const child = startD4(['client', '-c', conf, '--ack', 'require', '-rt', '200ms']);
      return { child, said: text(child.stderr), ended: once(child, 'close') };
    });
    // Both have to be active at the same time, however slow the machine is.
    let sent = 0;
    await until(async () => {
      for (const [i, { child }] of clients.entries()) child.stdin.write(`of client ${i}: ${sent}\n`);
      sent++;
      return (await ask<SensorView>(server, `/sensors/${uuid}`)).state === 'cloned';
    }, 'the sensor is marked');
    for (const { child, said, ended } of clients) {
      child.stdin.end();
      assert.equal((await ended)[0], 0, await said);
    }
    assert.equal((await server.stop()).code, 0);
    const streams = (await journalStreams(server.home, '3')).map(({ bytes, gaps }) => {
      assert.deepEqual(gaps, []);
      return bytes.toString();
    });
    const own = (client: number): string =>
      Array.from({ length: sent }, (_, i) => `of client ${client}: ${i}\n`).join('');
    assert.deepEqual(streams.sort(), [own(0), own(1), shared]);
    assert.equal(existsSync(join(one, 'spool')), false);
    assert.equal(existsSync(join(other, 'spool')), false);
  } finally {
    await server.dispose();
    rmSync(server.home, { recursive: true, force: true, maxRetries: 3 });
    rmSync(root, { recursive: true, force: true, maxRetries: 3 });
  }
});
