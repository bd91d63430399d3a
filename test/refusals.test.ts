import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { connect as connectTcp, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { type ConnectionOptions, connect } from 'node:tls';
import {
  ENROLL_ALPN,
  ENROLL_SECRET_BYTES,
  encodeEnrollRequest,
  encodeEnrollToken,
  FrameEncoder,
  HEADER_BYTES,
  newSensorId,
  parseEnrollAnswer,
  parseEnrollToken,
  REFUSALS,
  type RefusalCode,
  runningCrc,
  type SensorId,
} from '@d4ts/protocol';
import type { EnrolmentAdded, SensorView, Status } from '@d4ts/server';
import { AckClient, launchServer, runD4, type ServerProcess, startD4, type TestOpen } from '@d4ts/testkit';
import { Redis } from 'ioredis';

// Every reason to refuse, provoked on a real server through its sockets, and seen in its log and by its commands.

const KEY = 'a key of its own';
const SHARED_KEY = 'what all sensors know';
/** Version 1: a uuid that no sensor may have. */
const OLD_UUID = '5f2b3c1e-8d44-1c36-9a1f-0c1d2e3f4a5b' as SensorId;
const NOW = Math.floor(Date.now() / 1000);

/** Where a refusal is kept: as the sensor's own, as claimed on its page, or by address alone. */
type Kept = 'verified' | 'claimed' | 'by address';

interface Expected {
  readonly code: RefusalCode;
  readonly sensor?: SensorId;
  readonly kept: Kept;
}

describe('refusals', { concurrency: true }, () => {
  it('each has its reason in the log, in the status and on the page of the sensor', async () => {
    await using server = await launchServer();
    const peer = new Peer(server);
    const { sensor, claimed, pending, revoked, blocked, strict, stranger } = await sensorsOf(server);
    const seen: Expected[] = [];
    const refused = async (expected: Expected, provoke: () => Promise<unknown>): Promise<void> => {
      const before = logged(server, expected.code).length;
      await provoke();
      await until(() => logged(server, expected.code).length > before);
      const said = logged(server, expected.code).slice(before);
      assert.deepEqual(
        said.map(({ sensor, verified, msg }) => ({ sensor, verified, msg })),
        [{ sensor: expected.sensor, verified: expected.kept === 'verified', msg: REFUSALS[expected.code] }],
      );
      seen.push(expected);
    };
    const own = (code: RefusalCode, of = sensor): Expected => ({ code, sensor: of, kept: 'verified' });
    const claim = (code: RefusalCode, of = claimed): Expected => ({ code, sensor: of, kept: 'claimed' });
    const nobody = (code: RefusalCode, of?: SensorId): Expected => ({
      code,
      kept: 'by address',
      ...(of === undefined ? {} : { sensor: of }),
    });

    // These two take 30 s: the others are provoked meanwhile.
    const frame = frameOf(claimed, 3, 'a line\n');
    const late = Promise.all([
      refused(nobody('header-timeout'), () => peer.say([frame.subarray(0, HEADER_BYTES - 1)])),
      refused(claim('payload-timeout'), () => peer.say([frame.subarray(0, HEADER_BYTES + 1)])),
    ]);

    await refused(nobody('blocked-address'), () => peer.sayPlain('', '127.0.0.2'));
    await refused(nobody('foreign-alpn'), () => assert.rejects(peer.open({ ALPNProtocols: ['h2'] })));
    await refused(nobody('failed-handshake'), () => peer.sayPlain('GET / HTTP/1.1\r\nHost: d4\r\n\r\n'));
    await refused(nobody('uuid-not-v4', OLD_UUID), () => peer.say([frameOf(OLD_UUID, 3, 'x\n')]));
    await refused(claim('blocked-uuid', blocked), () => peer.say([frameOf(blocked, 3, 'x\n')]));
    await refused(nobody('not-registered', stranger), () => peer.say([frameOf(stranger, 3, 'x\n')]));
    await refused(own('pending', pending), () => peer.say([frameOf(pending, 3, 'x\n')]));
    await refused(own('revoked', revoked), () => peer.say([frameOf(revoked, 3, 'x\n')]));
    await refused(own('type-not-accepted'), () => peer.say([frameOf(sensor, 77, 'x')]));
    await refused(claim('size-over-limit'), () => peer.say([frameOf(claimed, 3, Buffer.alloc(1_000_001))]));
    await refused(claim('hmac-wrong'), () => peer.say([frameOf(claimed, 3, 'x\n', 'another key')]));
    await refused(own('uuid-changed'), () => peer.say([frameOf(sensor, 3, 'x\n'), frameOf(claimed, 3, 'x\n')]));
    await refused(own('type-changed'), () => peer.say([frameOf(sensor, 3, 'x\n'), frameOf(sensor, 8, 'x\n')]));
    await refused(own('no-meta-header'), () => peer.say([frameOf(sensor, 254, 'x\n')]));
    await refused(own('bad-meta-header'), () => peer.say([frameOf(sensor, 2, '[5]')]));
    await refused(own('meta-type-not-accepted'), () => peer.say([frameOf(sensor, 2, '{"type":"unheard-of"}')]));
    await refused(own('not-the-format'), () => peer.say([frameOf(sensor, 1, 'this is no capture at all')]));
    await ofAcknowledgedStreams(peer, sensor, claimed, (code, of, provoke) => refused(own(code, of), provoke));
    await refused(own('acknowledged-only', strict), () => peer.say([frameOf(strict, 3, 'x\n')]));
    await refused(own('too-many-sessions'), async () => {
      const sockets: Socket[] = [];
      for (let i = 0; i < 5; i++) {
        const socket = await peer.open();
        sockets.push(socket);
        socket.write(frameOf(sensor, 3, `session ${i}\n`, KEY, NOW + i));
        await until(async () => (await get<SensorView>(server, `/sensors/${sensor}`)).sessions.length > Math.min(i, 3));
      }
      await ended(sockets[0] ?? assert.fail());
      for (const socket of sockets.slice(1)) socket.destroy();
    });
    await ofEnrolments(peer, server, sensor, refused);
    const elsewhere = await inSharedSecretMode();
    await late;
    await seenByCommands(server, seen);
    const provoked = [...seen.map((each) => each.code), ...elsewhere];
    assert.deepEqual(provoked.toSorted(), Object.keys(REFUSALS).toSorted());
  });

  it('a good sensor does not notice 200 that are none, and memory stays bounded', async () => {
    await using server = await launchServer();
    const peer = new Peer(server);
    const [good, other] = [newSensorId(), newSensorId()];
    for (const uuid of [good, other]) await post(server, '/sensors', { uuid, key: KEY, approve: true });
    const { uuid: queue } = await post<{ uuid: string }>(server, '/queues', { type: '3' });
    const client = await startGoodSensor(server, good);
    const redis = new Redis(`redis://${server.info.redis}/2`);
    let sent = 0;
    const tell = (): void => {
      client.stdin.write(`line ${sent++}\n`);
    };
    try {
      tell();
      assert.deepEqual(await redis.brpop(`analyzer:3:${queue}`, 0), [`analyzer:3:${queue}`, 'line 0']);
      const before = residentBytes(server, 'VmRSS');

      const frame = frameOf(other, 3, Buffer.alloc(1_000_000, 'x'));
      const stay: Promise<Socket>[] = [];
      const go: Promise<void>[] = [];
      for (let i = 0; i < 25; i++) {
        go.push(peer.say([frameOf(other, 3, Buffer.alloc(100_000, 'x'), 'wrong')]));
        go.push(peer.say([randomBytes(500)]));
        go.push(peer.say(['GET / HTTP/1.1\r\nHost: d4.example.org\r\nUser-Agent: a scanner of the net\r\n\r\n']));
        go.push(peer.sayPlain(Buffer.concat([Buffer.from('noise'), randomBytes(500)])));
        go.push(peer.sayPlain('GET / HTTP/1.1\r\nHost: d4\r\n\r\n'));
        stay.push(peer.open());
        stay.push(peer.openWith(frame.subarray(0, 1 + i)));
        stay.push(peer.openWith(frame.subarray(0, frame.length - 1)));
      }
      for (const each of [...go, ...stay]) void each.then(tell);
      await Promise.all(go);
      const silent = await Promise.all(stay);
      assert.equal(go.length + silent.length, 200);

      // While 75 of them are still there, everything that the good one has said can be had.
      tell();
      const expected = Array.from({ length: sent }, (_, i) => `line ${i}`);
      const got = ['line 0'];
      while (got.length < sent) got.push((await redis.brpop(`analyzer:3:${queue}`, 0))?.[1] ?? assert.fail());
      assert.deepEqual(got, expected);
      assert.equal(silent.filter((socket) => socket.readableEnded || socket.destroyed).length, 0);
      const most = residentBytes(server, 'VmHWM') - before;
      assert.ok(most < 200_000_000, `the server grew by ${most} bytes`);

      for (const socket of silent) socket.destroy();
      client.stdin.end();
      assert.deepEqual(await client.ended, { code: 0, stderr: '' });
      const { topics, refusals } = await sensorShow(server, good);
      assert.equal(topics[0]?.sessions, 1);
      assert.equal(topics[0]?.records, sent);
      assert.deepEqual(refusals, []);
      assert.deepEqual((await sensorShow(server, other)).refusals, []);
      const { stdout } = await runD4(['status', '--json', '--home', server.home]);
      const counts: Status['refusals'] = JSON.parse(stdout).refusals;
      assert.equal(counts['hmac-wrong'], 25);
      assert.equal(counts['failed-handshake'], 50);
      assert.equal((counts['uuid-not-v4'] ?? 0) + (counts['not-registered'] ?? 0), 50);
    } finally {
      client.kill();
      redis.disconnect();
    }
  });
});

/** What the commands say of the refusals that were provoked, each once. */
async function seenByCommands(server: ServerProcess, seen: readonly Expected[]): Promise<void> {
  const home = ['--home', server.home];
  const text = (await runD4(['status', ...home])).stdout;
  const status: Status = JSON.parse((await runD4(['status', '--json', ...home])).stdout);
  for (const { code, sensor, kept } of seen) {
    assert.equal(status.refusals[code], 1, code);
    assert.match(text, new RegExp(`^${code} +1$`, 'm'));
    if (kept === 'verified') continue;
    const entry = status.claimedRefusals.find((each) => each.code === code);
    assert.equal(entry?.claimed ?? undefined, sensor, code);
    assert.match(text, new RegExp(`^${code} +1 +\\S+Z +127\\.0\\.0\\.[12] +${sensor ?? '-'}$`, 'm'));
  }
  const named = seen.filter(({ kept }) => kept !== 'by address');
  for (const uuid of new Set(named.map(({ sensor = assert.fail() }) => sensor))) {
    const page = (await runD4(['sensor', 'show', uuid, ...home])).stdout;
    const { refusals, claimedRefusals } = await sensorShow(server, uuid);
    const of = (kept: Kept) => named.filter((each) => each.sensor === uuid && each.kept === kept);
    assert.deepEqual(codes(refusals), codes(of('verified')));
    assert.deepEqual(codes(claimedRefusals), codes(of('claimed')));
    for (const { code, kept } of [...of('verified'), ...of('claimed')]) {
      assert.match(page, new RegExp(`^${code} +1 +\\S+Z +127\\.0\\.0\\.1 +${kept}$`, 'm'));
    }
  }
  const unnamed = seen.filter(({ kept, sensor }) => kept === 'by address' && sensor !== undefined);
  for (const { sensor = '' } of unnamed) {
    const { code, stderr } = await runD4(['sensor', 'show', sensor, ...home]);
    assert.equal(code, 1);
    assert.match(stderr, /D4_NOT_FOUND/);
  }
}

/** The refusals of acknowledged streams alone. */
async function ofAcknowledgedStreams(
  peer: Peer,
  sensor: SensorId,
  other: SensorId,
  refused: (code: RefusalCode, sensor: SensorId, provoke: () => Promise<unknown>) => Promise<void>,
): Promise<void> {
  const stream = randomBytes(16).toString('hex');
  const line = Buffer.from('a line\n');
  const first = await peer.openStream({ sensor, stream });
  first.resume();
  first.data(0, line);
  await first.acknowledged(7);
  const second: { client?: AckClient } = {};
  const toldOf = async (code: RefusalCode, client: AckClient | undefined): Promise<void> => {
    await client?.until(() => client.refused !== undefined);
    assert.deepEqual(client?.refused, { code, text: REFUSALS[code], verified: true });
  };
  const crc = runningCrc(0, line);
  await refused('stream-replaced', sensor, async () => {
    second.client = await peer.openStream({ sensor, stream, from: 7, crc });
    await toldOf('stream-replaced', first);
  });
  await refused('bad-message', sensor, async () => {
    second.client?.resume(line);
    second.client?.data(8, line);
    await toldOf('bad-message', second.client);
  });
  const opens: [RefusalCode, SensorId, Partial<TestOpen>][] = [
    ['stream-ahead', sensor, { end: 6 }],
    ['stream-forked', sensor, { from: 7, crc: crc + 1 }],
    ['stream-not-yours', other, { from: 7, crc }],
  ];
  for (const [code, of, open] of opens) {
    await refused(code, of, async () => toldOf(code, await peer.openStream({ sensor: of, stream, ...open })));
  }
  const last = await peer.openStream({ sensor, stream, from: 7, crc });
  last.resume(line);
  await last.end(7);
  const more = { sensor, stream, from: 7, end: 8, crc };
  await refused('stream-ended', sensor, async () => toldOf('stream-ended', await peer.openStream(more)));
}

/** The refusals of enrolments, as the client that wants to enrol is told them. */
async function ofEnrolments(
  peer: Peer,
  server: ServerProcess,
  known: SensorId,
  refused: (expected: Expected, provoke: () => Promise<unknown>) => Promise<void>,
): Promise<void> {
  const made = async (draft: object = {}): Promise<EnrolmentAdded> => post(server, '/enrolments', draft);
  const tells = async (code: RefusalCode, token: string, sensor = newSensorId(), kept: Kept = 'by address') =>
    refused({ code, sensor, kept }, async () => assert.equal(await peer.enroll(token, sensor), code));
  const { token, enrolment } = await made();
  await tells('enroll-uuid-taken', token, known, 'claimed');
  await ask(server, 'DELETE', `/enrolments/${enrolment.id}`);
  await tells('enroll-token-revoked', token);
  const { secret, ...parts } = parseEnrollToken(token);
  await tells('enroll-token-unknown', encodeEnrollToken({ ...parts, secret: Buffer.alloc(secret.length) }));
  const used = await made();
  assert.equal(await peer.enroll(used.token, newSensorId()), 'registered');
  await tells('enroll-token-used', used.token);
  const expiresAt = Date.now() + 500;
  const short = await made({ expiresAt });
  await until(() => Date.now() > expiresAt);
  await tells('enroll-token-expired', short.token);
}

/** The refusals that need other settings, or very many connections. @returns their codes */
async function inSharedSecretMode(): Promise<RefusalCode[]> {
  const args = ['--mode', 'shared-secret', '--default-key', SHARED_KEY];
  await using server = await launchServer({ args, environment: { D4_LIMITS_UNPROVED_PER_ADDRESS: '30' } });
  const peer = new Peer(server);
  // As many as may register themselves within an hour, and one more.
  for (let left = 200; left > 0; left -= 20) {
    const some = Array.from({ length: 20 }, () => peer.sayAndEnd(frameOf(newSensorId(), 3, 'x\n', SHARED_KEY)));
    await Promise.all(some);
  }
  const surplus = newSensorId();
  await peer.say([frameOf(surplus, 3, 'x\n', SHARED_KEY)]);

  const first = await peer.open();
  const others: Socket[] = [];
  while (others.length < 30) others.push(await peer.open());
  await ended(first);
  for (const socket of others) socket.destroy();

  await seenByCommands(server, [
    { code: 'too-many-sensors', sensor: surplus, kept: 'by address' },
    { code: 'too-many-connections', kept: 'by address' },
  ]);
  for (const code of ['too-many-sensors', 'too-many-connections'] as const) {
    assert.equal(logged(server, code).length, 1, code);
  }
  // From an address where no sensor is.
  while (logged(server, 'too-many-failures').length === 0) await peer.sayPlain('GET / HTTP/1.1\r\n\r\n', '127.0.0.2');
  assert.ok((await get<Status>(server, '/status')).claimedRefusals.some(({ code }) => code === 'too-many-failures'));
  const { token } = await post<EnrolmentAdded>(server, '/enrolments');
  const guess = encodeEnrollToken({ ...parseEnrollToken(token), secret: Buffer.alloc(ENROLL_SECRET_BYTES) });
  while (logged(server, 'enroll-too-many-attempts').length === 0) await peer.enroll(guess, newSensorId());
  assert.equal(await peer.enroll(token, newSensorId()), 'enroll-too-many-attempts');
  return ['too-many-sensors', 'too-many-connections', 'too-many-failures', 'enroll-too-many-attempts'];
}

/** Sensors in every standing, and one that nobody knows. */
async function sensorsOf(server: ServerProcess) {
  const sensor = newSensorId();
  const claimed = newSensorId();
  const pending = newSensorId();
  const revoked = newSensorId();
  const blocked = newSensorId();
  const strict = newSensorId();
  for (const uuid of [sensor, claimed, revoked, blocked, strict]) {
    await post(server, '/sensors', { uuid, key: KEY, approve: true });
  }
  await post(server, '/sensors', { uuid: pending, key: KEY });
  await post(server, `/sensors/${revoked}/revoke`);
  await post(server, '/blocks', { target: blocked });
  await post(server, '/blocks', { target: '127.0.0.2' });
  await ask(server, 'PATCH', `/sensors/${strict}`, { acknowledgedOnly: true });
  return { sensor, claimed, pending, revoked, blocked, strict, stranger: newSensorId() };
}

/** Whoever connects to the sensors' port. */
class Peer {
  readonly #ca: string;
  readonly #address: { readonly host: string; readonly port: number };

  constructor(server: ServerProcess) {
    this.#ca = server.info.ca;
    const { hostname: host, port } = new URL(`https://${server.info.listen}`);
    this.#address = { host, port: Number(port) };
  }

  async open(options: ConnectionOptions = {}): Promise<Socket> {
    const socket = connect({ ...this.#address, ca: this.#ca, ...options });
    await once(socket, 'secureConnect');
    // A reset is as good an end as any, after the handshake.
    socket.on('error', () => {});
    socket.on('data', () => assert.fail('the server wrote to a client'));
    return socket;
  }

  /** Opens an acknowledged stream. */
  async openStream(open: TestOpen): Promise<AckClient> {
    const client = await AckClient.connect({ ...this.#address, ca: this.#ca }, Buffer.from(KEY));
    await client.open(open);
    return client;
  }

  /** Asks to be registered. @returns the reason why not, or `registered` */
  async enroll(token: string, uuid: SensorId): Promise<string> {
    const { secret } = parseEnrollToken(token);
    const socket = connect({ ...this.#address, ca: this.#ca, ALPNProtocols: [ENROLL_ALPN] });
    socket.on('error', () => {});
    socket.write(encodeEnrollRequest({ secret, uuid, key: Buffer.from(KEY) }));
    const [, answer = ''] = (await text(socket)).split('\n');
    const said = parseEnrollAnswer(Buffer.from(answer));
    return said.kind === 'refused' ? said.code : said.kind;
  }

  /** Says this much and no more, and stays. */
  async openWith(bytes: Buffer): Promise<Socket> {
    const socket = await this.open();
    await new Promise((resolve) => socket.write(bytes, resolve));
    return socket;
  }

  /** Says this through TLS, and waits for the server to close. */
  async say(what: readonly (string | Buffer)[]): Promise<void> {
    const socket = await this.open();
    for (const each of what) socket.write(each);
    await ended(socket);
  }

  /** Says this, ends, and waits for the server to close. */
  async sayAndEnd(what: Buffer): Promise<void> {
    const socket = await this.open();
    socket.end(what);
    await ended(socket);
  }

  /** Says this without TLS, and waits for the server to close. */
  async sayPlain(what: string | Buffer, localAddress = '127.0.0.1'): Promise<void> {
    const socket = connectTcp({ ...this.#address, localAddress });
    socket.on('error', () => {});
    socket.resume();
    socket.write(what);
    // What is refused before the handshake may be reset.
    await ended(socket);
  }
}

/** A client that knows the server, with its standard input open. */
async function startGoodSensor(server: ServerProcess, uuid: SensorId) {
  const directory = mkdtempSync(join(tmpdir(), 'd4-good-sensor-'));
  const files = { uuid, key: KEY, type: '3', destination: server.info.listen, 'rootCA.crt': server.info.ca };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
  const child = startD4(['client', '-c', directory]);
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const ended = once(child, 'close').then(([code]) => {
    rmSync(directory, { recursive: true });
    return { code, stderr };
  });
  return { stdin: child.stdin, ended, kill: () => void child.kill('SIGKILL') };
}

async function sensorShow(server: ServerProcess, uuid: SensorId): Promise<SensorView> {
  return JSON.parse((await runD4(['sensor', 'show', uuid, '--json', '--home', server.home])).stdout);
}

function get<T>(server: ServerProcess, path: string): Promise<T> {
  return ask(server, 'GET', path);
}

function post<T>(server: ServerProcess, path: string, body: object = {}): Promise<T> {
  return ask(server, 'POST', path, body);
}

async function ask<T>(server: ServerProcess, method: string, path: string, body?: object): Promise<T> {
  const { url, ca, token } = server.info;
  const type = body === undefined ? {} : { 'content-type': 'application/json' };
  const headers = { authorization: `Bearer ${token}`, ...type };
  const asked = request(`${url}/api/v1${path}`, { method, ca, headers });
  asked.end(body === undefined ? undefined : JSON.stringify(body));
  const [response] = await once(asked, 'response');
  let answer = '';
  for await (const chunk of response) answer += chunk;
  assert.ok(response.statusCode < 300, `${path}: ${answer}`);
  return JSON.parse(answer);
}

interface LogLine {
  readonly msg: string;
  readonly code?: string;
  readonly sensor?: string;
  readonly verified?: boolean;
}

function lines(server: ServerProcess): LogLine[] {
  const log = server.log();
  return log
    .slice(0, log.lastIndexOf('\n') + 1)
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

function logged(server: ServerProcess, code: RefusalCode): LogLine[] {
  return lines(server).filter((line) => line.code === code);
}

function frameOf(sensor: SensorId, type: number, payload: string | Buffer, key = KEY, time = NOW): Buffer {
  return new FrameEncoder({ sensor, key: Buffer.from(key), version: 1 }).encode(type, Buffer.from(payload), time);
}

/** What the kernel says of the server's memory: `VmRSS` now, `VmHWM` at the most so far. */
function residentBytes(server: ServerProcess, name: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${server.pid}/status`, 'utf8');
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024;
}

function codes(refusals: readonly { readonly code: string }[]): string[] {
  return refusals.map(({ code }) => code).toSorted();
}

async function ended(socket: Socket): Promise<void> {
  if (!socket.readableEnded && !socket.destroyed) await once(socket, 'close').catch(() => {});
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10));
}
