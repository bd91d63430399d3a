import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterwards, freePorts, makeTestCertificates, temporaryFolder } from '@d4ts/testkit';
import { ExportUnderTest } from './export-fixture.ts';

/** Where nobody else takes the port of a receiver that a test has stopped. */
const HOST = '127.0.0.34';

/** Runs a program until the test is over; resolved when it has said `ready` on its standard error or output. */
async function run(t: TestContext, program: string, args: readonly string[], ready: RegExp): Promise<ChildProcess> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const ended = once(child, 'exit');
  afterwards(t, async () => {
    child.kill('SIGKILL');
    await ended;
  });
  let said = '';
  await new Promise<void>((resolve, reject) => {
    const hear = (chunk: Buffer): void => {
      said += chunk;
      if (ready.test(said)) resolve();
    };
    child.stderr.on('data', hear);
    child.stdout.on('data', hear);
    child.once('exit', () => reject(new Error(`${program} has ended: ${said}`)));
  });
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

/** Waits until a file contains a line. */
async function untilIn(file: string, line: string): Promise<string[]> {
  for (;;) {
    const lines = readFileSync(file, 'utf8').split('\n');
    if (lines.includes(line)) return lines;
    await sleep(10);
  }
}

/** A TCP receiver within the test. */
class Receiver {
  text = '';
  readonly sockets: Socket[] = [];
  readonly #server: Server;
  #wake: () => void = () => {};

  private constructor(server: Server) {
    this.#server = server;
  }

