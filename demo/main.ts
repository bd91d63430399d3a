/**
 * `npm run demo`: a server with its own temporary home, and a dozen sensors that send to it, so that anyone can look
 * around. Ctrl-C ends everything, and nothing of it stays.
 */
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { newSensorId, type SensorId } from '@d4ts/protocol';
import { launchServer, type ServerProcess, startD4 } from '@d4ts/testkit';
import { ask } from '../test/monitored-server.ts';
import { DemoConnection, metaFrame } from './connection.ts';
import { hostLog } from './records.ts';
import { type DemoSensor, demoSensors } from './sensors.ts';

/** Each connection begins anew so often, so that files are finished and there is something in the archive. */
const RESTART_MS = 120_000;
/** Sent at once by the first connection of each sensor, which then begins anew. */
const FIRST_RECORDS = 40;
const KEY = 'a key of the demonstration';
const MAIL = 'demo@example.org';

const stopped = Promise.withResolvers<void>();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stopped.resolve());

process.stdout.write('Starting a server and its sensors…\n');
const ends: (() => void | Promise<void>)[] = [];
const server = await launchServer();
void server.ended.then(() => stopped.resolve());
try {
  const password = randomBytes(9).toString('base64url');
  await prepare(server, password);
  process.stdout.write(
    `\n  ${server.info.url}\n  Sign in as ${MAIL} with the password ${password}\n\n` +
      'The browser warns of the certificate: the server has made it for itself. Ctrl-C ends the demonstration and removes all of it.\n',
  );
  await stopped.promise;
} finally {
  for (const end of ends) await end();
  await server.stop();
  await server.dispose();
}
process.exit();

async function prepare(to: ServerProcess, password: string): Promise<void> {
  await ask(to, '/users', { mail: MAIL, password, role: 'admin', mustChangePassword: false });
  const sensors = demoSensors();
  const { items } = await ask<{ items: { name: string }[] }>(to, '/types?limit=1000');
  const accepted = new Set(items.map(({ name }) => name));
  for (const name of new Set(sensors.map(({ topic }) => topic))) {
    if (!accepted.has(name)) await ask(to, '/types', { name });
  }
  await attachAnalyzers(to);
  for (const sensor of sensors) await startSensor(to, sensor);
  await startClient(to);
  await addTroubles(to);
}

/** Queues, one with a consumer, and exporters, one of which fails. */
async function attachAnalyzers(to: ServerProcess): Promise<void> {
  const busy = await ask<{ uuid: string }>(to, '/queues', { type: '3', description: 'Log analyzer' });
  await ask(to, '/queues', { type: '1', description: 'Captures, for nobody yet' });
  await ask(to, '/queues', { type: '8', description: 'Passive DNS database', limit: 100 });
  every(1_000, () => ask(to, `/queues/${busy.uuid}/pop?count=100`, undefined, 'POST'));
  const sink = createSocket('udp4');
  sink.bind(0, '127.0.0.1');
  await once(sink, 'listening');
  ends.push(() => void sink.close());
  const target = { kind: 'udp', host: '127.0.0.1', port: sink.address().port };
  await ask(to, '/exporters', { name: 'events-to-siem', type: 'maltrail', description: 'Events, by UDP', target });
  const closed = { kind: 'tcp', host: '127.0.0.1', port: 9 };
  await ask(to, '/exporters', { name: 'lost-partner', type: '3', description: 'Nobody listens there', target: closed });
}

async function startSensor(to: ServerProcess, sensor: DemoSensor): Promise<void> {
  const { topic, type, meta, source, everyMs } = sensor;
  const uuid = await register(to, sensor);
  let first = true;
  const connection = new DemoConnection(to.info, { uuid, key: KEY, type }, (send) => {
    if (meta !== undefined) send(...metaFrame(meta));
    if (source.head.length > 0) send(type, source.head);
    if (!first) return;
    first = false;
    for (let sent = 0; sent < (topic === 'filewatcher' ? 2 : FIRST_RECORDS); sent += 1) send(type, source.next());
    connection.restart();
  });
  ends.push(() => connection.end());
  every(everyMs, () => connection.send(source.next()));
  every(RESTART_MS + Math.random() * RESTART_MS, () => connection.restart());
}

/** The project's own client, whose streams are acknowledged. */
async function startClient(to: ServerProcess): Promise<void> {
  const about = { name: 'Acknowledged log', description: 'd4 client, with a spool', tags: ['logs'] };
  const uuid = await register(to, about);
  const folder = join(to.home, 'demo-client');
  mkdirSync(folder);
  const values = { uuid, key: KEY, type: '3', source: 'stdin', destination: to.info.listen, 'rootCA.crt': to.info.ca };
  for (const [name, value] of Object.entries(values)) writeFileSync(join(folder, name), value);
  const client = startD4(['client', '-c', folder]);
  for (const output of [client.stdout, client.stderr]) output.resume();
  client.stdin.on('error', () => {});
  const ended = once(client, 'close');
  const log = hostLog();
  every(800, () => void client.stdin.write(log.next()));
  ends.push(async () => {
    client.kill('SIGKILL');
    await ended;
  });
}

/** What an operator has to do with: one that waits, one with a wrong key, one that nobody knows, one that is silent. */
async function addTroubles(to: ServerProcess): Promise<void> {
  const log = hostLog();
  await ask(to, '/sensors', { uuid: newSensorId(), key: KEY, name: 'New on the roof', mail: 'volunteer@example.org' });
  await register(to, { name: 'Old pump', description: 'Watched, and silent', expectedIntervalSeconds: 60 });
  const wrong = await register(to, { name: 'Wrong key', description: 'Its key was mistyped' });
  for (const [uuid, key] of [
    [wrong, 'misstyped'],
    [newSensorId(), KEY],
  ] as const) {
    const connection = new DemoConnection(to.info, { uuid, key, type: 3 }, (send) => send(3, log.next()));
    ends.push(() => connection.end());
  }
  await ask(to, '/blocks', { target: '203.0.113.0/24', reason: 'Scans the sensor port', expiresAt: Date.now() + 6e8 });
}

async function register(to: ServerProcess, about: object): Promise<SensorId> {
  const uuid = newSensorId();
  const { name, description, tags, expectedIntervalSeconds } = Object(about);
  const sensor = { uuid, key: KEY, name, description, tags, expectedIntervalSeconds };
  await ask(to, '/sensors', { ...sensor, mail: 'owner@example.org', approve: true });
  return uuid;
}

/** Does something again and again, until the end; a server that is ending may refuse it. */
function every(ms: number, what: () => unknown): void {
  let last = Promise.resolve();
  const attempt = async (): Promise<void> => {
    try {
      await what();
    } catch (error) {
      process.stderr.write(`demo: ${error instanceof Error ? error.message : error}\n`);
    }
  };
  const timer = setInterval(() => {
    last = attempt();
  }, ms);
  ends.unshift(async () => {
    clearInterval(timer);
    // The server is not stopped under a request.
    await last;
  });
}
