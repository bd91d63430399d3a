import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { newSensorId } from '@d4ts/protocol';
import { PowerDisk, Random, runD4 } from '@d4ts/testkit';
import { journalStreams } from './journal-streams.ts';

const USAGE = `npm run chaos -- [--rounds N] [--seed N]

Sensors of several types deliver with acknowledgements, while the server, a sensor or both are killed or lose their power, also
as they start and as they stop. In the end the journal and the archive have every byte once and in order, and the ledger
balances. Needs root: it mounts file systems in a namespace of its own.
`;

const D4 = join(import.meta.dirname, '..', '..', 'packages', 'cli', 'bin', 'd4.js');
const KEY = 'a key of its own';
/** The disks' size; memory is used for what is written alone. */
const DISK_MIB = 3_000;
/** How long everything may take to arrive once nothing fails any more, in ms. */
const ARRIVAL_MS = 120_000;

type Fault = 'kill' | 'power';

/** A machine of the experiment: a program, and the disk that it writes to. */
abstract class Machine {
  readonly disk: PowerDisk;
  child: ChildProcess | undefined;
  said = '';

  constructor(disk: PowerDisk) {
    this.disk = disk;
  }

  abstract start(): void;

  protected launch(args: readonly string[]): ChildProcess {
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('D4_'));
    const child = spawn(process.execPath, [D4, ...args], { stdio: 'pipe', env: Object.fromEntries(inherited) });
    this.said = '';
    const hear = (chunk: Buffer): void => {
      this.said = (this.said + chunk.toString()).slice(-20_000);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.stdin.on('error', () => {});
    this.child = child;
    return child;
  }

  /** SIGTERM first where `stopping`, so that the fault comes within an orderly stop. */
  async fail(fault: Fault, stopping: number | undefined): Promise<void> {
    const { child } = this;
    if (child === undefined) return;
    const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
    if (stopping !== undefined) {
      child.kill('SIGTERM');
      await delay(stopping);
    }
    if (fault === 'power') await this.disk.cut();
    child.kill('SIGKILL');
    await ended;
    if (fault === 'power') this.disk.restore();
  }
}

class Server extends Machine {
  readonly home: string;
  readonly #ports: readonly string[];

  constructor(disk: PowerDisk, ports: readonly string[]) {
    super(disk);
    this.home = join(disk.path, 'home');
    this.#ports = ports;
  }

