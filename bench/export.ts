import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { newSensorId } from '@d4ts/protocol';
import { launchServer, makeTestCertificates, runD4, type ServerProcess } from '@d4ts/testkit';
import { KEY, register } from './ingest.ts';
import { end, firstLine, start } from './processes.ts';
import type { Figure } from './report.ts';

const LINE_BYTES = 150;
/** What each run sends: enough for some seconds, so that it is not the start of a process that is measured. */
const LINES = { udp: 400_000, tcp: 1_500_000, tls: 1_500_000 } as const;
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

/** `d4 export` of a full queue, and an exporter in the server with as much to do. */
async function ours(
  server: ServerProcess,
  kind: Kind,
  receiver: Receiver,
): Promise<{ queue: Received; inServer: Received }> {
  const queue = await d4(server, 'queue', 'add', '3');
  const settings = kind === 'udp' ? ['rate=0'] : kind === 'tls' ? ['verify=false'] : [];
  await d4(
    server,
    'exporter',
    'add',
    kind,
    '3',
    kind,
    'host=127.0.0.1',
    `port=${receiver.port}`,
    ...settings,
    '--paused',
  );
  await fill(server, LINES[kind]);
  const sent = Number(JSON.parse(await d4(server, 'queue', 'show', queue, '--json')).length);
  const flags = { udp: ['--rate', 'none'], tcp: [], tls: ['-v', 'false'] }[kind];
  const port = server.info.redis.split(':').at(-1) ?? '';
  const child = spawn(process.execPath, [
    D4,
    'export',
    kind,
    '-t',
    '3',
    '-u',
    queue,
    '-rp',
    port,
    '-p',
    receiver.port,
    ...flags,
  ]);
  child.stderr.pipe(process.stderr);
  const fromQueue = await receiver.next(sent);
  await end(child);
  await d4(server, 'exporter', 'resume', kind);
  const inServer = await receiver.next(sent);
  await d4(server, 'exporter', 'remove', kind);
  return { queue: fromQueue, inServer };
}

/** Exporters against bare loops to the same receiver. */
export async function exportFigures(): Promise<Figure[]> {
  const { cert, key } = await makeTestCertificates();
  const figures: Figure[] = [];
  const server = await launchServer({ environment: { D4_ARCHIVE_PAUSED: 'true' } });
  try {
    for (const kind of KINDS) {
      const receiver = await Receiver.start(kind, { cert, key });
      try {
        const bare = async (): Promise<Received> => {
          start('export-bare.ts', [kind, receiver.port, String(LINES[kind]), String(LINE_BYTES)]);
          return await receiver.next(LINES[kind]);
        };
        const before = await bare();
        const { queue, inServer } = await ours(server, kind, receiver);
        const after = await bare();
        const bareRate = (before.rate + after.rate) / 2;
        const references = { [`a bare ${kind} loop, before and after`]: bareRate };
        const name = `exported over ${kind}, ${LINE_BYTES} B lines`;
        figures.push({ name: `${name}, d4 export`, value: queue.rate, unit: 'lines/s', references });
        figures.push({ name: `${name}, in the server`, value: inServer.rate, unit: 'lines/s', references });
        const lost = { 'a bare loop': before.lost, 'd4 export': queue.lost, 'in the server': inServer.lost };
        for (const [who, lines] of Object.entries(lost)) {
          // What UDP loses, the receiver's machine has dropped; over a stream there is nothing to lose.
          if (kind === 'udp') figures.push({ name: `lost over udp, ${who}`, value: lines, unit: 'lines' });
          else if (lines !== 0) throw new Error(`${kind}, ${who}: ${lines} lines did not come`);
        }
      } finally {
        await receiver.stop();
      }
    }
    return figures;
  } finally {
    await server.dispose();
  }
}
