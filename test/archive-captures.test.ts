import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isAbsolute } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { startD4 } from '@d4ts/testkit';
import { ArchivingServer, contentOf } from './archiving-server.ts';

// A capture that tcpdump makes while it is sent, in frames of 100 bytes, by `d4 client`; read again by tcpdump.

const SNAPLEN = 100;
const HEADER_BYTES = 24;
const DATAGRAMS = 400;
/** So that a server is killed and started while they come. */
const DATAGRAM_PAUSE_MS = 10;

/** tcpdump at work on what goes to a port of the loopback interface, and what it has printed. */
class Capture {
  readonly ended: Promise<void>;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #chunks: Buffer[] = [];
  readonly #more = new Set<() => void>();

  private constructor(child: ChildProcessWithoutNullStreams, onBytes: (bytes: Buffer) => void) {
    this.#child = child;
    this.ended = once(child, 'close').then(() => {});
    child.stdout.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      onBytes(chunk);
      for (const look of this.#more) look();
    });
  }

  /** @returns undefined where this user may not capture */
  static async start(port: number, onBytes: (bytes: Buffer) => void): Promise<Capture | undefined> {
    const filter = ['udp', 'and', 'dst', 'port', `${port}`];
    const child = spawn('tcpdump', ['-i', 'lo', '-n', '-U', '-s', '0', '-B', '8192', '-w', '-', ...filter]);
    const capture = new Capture(child, onBytes);
    let said = '';
    const ready = new Promise<boolean>((resolve, reject) => {
      child.on('error', reject);
      child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
        said += chunk;
        if (said.includes('listening on lo')) resolve(true);
        else if (/permission|not permitted/i.test(said)) resolve(false);
      });
      child.on('close', () => reject(new Error(`tcpdump ended: ${said}`)));
    });
    return (await ready) ? capture : undefined;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  async untilPackets(count: number): Promise<void> {
    while (packetsOf(this.bytes).length < count) {
      const more = Promise.withResolvers<void>();
      this.#more.add(more.resolve);
      await more.promise;
      this.#more.delete(more.resolve);
    }
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGINT');
    await this.ended;
  }
}

/** The packets of a capture, each with its header; a capture that ends within one is an error. */
function packetsOf(capture: Buffer): Buffer[] {
  const packets: Buffer[] = [];
  for (let at = HEADER_BYTES; at < capture.length; ) {
    const end = at + 16 + capture.readUInt32LE(at + 8);
    packets.push(capture.subarray(at, end));
    at = end;
  }
  assert.ok(packets.every((packet, i) => packet.length > 16 || i === packets.length - 1));
  return packets;
}

/** How many packets tcpdump reads in a capture. */
function tcpdumpCount(capture: Buffer): number {
  const printed = execFileSync('tcpdump', ['-n', '-r', '-'], { input: capture, encoding: 'utf8', stdio: 'pipe' });
  return printed.split('\n').length - 1;
}

/** Numbered datagrams of different lengths, to a socket that takes them. */
class Traffic {
  readonly port: number;
  readonly #socket: Socket;
  #number = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.port = socket.address().port;
  }

  static async open(t: TestContext): Promise<Traffic> {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    t.after(() => socket.close());
    return new Traffic(socket);
  }

  /** @param pauseMs after each */
  async send(count: number, pauseMs = 0): Promise<void> {
    for (let i = 0; i < count; i++) {
      const number = this.#number++;
      const payload = Buffer.alloc(20 + ((number * 37) % 1_300), `${number} `);
      const sent = Promise.withResolvers<void>();
      this.#socket.send(payload, this.port, '127.0.0.1', () => sent.resolve());
      await sent.promise;
      if (pauseMs > 0) await setTimeout(pauseMs);
    }
  }
}

/** A server, a capture of traffic that is about to begin, and the client that sends it. */
async function newScene(t: TestContext, ...flags: readonly string[]) {
  const running = await ArchivingServer.launch();
  t.after(() => running.dispose());
  const queue = await running.addQueue('1');
  const sensor = await running.addSensor();
  const traffic = await Traffic.open(t);
  const directory = running.clientDirectory({ sensor, type: 1, snaplen: SNAPLEN });
  const client = startD4(['client', '-c', directory, '-rt', '100ms', ...flags]);
  const clientEnded = once(client, 'close');
  let said = '';
  client.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    said += chunk;
  });
  client.stdin.on('error', () => {});
  t.after(() => void client.kill('SIGKILL'));
  const capture = await Capture.start(traffic.port, (bytes) => void client.stdin.write(bytes));
  if (capture !== undefined) t.after(() => capture.stop());
  const endClient = async (): Promise<void> => {
    client.stdin.end();
    assert.deepEqual((await clientEnded)[0], 0, said);
  };
  return { running, queue, traffic, capture, endClient };
}