  static async open(port = 0, paused = false): Promise<Receiver> {
    const server = createServer({ pauseOnConnect: paused });
    const receiver = new Receiver(server);
    server.on('connection', (socket) => receiver.#accept(socket));
    server.listen(port, HOST);
    await once(server, 'listening');
    return receiver;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async close(how: 'end' | 'reset' = 'end'): Promise<void> {
    for (const socket of this.sockets) {
      if (how === 'reset') socket.resetAndDestroy();
      else socket.destroy();
    }
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(socket: Socket): void {
    this.sockets.push(socket);
    socket.on('error', () => {});
    socket.setEncoding('latin1').on('data', (chunk) => {
      this.text += chunk;
      this.#wake();
    });
    this.#wake();
  }
}

const lines = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, i) => `line ${from + i} ${'x'.repeat(80)}`);

/** All lines are there, the first time in their order; some perhaps more than once. */
function assertAllInOrder(found: readonly string[], expected: readonly string[]): void {
  const first = [...new Set(found.filter((line) => expected.includes(line)))];
  assert.equal(first.length, expected.length, 'some are missing');
  assert.deepEqual(first, expected);
}

test('tcp: lines, to the last byte; what is delivered when it is stopped is not given back', async (t) => {
  const under = await ExportUnderTest.for(t, '3');
  const receiver = await Receiver.open();
  afterwards(t, () => receiver.close());
  const sent = lines(2_000);
  under.queue.add(...sent);
  under.start({ kind: 'tcp', host: HOST, port: receiver.port });
  await receiver.until(() => receiver.text.endsWith(`${sent.at(-1)}\n`));
  assert.equal(await under.stop(), 0);
  assert.equal(receiver.text, sent.map((line) => `${line}\n`).join(''));
  assert.deepEqual(await under.left(), []);
  assert.match(under.said.text, /exporting queue .* of type 3 to tcp 127.0.0.34:\d+\n/);
  assert.match(under.said.text, /2000 delivered, 0 errors, 0 skipped\n$/);
});

test('tcp: a receiver that is killed in mid-stream and started again gets every line, in order', async (t) => {
  const under = await ExportUnderTest.for(t, '3');
  const file = join(temporaryFolder(t), 'received');
  writeFileSync(file, '');
  const [port = 0] = await freePorts(1, HOST);
  const socat = () =>
    run(
      t,
      'socat',
      ['-d', '-d', '-u', `TCP-LISTEN:${port},bind=${HOST},reuseaddr`, `OPEN:${file},creat,append`],
      /listening on/,
    );
  const sent: string[] = [];
  const add = (): void => {
    const more = lines(1_000, sent.length);
    sent.push(...more);
    under.queue.add(...more);
  };
  under.start({ kind: 'tcp', host: HOST, port });
  for (let round = 0; round < 3; round++) {
    const receiver = await socat();
    const middle = sent.length + 500;
    add();
    await untilIn(file, sent[middle] ?? '');
    add();
    await kill(receiver);
  }
  await socat();
  add();
  const received = await untilIn(file, sent.at(-1) ?? '');
  assertAllInOrder(received, sent);
  assert.equal(await under.stop(), 0);
  assert.deepEqual(await under.left(), []);
});

test('tcp: a receiver that does not read holds everything up, and what it throws away comes again', async (t) => {
  const under = await ExportUnderTest.for(t, '3');
  const slow = await Receiver.open(0, true);
  const { port } = slow;
  const sent = lines(50_000);
  under.queue.add(...sent);
  under.start({ kind: 'tcp', host: HOST, port });
  await slow.until(() => slow.sockets.length === 1);
  const [socket] = slow.sockets;
  // It reads a little, then no more, and is gone with megabytes unread.
  socket?.resume();
  await slow.until(() => slow.text.length > 100_000);
  socket?.pause();
  await under.until(0);
  const got = slow.text.split('\n').slice(0, -1);
  await slow.close('reset');
  await under.said.until(/broke: .*ECONNRESET/);
  const again = await Receiver.open(port);
  afterwards(t, () => again.close());
  await again.until(() => again.text.includes(`${sent.at(-1)}\n`));
  const all = new Set([...got, ...again.text.split('\n')]);
  assert.deepEqual(
    sent.filter((line) => !all.has(line)),
    [],
  );
  assert.equal(await under.stop(), 0);
  assert.match(under.said.text, /sent again/);
});

test('tcp: while there is no receiver, all waits; what could not be sent is given back', async (t) => {
  const under = await ExportUnderTest.for(t, '3');
  const [port = 0] = await freePorts(1, HOST);
  const sent = lines(700);
  under.queue.add(...sent);
  under.start({ kind: 'tcp', host: HOST, port });
  await under.said.until(/cannot reach tcp 127.0.0.34:\d+: connect ECONNREFUSED .*: records are held/);
  assert.equal(await under.stop(), 0);
  assert.deepEqual(await under.left(), sent);
  under.start({ kind: 'tcp', host: HOST, port });
  await under.said.until('cannot reach');
  const receiver = await Receiver.open(port);
  afterwards(t, () => receiver.close());
  await receiver.until(() => receiver.text.endsWith(`${sent.at(-1)}\n`));
  await under.said.until('connected to tcp');
  assert.equal(await under.stop(), 0);
  assert.equal(receiver.text, sent.map((line) => `${line}\n`).join(''));
  assert.deepEqual(await under.left(), []);
});

test('tls: openssl s_server gets the lines; a certificate of another authority is refused unless that is asked for', async (t) => {
  const under = await ExportUnderTest.for(t, '3');
  const folder = temporaryFolder(t);
  const [made, other] = await Promise.all([makeTestCertificates([HOST]), makeTestCertificates()]);
  for (const [name, text] of Object.entries({ cert: made.cert, key: made.key, ca: made.ca, other: other.ca })) {
    writeFileSync(join(folder, name), text);
  }
  const [port = 0] = await freePorts(1, HOST);
  const identity = ['-cert', join(folder, 'cert'), '-key', join(folder, 'key')];
  const server = await run(t, 'openssl', ['s_server', '-accept', `${HOST}:${port}`, ...identity], /ACCEPT/);
  let received = '';
  const arrived = Promise.withResolvers<void>();
  server.stdout?.on('data', (chunk) => {
    received += chunk;
    if (received.includes('third\n')) arrived.resolve();
  });
  const target = { kind: 'tls', host: HOST, port } as const;
  under.queue.add('first', 'second');
  for (const ca of [undefined, join(folder, 'other')]) {
    under.start({ ...target, ...(ca !== undefined && { ca }) });
    await under.said.until(/its certificate is not accepted .*: records are held/);
    assert.equal(await under.stop(), 0);
    assert.deepEqual(await under.left(), ['first', 'second']);
    under.said.text = '';
  }
  under.start({ ...target, ca: join(folder, 'missing') });
  await under.said.until(/the authorities in .*missing cannot be read/);
  assert.equal(await under.stop(), 0);

  under.start({ ...target, ca: join(folder, 'ca') });
  await under.until(0);
  assert.equal(await under.stop(), 0);
  under.queue.add('third');
  under.start({ ...target, verify: false });
  await arrived.promise;
  assert.equal(await under.stop(), 0);
  assert.match(received, /first\nsecond\n[\s\S]*third\n/);
  assert.deepEqual(await under.left(), []);
});

test('unix: lines to a stream socket', async (t) => {
  const under = await ExportUnderTest.for(t, '3');
  const path = join(temporaryFolder(t), 'socket');
  const server = createServer();
  let received = '';
  const all = Promise.withResolvers<void>();
  server.on('connection', (socket) =>
    socket.on('data', (chunk) => {
      received += chunk;
      if (received.endsWith('c\n')) all.resolve();
    }),
  );
  server.listen(path);
  await once(server, 'listening');
  afterwards(t, () => server.close());
  under.queue.add('a', 'b', 'c');
  under.start({ kind: 'unix', path, stream: true });
  await all.promise;
  assert.equal(await under.stop(), 0);
  assert.equal(received, 'a\nb\nc\n');
  assert.deepEqual(await under.left(), []);
});
