import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { FrameEncoder, newSensorId, type SensorId } from '@d4ts/protocol';
import { AckClient, makeTestCertificates } from '@d4ts/testkit';
import { type Logger, pino } from 'pino';
import { formatFor } from '../formats/registry.ts';
import { openFileJournal } from '../journal/files.ts';
import { ENTRY_KIND, type Entry, type Journal, type TopicLog } from '../journal/port.ts';
import type { Registry, Sensor } from '../registry/port.ts';
import { openSqliteRegistry } from '../registry/sqlite.ts';
import type { HubOptions } from './hub.ts';
import { DEFAULT_LIMITS, type IngestLimits } from './limits.ts';
import { startIngest } from './listener.ts';
import type { Ingest } from './port.ts';

/** For tests: a listener over a real registry and journal in a folder of its own. */
export interface IngestFixture extends AsyncDisposable {
  readonly ingest: Ingest;
  readonly registry: Registry;
  readonly journal: Journal;
  /** Messages of the log, with their fields. */
  readonly logged: Record<string, unknown>[];
  /** The key that `addSensor` registers. */
  readonly key: Buffer;
  addSensor(fields?: Partial<Sensor>): Promise<SensorId>;
  connect(options?: ConnectionOptions): Promise<TLSSocket>;
  /** A client of acknowledged streams, to which the server has spoken. */
  ackClient(key?: string): Promise<AckClient>;
  encoder(sensor: SensorId, key?: string): FrameEncoder;
  /** All entries of a topic but its definitions. */
  entries(topic: string): Promise<Entry[]>;
  /** The bytes of all data entries of a topic. */
  text(topic: string): Promise<string>;
}

const TEST_ACTOR = { name: 'test' };
const KEY = 'a key for tests';
const ACCEPTED = ['1', '2', '3', '4', '5', '6', '7', '8', '254', 'maltrail', 'ja3-jl', 'filewatcher', 'suricata-eve'];

export async function startIngestFixture(
  options: Partial<Pick<HubOptions, 'mode' | 'defaultKey' | 'formats'>> & {
    limits?: Partial<IngestLimits>;
    /** Awaited before each append: a slow disk, or one that fails. */
    disk?: () => Promise<void>;
    /** Of registry and journal, and left as it is at the end; a new one if not given. */
    folder?: string;
    segmentBytes?: number;
  } = {},
): Promise<IngestFixture> {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'd4-ingest-')));
  const logged: Record<string, unknown>[] = [];
  const log: Logger = pino(
    { level: 'debug' },
    { write: (line: string) => void logged.push(JSON.parse(line) as Record<string, unknown>) },
  );
  const registry = await openSqliteRegistry({ file: join(folder, 'd4.sqlite'), keyFile: join(folder, 'key'), log });
  const { segmentBytes = 64 * 1024 * 1024 } = options;
  const files = await openFileJournal({ root: join(folder, 'journal'), policy: 'os', log, segmentBytes });
  const journal = options.disk === undefined ? files : onDisk(files, options.disk);
  for (const name of ACCEPTED) await registry.types.put(name, { name, createdAt: 0 }, TEST_ACTOR);
  const { ca, key, cert } = await makeTestCertificates();
  const ingest = await startIngest({
    listen: { host: '127.0.0.1', port: 0 },
    identity: { key, cert, ca },
    mode: options.mode ?? 'registration',
    defaultKey: options.defaultKey,
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    registry,
    journal,
    formats: options.formats ?? formatFor,
    log,
  });
  const { port } = ingest.address;

  const entries = async (topic: string): Promise<Entry[]> => {
    const read: Entry[] = [];
    const topicLog = await files.open(topic);
    for (let at = topicLog.firstSequence; at < topicLog.endSequence; ) {
      const some = await topicLog.read(at, 1024 * 1024);
      read.push(...some.filter(({ kind }) => kind !== ENTRY_KIND.define));
      at = (some.at(-1)?.sequence ?? topicLog.endSequence) + 1;
    }
    return read;
  };

  return {
    ingest,
    registry,
    journal,
    logged,
    key: Buffer.from(KEY),
    async addSensor(fields = {}) {
      const uuid = fields.uuid ?? newSensorId();
      const sensor: Sensor = {
        uuid,
        key: KEY,
        state: 'approved',
        description: '',
        mail: '',
        thirdParty: false,
        unproven: false,
        createdAt: 0,
        ...fields,
      };
      await registry.sensors.put(uuid, sensor, TEST_ACTOR);
      return uuid;
    },
    async connect(given = {}) {
      const socket = connect({ host: '127.0.0.1', port, ca, ...given });
      await once(socket, 'secureConnect');
      return socket;
    },
    ackClient: (clientKey = KEY) => AckClient.connect({ host: '127.0.0.1', port, ca }, Buffer.from(clientKey)),
    encoder: (sensor, sensorKey = KEY) => new FrameEncoder({ sensor, key: Buffer.from(sensorKey), version: 1 }),
    entries,
    async text(topic) {
      return Buffer.concat((await entries(topic)).map((entry) => entry.bytes)).toString('latin1');
    },
    async [Symbol.asyncDispose]() {
      await ingest.close();
      await files.close();
      await registry.close();
      if (options.folder === undefined) await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The journal, with `disk` awaited before each append. */
function onDisk(journal: Journal, disk: () => Promise<void>): Journal {
  const slow = (log: TopicLog): TopicLog =>
    new Proxy(log, {
      get(target, name) {
        if (name === 'append') {
          return async (...args: Parameters<TopicLog['append']>) => {
            await disk();
            return target.append(...args);
          };
        }
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  return {
    open: async (topic) => slow(await journal.open(topic)),
    get(topic) {
      const log = journal.get(topic);
      return log === undefined ? undefined : slow(log);
    },
    topics: () => journal.topics(),
    onOpen: (listener) => journal.onOpen(listener),
    close: () => journal.close(),
  };
}

/** Waits for something that another part of the program does in its own time. */
export async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await what())) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await delay(5);
  }
}

/** Resolved when the peer has closed its side, or the connection is gone; whatever it says meanwhile is an error. */
export async function peerClosed(socket: TLSSocket): Promise<'end' | 'reset'> {
  if (socket.readableEnded || socket.destroyed) return 'end';
  const { promise, resolve, reject } = Promise.withResolvers<'end' | 'reset'>();
  socket.on('data', () => reject(new Error('the server wrote to a v1 client')));
  socket.on('end', () => resolve('end'));
  socket.on('error', () => resolve('reset'));
  socket.on('close', () => resolve('end'));
  return promise;
}