const NOT_ALLOWED = 'this user may not capture (it takes root or CAP_NET_RAW)';

test('a capture made meanwhile is in the archive packet by packet, and tcpdump reads it', async (t) => {
  const { running, queue, traffic, capture, endClient } = await newScene(t);
  if (capture === undefined) return t.skip(NOT_ALLOWED);
  await traffic.send(DATAGRAMS);
  await capture.untilPackets(DATAGRAMS);
  await capture.stop();
  await endClient();

  const [file] = await running.untilFiles((files) => files.length === 1);
  assert.ok(file !== undefined && isAbsolute(file.path));
  assert.ok(contentOf(file.path).equals(capture.bytes));
  assert.equal(tcpdumpCount(contentOf(file.path)), DATAGRAMS);
  const { stdout } = await running.bytes('archive', 'cat', '--type', '1');
  assert.ok(stdout.equals(capture.bytes));
  assert.deepEqual(await running.popAll(queue), [file.path]);
});

test('with the server killed twice meanwhile, an acknowledged capture is one file, and whole', async (t) => {
  const { running, queue, traffic, capture, endClient } = await newScene(t, '--ack', 'require');
  if (capture === undefined) return t.skip(NOT_ALLOWED);
  for (let round = 0; round < 2; round++) {
    const sending = traffic.send(DATAGRAMS / 2, DATAGRAM_PAUSE_MS);
    await untilKept(running, (await packetsKept(running)) + 20);
    await running.killAndStart();
    await sending;
  }
  await capture.untilPackets(DATAGRAMS);
  await capture.stop();
  await endClient();
  const [file] = await running.untilFiles((files) => files.length === 1);
  assert.ok(file !== undefined && contentOf(file.path).equals(capture.bytes));
  assert.deepEqual(await running.popAll(queue), [file.path]);
});

test('with the server killed twice meanwhile, every file is a capture, and no packet is doubled or damaged', async (t) => {
  const { running, queue, traffic, capture, endClient } = await newScene(t, '--ack', 'off');
  if (capture === undefined) return t.skip(NOT_ALLOWED);
  let kept = 0;
  for (let round = 0; round < 3; round++) {
    const sending = traffic.send(DATAGRAMS / 4, DATAGRAM_PAUSE_MS);
    kept = await untilKept(running, (await packetsKept(running)) + 20);
    if (round < 2) await running.killAndStart();
    await sending;
  }
  await traffic.send(DATAGRAMS / 4);
  await capture.untilPackets(DATAGRAMS);
  await capture.stop();
  await endClient();

  const sent = packetsOf(capture.bytes);
  assert.equal(sent.length, DATAGRAMS);
  const numbers = new Map(sent.map((packet, number) => [packet.toString('latin1'), number]));
  assert.equal(numbers.size, sent.length);
  const last = sent.length - 1;
  const files = await running.untilFiles((all) =>
    all.some(({ path }) =>
      packetsOf(contentOf(path)).some((packet) => numbers.get(packet.toString('latin1')) === last),
    ),
  );
  const seen = new Set<number>();
  for (const { path, kind } of files) {
    assert.equal(kind, 'stream');
    const content = contentOf(path);
    assert.ok(content.subarray(0, HEADER_BYTES).equals(capture.bytes.subarray(0, HEADER_BYTES)));
    const packets = packetsOf(content).map((packet) => numbers.get(packet.toString('latin1')));
    let before = -1;
    for (const number of packets) {
      assert.ok(number !== undefined, `${path} has a packet that was not sent`);
      assert.ok(number > before && !seen.has(number), `packet ${number} is doubled, or out of order`);
      seen.add(number);
      before = number;
    }
    assert.equal(tcpdumpCount(content), packets.length);
  }
  assert.ok(seen.size >= kept, `${seen.size} packets are there, ${kept} were in the journal`);
  assert.equal(files.length, 3);
  t.diagnostic(
    `${sent.length - seen.size} of ${sent.length} packets were lost with the server, in ${files.length} files`,
  );
  const { stdout } = await running.bytes('archive', 'cat', '--type', '1');
  assert.equal(tcpdumpCount(stdout), seen.size);
  assert.deepEqual((await running.popAll(queue)).sort(), files.map(({ path }) => path).sort());
});

/** How many packets the journal has for certain. */
async function packetsKept(running: ArchivingServer): Promise<number> {
  return (await running.status()).topics.find(({ topic }) => topic === '1')?.records ?? 0;
}

/** Waits until it has so many. @returns how many it has */
async function untilKept(running: ArchivingServer, packets: number): Promise<number> {
  for (;;) {
    const kept = await packetsKept(running);
    if (kept >= packets) return kept;
    await setTimeout(20);
  }
}