  start(): void {
    this.launch(['server', '--home', this.home, ...this.#ports]);
  }

  async ready(): Promise<void> {
    for (const until = performance.now() + ARRIVAL_MS; !/^d4 server .* is ready/m.test(this.said); await delay(20)) {
      assert.ok(this.child?.exitCode === null, `the server ended with ${this.child?.exitCode}:\n${this.said}`);
      assert.ok(performance.now() < until, `the server does not start:\n${this.said}`);
    }
  }
}

/** A sensor with a file that grows, which lies on a disk that does not fail. */
class FileSensor extends Machine {
  readonly uuid = newSensorId();
  readonly topic: string;
  readonly file: string;
  readonly #conf: string;
  readonly #more: (number: number) => Buffer;
  #made = 0;

  constructor(disk: PowerDisk, folder: string, topic: string, more: (number: number) => Buffer) {
    super(disk);
    this.topic = topic;
    this.file = join(folder, `${topic}.source`);
    this.#conf = join(disk.path, `conf-${topic}`);
    this.#more = more;
    writeFileSync(this.file, '');
  }

  configure(home: string, destination: string): void {
    const declared = !/^\d+$/.test(this.topic);
    writeConfiguration(this.#conf, home, {
      uuid: this.uuid,
      type: declared ? '254' : this.topic,
      source: this.file,
      destination,
      ...(declared && { 'metaheader.json': `{"type":"${this.topic}"}` }),
    });
  }

  grow(): void {
    let text = Buffer.alloc(0);
    for (let i = 0; i < 20; i++) text = Buffer.concat([text, this.#more(this.#made++)]);
    appendFileSync(this.file, text);
  }

  start(): void {
    this.#run('--keep-open');
  }

  /** Sends the rest and ends the stream. */
  async finish(): Promise<void> {
    await this.fail('kill', undefined);
    // The last run that waits for more sees the file as it is now; only then a run that does not may end the stream.
    const last = this.#run('--keep-open', '-v');
    while (!this.said.includes(`${this.file}: acknowledged to`) && last.exitCode === null) await delay(50);
    await this.fail('kill', 5_000);
    await endedWell(this.#run(), this);
  }

  #run(...flags: readonly string[]): ChildProcess {
    return this.launch(['client', '-c', this.#conf, '--ack', 'require', '-rt', '200ms', ...flags]);
  }
}

/** A sensor that is fed through a pipe, which cannot be read twice; each of its runs has a number. */
class PipeSensor extends Machine {
  readonly uuid = newSensorId();
  readonly topic = '3';
  readonly #conf: string;
  run = 0;

  constructor(disk: PowerDisk) {
    super(disk);
    this.#conf = join(disk.path, 'conf-pipe');
  }

  configure(home: string, destination: string): void {
    writeConfiguration(this.#conf, home, { uuid: this.uuid, type: '3', source: 'stdin', destination });
  }

  start(): void {
    const run = ++this.run;
    const child = this.launch(['client', '-c', this.#conf, '--ack', 'require', '-rt', '200ms', '--spool', 'always']);
    let line = 0;
    const feed = (): void => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      let text = '';
      for (let i = 0; i < 20; i++) text += pipeLine(run, line++);
      if (child.stdin?.write(text) === true) setTimeout(feed, 15);
      else child.stdin?.once('drain', () => setTimeout(feed, 15));
    };
    feed();
  }

  async finish(): Promise<void> {
    await this.fail('kill', undefined);
    const child = this.launch(['client', '-c', this.#conf, '--ack', 'require', '-rt', '200ms', '--spool', 'always']);
    child.stdin?.end();
    await endedWell(child, this);
  }
}

type Sensor = FileSensor | PipeSensor;

async function endedWell(child: ChildProcess, machine: Machine): Promise<void> {
  const limit = setTimeout(() => child.kill('SIGKILL'), ARRIVAL_MS);
  const [code] = await once(child, 'exit');
  clearTimeout(limit);
  assert.equal(code, 0, `a sensor did not deliver everything:\n${machine.said}`);
}

function writeConfiguration(folder: string, home: string, values: Readonly<Record<string, string>>): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, value] of Object.entries({ key: KEY, ...values })) writeFileSync(join(folder, name), value);
  copyFileSync(join(home, 'rootCA.crt'), join(folder, 'rootCA.crt'));
}

function pipeLine(run: number, line: number): string {
  return `pipe ${run} ${line} ${'p'.repeat((line * 31) % 300)}\n`;
}

function logLine(number: number): Buffer {
  return Buffer.from(`${number} ${'x'.repeat(number % 500 === 499 ? 600_000 : number % 700)}\n`);
}

function eventLine(number: number): Buffer {
  const fields = `"2026-11-22 10:00:00.${String(number).padStart(9, '0')}" sensor 10.0.0.1 4096 192.0.2.${number % 250} 80 TCP`;
  return Buffer.from(`${fields} IP 192.0.2.${number % 250} "known attacker" (static)\n`);
}

function packet(number: number): Buffer {
  const bytes = (number * 37) % 1_400;
  const record = Buffer.alloc(16 + bytes, number % 251);
  for (const [i, value] of [1_700_000_000 + number, 0, bytes, bytes].entries()) record.writeUInt32LE(value, i * 4);
  if (number > 0) return record;
  const header = Buffer.alloc(24);
  for (const [i, value] of [0xa1b2c3d4, 0x0004_0002, 0, 0, 262_144, 1].entries()) header.writeUInt32LE(value, i * 4);
  return Buffer.concat([header, record]);
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

async function runWell(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runD4(args);
  assert.equal(code, 0, `d4 ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** Sets everything up on disks that work, with the sensors registered. */
async function prepare(server: Server, sensors: readonly Sensor[]): Promise<void> {
  const { home } = server;
  server.start();
  await server.ready();
  const listen = (JSON.parse(readFileSync(join(home, 'server.json'), 'utf8')) as { listen: string }).listen;
  for (const { uuid } of sensors) {
    await runWell(['sensor', 'add', '--home', home, '--uuid', uuid, '--key', KEY, '--approve']);
  }
  await runWell(['type', 'add', 'maltrail', '--home', home]).catch(() => '');
  for (const sensor of sensors) sensor.configure(home, listen);
  await server.fail('kill', undefined);
  // What was set up is on the disks before the first fault.
  execFileSync('sync');
}

async function chaos(rounds: number, seed: number): Promise<void> {
  const random = new Random(seed);
  const folder = mkdtempSync(join(tmpdir(), 'd4-chaos-'));
  const disks = [
    PowerDisk.make(folder, DISK_MIB, random.below(2) === 0 ? 'ordered' : 'journalled'),
    PowerDisk.make(folder, DISK_MIB, 'journalled'),
  ];
  const [serverDisk, sensorDisk] = disks as [PowerDisk, PowerDisk];
  const [listen, web, redis] = await freePorts(3);
  const flags = [`--listen=127.0.0.1:${listen}`, `--web=127.0.0.1:${web}`, `--redis=127.0.0.1:${redis}`];
  const server = new Server(serverDisk, flags);
  const files = [
    new FileSensor(sensorDisk, folder, '3', logLine),
    new FileSensor(sensorDisk, folder, 'maltrail', eventLine),
    new FileSensor(sensorDisk, folder, '1', packet),
  ];
  const pipe = new PipeSensor(sensorDisk);
  const sensors = [...files, pipe];
  const growing = setInterval(() => {
    for (const file of files) file.grow();
  }, 25);
  try {
    await prepare(server, sensors);
    for (const machine of [server, ...sensors]) machine.start();
    const done = { kill: 0, power: 0 };
    for (let round = 0; round < rounds; round++) {
      // A quarter of the faults comes while the programs still start.
      if (random.below(4) > 0) await server.ready();
      await delay(random.below(900));
      const fault: Fault = random.below(2) === 0 ? 'kill' : 'power';
      const stopping = random.below(4) === 0 ? random.below(300) : undefined;
      const whom = random.below(3);
      done[fault]++;
      process.stderr.write(
        `round ${round}: ${fault}, ${['server', 'sensors', 'both'][whom]}${stopping === undefined ? '' : ', stopping'}\n`,
      );
      const failed: Machine[] = [];
      if (whom !== 1) failed.push(server);
      // The sensors' disk is one: its power goes for all of them.
      if (whom !== 0) failed.push(...(fault === 'power' ? sensors : [random.of(sensors)]));
      if (whom !== 0 && fault === 'power') await powerOfSensors(sensorDisk, sensors);
      if (whom !== 0 && fault === 'kill') await failed.at(-1)?.fail('kill', stopping);
      if (whom !== 1) await server.fail(fault, stopping);
      for (const machine of failed) machine.start();
    }
    clearInterval(growing);
    await server.ready();
    for (const sensor of sensors) await sensor.finish();
    await verify(server, files, pipe);
    process.stdout.write(`${done.kill} kills and ${done.power} power losses: every byte is there once, in order\n`);
  } finally {
    clearInterval(growing);
    for (const machine of [server, ...sensors]) machine.child?.kill('SIGKILL');
    await delay(500);
    for (const disk of disks) await disk.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function powerOfSensors(disk: PowerDisk, sensors: readonly Sensor[]): Promise<void> {
  await disk.cut();
  await Promise.all(
    sensors.map(async ({ child }) => {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }),
  );
  disk.restore();
}

/** The journal, the archive and the ledger against what was sent. */
async function verify(server: Server, files: readonly FileSensor[], pipe: PipeSensor): Promise<void> {
  const { home } = server;
  await archived(home);
  const ledger = await runD4(['ledger', '--check', '--home', home]);
  assert.equal(ledger.code, 0, `the ledger does not balance:\n${ledger.stdout}${ledger.stderr}`);
  const archive = new Map<string, Buffer[]>();
  for (const sensor of [...files, pipe]) archive.set(sensor.uuid, await archivedBytes(home, sensor.uuid));
  const { child } = server;
  assert.ok(child !== undefined);
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  assert.equal((await ended)[0], 0, server.said);

  for (const { topic, file, uuid } of files) {
    const expected = readFileSync(file);
    const found = (await journalStreams(home, topic)).filter(
      ({ bytes }) => !bytes.subarray(0, 5).equals(Buffer.from('pipe ')),
    );
    assert.deepEqual(
      found.map(({ bytes, gaps }) => ({ bytes: bytes.length, gaps })),
      [{ bytes: expected.length, gaps: 0 }],
      `streams of ${topic}`,
    );
    assert.ok(found[0]?.bytes.equals(expected), `the journal of ${topic} is not what was sent`);
    const kept = Buffer.concat(withoutPreambles(topic, archive.get(uuid) ?? []));
    assert.ok(kept.equals(expected), `the archive of ${topic}: ${kept.length} bytes of ${expected.length}`);
  }
  const runs = new Set<string>();
  let lines = 0;
  const kept = Buffer.concat(archive.get(pipe.uuid) ?? []).toString();
  for (const { bytes, gaps } of (await journalStreams(home, '3')).filter(
    ({ bytes }) => bytes.toString('latin1', 0, 5) === 'pipe ',
  )) {
    assert.equal(gaps, 0);
    const text = bytes.toString();
    const run = text.split(' ')[1] ?? '';
    assert.ok(!runs.has(run), `run ${run} of the pipe has two streams`);
    runs.add(run);
    assert.ok(kept.includes(text), `run ${run} of the pipe is not in the archive as it is in the journal`);
    const whole = text.split('\n');
    const rest = whole.pop() ?? '';
    for (const [number, line] of whole.entries()) assert.equal(`${line}\n`, pipeLine(Number(run), number));
    assert.ok(pipeLine(Number(run), whole.length).startsWith(rest), 'the last line of a run is cut, not another');
    lines += whole.length;
  }
  assert.ok(lines > 0, 'the pipe delivered nothing');
  process.stderr.write(`${runs.size} of ${pipe.run} runs of the pipe have delivered ${lines} lines\n`);
}

/** Waits until the archive is up to date. */
async function archived(home: string): Promise<void> {
  for (const until = performance.now() + ARRIVAL_MS; ; await delay(300)) {
    const { archive } = JSON.parse(await runWell(['status', '--json', '--home', home])) as {
      archive: { topics: { lagMs: number }[] };
    };
    if (archive.topics.every(({ lagMs }) => lagMs === 0)) break;
    assert.ok(performance.now() < until, `the archive stays behind: ${JSON.stringify(archive.topics)}`);
  }
  // Files of ended streams are finished within 5 s (docs/journal.md, rule 28).
  await delay(6_000);
}

/** A sensor's finished files, the oldest first. */
async function archivedBytes(home: string, uuid: string): Promise<Buffer[]> {
  const listed = await runWell(['archive', 'list', '--json', '-n', '1000', '--sensor', uuid, '--home', home]);
  const files = JSON.parse(listed) as { path: string }[];
  return files.toReversed().map(({ path }) => {
    const bytes = readFileSync(path);
    return path.endsWith('.gz') ? gunzipSync(bytes) : bytes;
  });
}

/** Every file of a capture begins with its header. */
function withoutPreambles(topic: string, contents: readonly Buffer[]): Buffer[] {
  return contents.map((content, i) => (topic === '1' && i > 0 ? content.subarray(24) : content));
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '400' },
    seed: { type: 'string', default: '1' },
    help: { type: 'boolean' },
  },
});
if (values.help === true) process.stdout.write(USAGE);
else await chaos(Number(values.rounds), Number(values.seed));
