import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newSensorId, type SensorId } from '@d4ts/protocol';
import { pino } from 'pino';
import { archivedItems } from '../archive/archived-items.ts';
import type { Format } from '../formats/port.ts';
import { formatFor } from '../formats/registry.ts';
import { openFileJournal } from '../journal/files.ts';
import { ENTRY_KIND, type EntryDraft, type Journal, type StreamDefinition } from '../journal/port.ts';
import type { Actor, Registry } from '../registry/port.ts';
import { openSqliteRegistry } from '../registry/sqlite.ts';
import type { ArchivedItemReader, Queue, Queues } from './port.ts';
import { openQueues, recordedSequences } from './queues.ts';

export const ACTOR: Actor = { name: 'test' };

/** Pops as a consumer that has got the items at once. */
export async function popAway(queue: Queue, count: number): Promise<Buffer[]> {
  const items = await queue.pop(count);
  queue.letGo(items);
  return items;
}

interface Opened {
  readonly registry: Registry;
  readonly journal: Journal;
  readonly queues: Queues & { close(): Promise<void> };
}

/** For tests: queues over a real journal and a real registry in a folder of their own, and sensors that append. */
export class QueueHome implements AsyncDisposable {
  readonly root: string;
  readonly #segmentBytes: number;
  #opened: Opened;
  /** The streams of the sensors, and their lengths. */
  readonly #streams = new Map<string, { stream: StreamDefinition; length: number }>();

  private constructor(root: string, segmentBytes: number, opened: Opened) {
    this.root = root;
    this.#segmentBytes = segmentBytes;
    this.#opened = opened;
  }

  static async make(segmentBytes = 64 * 1024 * 1024): Promise<QueueHome> {
    const root = await mkdtemp(join(tmpdir(), 'd4-queues-'));
    const opened = await open(root, segmentBytes);
    for (const name of ['1', '3']) await opened.registry.types.put(name, { name, createdAt: 0 }, ACTOR);
    return new QueueHome(root, segmentBytes, opened);
  }

  get queues(): Opened['queues'] {
    return this.#opened.queues;
  }

  get journal(): Journal {
    return this.#opened.journal;
  }

  get registry(): Registry {
    return this.#opened.registry;
  }

  /** Lines of a sensor, in one entry. */
  async append(sensor: SensorId, items: readonly string[], topic = '3'): Promise<void> {
    const bytes = Buffer.from(items.map((item) => `${item}\n`).join(''));
    await this.#append(topic, sensor, {
      kind: ENTRY_KIND.data,
      flags: 0,
      pieces: [bytes],
      bytes: bytes.length,
      records: items.filter((item) => item !== '').length,
    });
  }

  /** Announces a finished file of a topic, as the archive does. */
  async announce(topic: string, sensor: SensorId, path: string, isItem = true): Promise<void> {
    const file = { stream: 'x', sensor, from: 0, to: 1, path, bytes: 1, sha256: '0'.repeat(64), announce: isItem };
    const bytes = Buffer.from(JSON.stringify(file));
    const draft = { kind: ENTRY_KIND.file, flags: 0, pieces: [bytes], bytes: bytes.length, records: isItem ? 1 : 0 };
    await this.#append(`files/${topic}`, sensor, draft);
  }

  async #append(topic: string, sensor: SensorId, draft: EntryDraft): Promise<void> {
    const log = await this.journal.open(topic);
    const known = this.#streams.get(`${topic} ${sensor}`) ?? {
      stream: { id: newSensorId().replaceAll('-', ''), sensor, topic, type: 3, preamble: Buffer.alloc(0) },
      length: 0,
    };
    this.#streams.set(`${topic} ${sensor}`, known);
    await log.append(known.stream, known.length, [draft]);
    if (draft.kind === ENTRY_KIND.data) known.length += draft.bytes;
  }

  /** Closes everything and opens it again, as a new start of the server does. */
  async restart(): Promise<void> {
    await close(this.#opened);
    this.#streams.clear();
    this.#opened = await open(this.root, this.#segmentBytes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await close(this.#opened);
    await rm(this.root, { recursive: true });
  }
}

async function open(root: string, segmentBytes: number): Promise<Opened> {
  const log = pino({ level: 'silent' });
  const formats = (topic: string): Format => (topic === '1' ? { ...formatFor('3'), items: 'files' } : formatFor(topic));
  const registry = await openSqliteRegistry({
    file: join(root, 'registry.db'),
    keyFile: join(root, 'registry.key'),
    log,
  });
  const minimumSequence = recordedSequences(registry, formats);
  const journal = await openFileJournal({
    root: join(root, 'journal'),
    policy: 'os',
    log,
    segmentBytes,
    minimumSequence,
  });
  const parts = { root: join(root, 'archive'), journal, formats, log };
  const archived: ArchivedItemReader = (range) => archivedItems(parts, range);
  return { registry, journal, queues: await openQueues({ registry, journal, formats, log, archived }) };
}

async function close({ registry, journal, queues }: Opened): Promise<void> {
  await queues.close();
  await journal.close();
  await registry.close();
}
