import assert from 'node:assert/strict';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { inspectSpool } from '@d4ts/client';
import { launchServer, Relay, runD4, type ServerProcess, startD4 } from '@d4ts/testkit';
import { journalStreams } from './crash/journal-streams.ts';

// The client with acknowledged streams and a real server, as real processes: `kill -9` in the middle of a file, and of a
// spool (D4_TEST_KILLS of each). `npm run chaos` does it at any moment.

const KILLS = Number(process.env.D4_TEST_KILLS ?? 1);
const SENSOR = '6f8a3b52-1c4d-4e7f-9a21-5d0c7be41f93';
const KEY = 'a key of its own';

const root = mkdtempSync(join(tmpdir(), 'd4-client-crash-'));
let home: string;
let conf: string;

beforeEach((context) => {
  const name = (context as { name: string }).name.replaceAll(/\W+/g, '-').slice(0, 40);
  home = join(root, name, 'home');
  conf = join(root, name, 'conf');
  mkdirSync(conf, { recursive: true });
});

after(() => rmSync(root, { recursive: true, force: true, maxRetries: 3 }));

/** Starts the server; the first one gets the sensor and the sensor its configuration. */
async function serve(listen?: string): Promise<ServerProcess> {
  const server = await launchServer({ home, ...(listen === undefined ? {} : { args: ['--listen', listen] }) });
  if (existsSync(join(conf, 'uuid'))) return server;
  const added = await runD4(['sensor', 'add', '--home', home, '--uuid', SENSOR, '--key', KEY, '--approve']);
  assert.equal(added.code, 0, added.stderr);
  const files = { uuid: SENSOR, key: KEY, type: '3', source: 'stdin', destination: server.info.listen };
  for (const [file, value] of Object.entries(files)) writeFileSync(join(conf, file), value);
  copyFileSync(join(home, 'rootCA.crt'), join(conf, 'rootCA.crt'));
  return server;
}

function portOf(address: string): number {
  return Number(address.split(':').at(-1));
}

interface RunningClient {
  readonly child: ChildProcessWithoutNullStreams;
  said(): string;
  /** Resolves when it has said something that matches. */
  says(pattern: RegExp): Promise<void>;
  readonly ended: Promise<number | null>;
}

function runClient(...flags: string[]): RunningClient {
  const child = startD4(['client', '-c', conf, '--ack', 'require', '-rt', '200ms', ...flags]);
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  child.stdin.on('error', () => {});
  const says = async (pattern: RegExp) => {
    while (!pattern.test(said)) await once(child.stderr, 'data');
  };
  return { child, said: () => said, says, ended: once(child, 'close').then(([code]) => code) };
}

/** Lines with their numbers, of different lengths. */
function lines(from: number, to: number): string {
  let text = '';
  for (let i = from; i < to; i++) text += `${i} ${'x'.repeat((i * 37) % 200)}\n`;
  return text;
}

test('client and server are killed again and again: a file is in the journal once, as one stream', async () => {
  let server = await serve();
  const { listen } = server.info;
  const path = join(conf, 'input.txt');
  const content = lines(0, 50_000);
  writeFileSync(path, content);
  writeFileSync(join(conf, 'source'), path);
  // Each client is stopped in the middle of the file, wherever that is.
  await using relay = await Relay.start(portOf(listen));
  writeFileSync(join(conf, 'destination'), `127.0.0.1:${relay.port}`);
  for (let kill = 0; kill < KILLS; kill++) {
    relay.stallAfter(1_000_000 + ((kill * 7919) % 50) * 10_000);
    const client = runClient();
    await relay.stalled();
    client.child.kill('SIGKILL');
    await client.ended;
    if (kill % 2 === 1) {
      await server.kill9();
      server = await serve(listen);
    }
  }
  relay.resume();
  const last = runClient();
  assert.equal(await last.ended, 0, last.said());
  assert.equal((await server.stop()).code, 0);
  const streams = await journalStreams(home, '3');
  assert.equal(streams.length, 1);
  assert.deepEqual(streams[0]?.gaps, []);
  assert.ok(streams[0]?.bytes.equals(Buffer.from(content)));
  assert.equal(existsSync(join(conf, 'spool')), false);
});

test('a client that is killed while the server is away: its spool is delivered by the next one, then what is new', async () => {
  let server = await serve();
  const { listen } = server.info;
  await server.kill9();
  const client = runClient('--spool', 'always');
  const text = lines(0, 20_000);
  client.child.stdin.write(text);
  for (let waiting = 0; waiting < text.length; ) {
    const { streams } = await inspectSpool(conf);
    waiting = streams.reduce((sum, { waitingBytes }) => sum + waitingBytes, 0);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  client.child.kill('SIGKILL');
  await client.ended;
  const shown = await runD4(['client', 'spool', '-c', conf, '--check']);
  assert.equal(shown.code, 0, shown.stdout);
  assert.match(shown.stdout, /STREAM .*\n[0-9a-f]{32} +3 +the standard input +2\.\d MiB +0-\d+ +- +no/);
  server = await serve(listen);
  const next = runClient();
  next.child.stdin.end('new\n');
  assert.equal(await next.ended, 0, next.said());
  assert.match(next.said(), new RegExp(`delivering ${text.length} bytes that an earlier client has left`));
  assert.equal((await server.stop()).code, 0);
  const streams = await journalStreams(home, '3');
  assert.deepEqual(
    streams.map(({ bytes }) => bytes.length),
    [text.length, 4],
  );
  assert.ok(streams[0]?.bytes.equals(Buffer.from(text)));
  assert.equal((await runD4(['client', 'spool', '-c', conf])).stdout, `nothing waits: there is no ${conf}/spool\n`);
});
