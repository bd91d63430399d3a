import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { SensorId } from '@d4ts/protocol';
import { pino } from 'pino';
import { type Announcement, Announcer, filesTopic } from '../archive/announcement.ts';
import type { ArchiveStatus } from '../archive/archive.ts';
import { progressRole } from '../archive/progress.ts';
import { RecordGate } from '../archive/record-gate.ts';
import { formatFor } from '../formats/registry.ts';
import { openFileJournal } from '../journal/files.ts';
import { ENTRY_KIND, type EntryDraft, type Journal, type StreamDefinition } from '../journal/port.ts';
import type { Queues } from '../queues/port.ts';
import { openQueues, recordedSequences } from '../queues/queues.ts';
import type { Actor, Registry } from '../registry/port.ts';
import { openSqliteRegistry } from '../registry/sqlite.ts';
import { finishEarlierRemovals } from './archive-removal.ts';
import { DiskWatch } from './disk-watch.ts';
import type { RetentionSettings } from './policy.ts';
import type { RemovedEvent, Retention } from './port.ts';
import { startRetention } from './retention.ts';

export const ACTOR: Actor = { name: 'test' };

/** Nothing goes by these. */
const KEEP_ALL: RetentionSettings = {
  rewindAge: 'none',
  rewindSize: 'none',
  queueAge: 'none',
  queueSize: 'none',
  journalTypeSize: 'none',
  journalSize: 'none',
  archiveAge: 'none',
  archiveSensorSize: 'none',
  archiveTypeSize: 'none',
  archiveSize: 'none',
  reserve: '0B',
  reserveInodes: '0',
};

const SEGMENT_BYTES = 20_000;

/** For tests: a journal, a registry, queues and an archive's folder, all real, with a retention that runs when asked to. */
export class RetentionHome implements AsyncDisposable {
  readonly folder: string;
  readonly root: string;
  readonly events: RemovedEvent[] = [];
  /** What the archive and the sensors' connections were told. */
  readonly held = { archive: undefined as string | undefined, sensors: undefined as string | undefined };
  readonly expelled: SensorId[] = [];
  /** Sensors whose findings were taken out. */
  readonly forgotten: SensorId[] = [];
  /** Added to the wall clock of retention, in ms. */
  clockAhead = 0;
  journal!: Journal;
  registry!: Registry;
  queues!: Queues & { close(): Promise<void> };
  retention!: Retention;
  readonly #streams = new Map<string, { stream: StreamDefinition; length: number }>();

  private constructor(folder: string) {
    this.folder = folder;
    this.root = join(folder, 'archive');
  }

  static async make(settings: Partial<RetentionSettings> = {}): Promise<RetentionHome> {
    const home = new RetentionHome(await mkdtemp(join(tmpdir(), 'd4-retention-')));
    await mkdir(home.root);
    await home.open(settings);
    for (const name of ['1', '3', 'maltrail', 'ja3-jl'])
      await home.registry.types.put(name, { name, createdAt: 0 }, ACTOR);
    return home;
  }

  async open(settings: Partial<RetentionSettings> = {}): Promise<void> {
    const log = pino({ level: 'silent' });
    const { folder, root, events, held, expelled, forgotten } = this;
    this.registry = await openSqliteRegistry({ file: join(folder, 'r.sqlite'), keyFile: join(folder, 'r.key'), log });
    this.journal = await openFileJournal({
      root: join(folder, 'journal'),
      policy: 'os',
      log,
      segmentBytes: SEGMENT_BYTES,
      minimumSequence: recordedSequences(this.registry, formatFor),
    });
    this.queues = await openQueues({ registry: this.registry, journal: this.journal, formats: formatFor, log });
    await finishEarlierRemovals(this.registry.archive, log);
    const status: ArchiveStatus = { root, paused: false, topics: [] };
    const chosen = { ...KEEP_ALL, ...settings };
    this.retention = await startRetention({
      settings: chosen,
      registry: this.registry,
      journal: this.journal,
      queues: this.queues,
      archive: {
        root,
        recordGate: new RecordGate(),
        status: () => status,
        finishFiles: () => {},
        boundUnfinished: () => {},
        waitingBytes: () => 0,
        hold: (reason) => {
          held.archive = reason;
        },
      },
      sensors: {
        hold: (reason) => {
          held.sensors = reason;
        },
        expel: async (sensor) => {
          expelled.push(sensor);
          for (const [key, { stream }] of this.#streams) if (stream.sensor === sensor) this.#streams.delete(key);
        },
      },
      disks: await DiskWatch.open({ journal: folder, archive: root }, chosen),
      forget: async (sensor) => void forgotten.push(sensor),
      losses: { onRemoved: (event) => events.push(event) },
      log,
      now: () => Date.now() + this.clockAhead,
    });
  }

  /** Opens all again, as a new start of the server does. */
  async restart(settings: Partial<RetentionSettings> = {}): Promise<void> {
    await this.close();
    this.#streams.clear();
    await this.open(settings);
  }

  async close(): Promise<void> {
    await this.retention.close();
    await this.queues.close();
    await this.journal.close();
    await this.registry.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    await rm(this.folder, { recursive: true });
  }

  /** Lines of a sensor, in one entry. */
  async send(sensor: SensorId, items: readonly string[], topic = '3'): Promise<void> {
    const piece = Buffer.from(items.map((item) => `${item}\n`).join(''));
    const draft: EntryDraft = {
      kind: ENTRY_KIND.data,
      flags: 0,
      pieces: [piece],
      bytes: piece.length,
      records: items.length,
    };
    const key = `${topic} ${sensor}`;
    const id = randomBytes(16).toString('hex');
    const stream = { id, sensor, topic, type: 3, preamble: Buffer.from('secret preamble') };
    const known = this.#streams.get(key) ?? { stream, length: 0 };
    this.#streams.set(key, known);
    await (await this.journal.open(topic)).append(known.stream, known.length, [draft]);
    known.length += draft.bytes;
  }

  /** Says that the archive has had everything up to now. */
  async archived(topic = '3'): Promise<void> {
    const sequence = this.journal.get(topic)?.endSequence ?? 0;
    const announcements = this.journal.get(filesTopic(topic))?.endSequence ?? 0;
    await this.registry.saveProgress(
      progressRole(topic),
      JSON.stringify({ sequence, announcements, streams: [], names: [] }),
    );
  }

  /** Writes a finished file and announces it. @returns its path */
  async finish(
    sensor: SensorId,
    topic: string,
    name: string,
    more: Partial<Announcement> = {},
    bytes = 100,
  ): Promise<string> {
    const path = join(this.root, name);
    if (!existsSync(path)) {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, Buffer.alloc(bytes));
    }
    const stream = { id: 'ab'.repeat(16), sensor, topic, type: 3, preamble: Buffer.alloc(0) };
    const announced: Announcement = {
      stream: stream.id,
      sensor,
      from: 0,
      to: 2 * bytes,
      firstTime: Date.now(),
      lastTime: Date.now(),
      path,
      bytes,
      sha256: '00',
      kind: 'stream',
      announce: false,
      ...more,
    };
    await new Announcer(await this.journal.open(filesTopic(topic))).announce(stream, [announced]);
    return path;
  }
}
