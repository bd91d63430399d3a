import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { newSensorId } from '@d4ts/protocol';
import { launchServer, makeTestCertificates, runD4, type ServerProcess } from '@d4ts/testkit';
import { KEY, register } from './ingest.ts';
import { end, firstLine, start } from './processes.ts';
import { type Figure, median } from './report.ts';

const LINE_BYTES = 150;
/** What each run sends: enough for some seconds, so that it is not the start of a process that is measured. */
const LINES = { udp: 400_000, tcp: 1_500_000, tls: 1_500_000 } as const;
/** How often each takes its turn. */
const ROUNDS = 3;
const KINDS = ['udp', 'tcp', 'tls'] as const;
type Kind = (typeof KINDS)[number];
const D4 = join(import.meta.dirname, '..', 'packages', 'cli', 'bin', 'd4.js');

/** What came in one run: from the first line to the last, in ms, and how many there were. */
interface Run {
  readonly ms: number;
  readonly lines: number;
}

/** How many lines a second came, and how many did not come. */
interface Received {
  readonly rate: number;
  readonly lost: number;
}

/** A receiver in a process of its own. */
class Receiver {
  readonly port: string;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #runs: AsyncIterator<string>;

  private constructor(child: ChildProcessWithoutNullStreams, port: string, runs: AsyncIterator<string>) {
    this.#child = child;
    this.port = port;
    this.#runs = runs;
  }

  static async start(kind: Kind, identity: object): Promise<Receiver> {
    const child = start('export-receiver.ts', [kind, JSON.stringify(identity)]);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const { value = '' } = await lines.next();
    return new Receiver(child, value, lines);
  }

  /** What comes of the next run, in which so many are sent. */
  async next(sent: number): Promise<Received> {
    const { value } = await this.#runs.next();
    const { ms, lines }: Run = JSON.parse(value);
    return { rate: (lines * 1000) / ms, lost: sent - lines };
  }

  stop(): Promise<void> {
    return end(this.#child);
  }
}

async function d4(server: ServerProcess, ...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await runD4([...words, '--home', server.home]);
  if (code !== 0) throw new Error(`d4 ${words.join(' ')}: ${stderr}`);
  return stdout.trim();
}

/** Lets a sensor send all the lines. */
async function fill(server: ServerProcess, lines: number): Promise<void> {
  const sensor = newSensorId();
  await register(server, [sensor]);
  const port = Number(server.info.listen.split(':').at(-1));
  const load = { port, connections: 1, sensors: [sensor], key: KEY, type: 3, payloadBytes: 4050, seconds: 60 };
  const child = start('load.ts', [JSON.stringify({ ...load, bytesPerConnection: lines * LINE_BYTES })]);
  await firstLine(child);
  await end(child);
}

/** A full queue and an exporter with as much to do, both of all sensors. */
class Ours {
  readonly #server: ServerProcess;
  readonly #kind: Kind;
  readonly #receiver: Receiver;
  readonly #queue: string;

  private constructor(server: ServerProcess, kind: Kind, receiver: Receiver, queue: string) {
    this.#server = server;
    this.#kind = kind;
    this.#receiver = receiver;
    this.#queue = queue;
  }

  static async open(server: ServerProcess, kind: Kind, receiver: Receiver): Promise<Ours> {
    const queue = await d4(server, 'queue', 'add', '3');
    const settings = { udp: ['rate=0'], tcp: [], tls: ['verify=false'] }[kind];
    const to = ['host=127.0.0.1', `port=${receiver.port}`, ...settings];
    await d4(server, 'exporter', 'add', kind, '3', kind, ...to, '--paused');
    return new Ours(server, kind, receiver, queue);
  }

  /** @returns how many records there are now for each of both */
  async fill(): Promise<number> {
    await fill(this.#server, LINES[this.#kind]);
    return Number(JSON.parse(await d4(this.#server, 'queue', 'show', this.#queue, '--json')).length);
  }

  async fromQueue(records: number): Promise<Received> {
    const kind = this.#kind;
    const flags = { udp: ['--rate', 'none'], tcp: [], tls: ['-v', 'false'] }[kind];
    const port = this.#server.info.redis.split(':').at(-1) ?? '';
    const from = ['-t', '3', '-u', this.#queue, '-rp', port];
    const child = spawn(process.execPath, [D4, 'export', kind, ...from, '-p', this.#receiver.port, ...flags]);
    child.stderr.pipe(process.stderr);
    const received = await this.#receiver.next(records);
    await end(child);
    return received;
  }

  async inServer(records: number): Promise<Received> {
    await d4(this.#server, 'exporter', 'resume', this.#kind);
    const received = await this.#receiver.next(records);
    await d4(this.#server, 'exporter', 'pause', this.#kind);
    return received;
  }

  /** Nothing is kept for them while others are measured. */
  async close(): Promise<void> {
    await d4(this.#server, 'exporter', 'remove', this.#kind);
    await d4(this.#server, 'queue', 'remove', this.#queue);
  }
}

/** Exporters against bare loops to the same receiver, in turns: what counts is the run in the middle. */
export async function exportFigures(): Promise<Figure[]> {
  const { cert, key } = await makeTestCertificates();
  const figures: Figure[] = [];
  const server = await launchServer({ environment: { D4_ARCHIVE_PAUSED: 'true' } });
  try {
    for (const kind of KINDS) {
      const receiver = await Receiver.start(kind, { cert, key });
      try {
        figures.push(...(await figuresOf(kind, server, receiver)));
      } finally {
        await receiver.stop();
      }
    }
    return figures;
  } finally {
    await server.dispose();
  }
}

async function figuresOf(kind: Kind, server: ServerProcess, receiver: Receiver): Promise<Figure[]> {
  const bare: Received[] = [];
  const fromQueue: Received[] = [];
  const inServer: Received[] = [];
  const runBare = async (): Promise<void> => {
    start('export-bare.ts', [kind, receiver.port, String(LINES[kind]), String(LINE_BYTES)]);
    bare.push(await receiver.next(LINES[kind]));
  };
  const ours = await Ours.open(server, kind, receiver);
  for (let round = 0; round < ROUNDS; round += 1) {
    const records = await ours.fill();
    await runBare();
    fromQueue.push(await ours.fromQueue(records));
    await runBare();
    inServer.push(await ours.inServer(records));
  }
  await ours.close();
  const references = { [`a bare ${kind} loop`]: middle(bare) };
  const name = `exported over ${kind}, ${LINE_BYTES} B lines`;
  const lost = { 'a bare loop': bare, 'd4 export': fromQueue, 'in the server': inServer };
  const losses = Object.entries(lost).map(([who, runs]) => {
    const lines = runs.reduce((sum, run) => sum + run.lost, 0);
    // What UDP loses, the receiver's machine has dropped; over a stream there is nothing to lose.
    if (kind !== 'udp' && lines !== 0) throw new Error(`${kind}, ${who}: ${lines} lines did not come`);
    return { name: `lost over udp, ${who}, of ${runs.length} runs`, value: lines, unit: 'lines' };
  });
  return [
    { name: `${name}, d4 export`, value: middle(fromQueue), unit: 'lines/s', references },
    { name: `${name}, in the server`, value: middle(inServer), unit: 'lines/s', references },
    ...(kind === 'udp' ? losses : []),
  ];
}

function middle(runs: readonly Received[]): number {
  return median(runs.map(({ rate }) => rate));
}
