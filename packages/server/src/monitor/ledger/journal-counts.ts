import type { SensorId } from '@d4ts/protocol';
import type { Logger } from 'pino';
import type { Format } from '../../formats/port.ts';
import {
  type Commit,
  ENTRY_KIND,
  type EntryKind,
  type Journal,
  type Topic,
  type TopicLog,
} from '../../journal/port.ts';
import type { QueueDefinition, Registry } from '../../registry/port.ts';
import { gapFacts } from './gap-entry.ts';
import { type Ledger, NO_SENSOR } from './ledger.ts';

const READ_BYTES = 1024 * 1024;
const RETRY_MS = 5_000;
const FILES = 'files/';
/** What the journal's own findings are recorded for. */
const NOBODY = '00000000-0000-0000-0000-000000000000';

/** An entry, as far as it is counted. */
interface CountedEntry {
  readonly kind: EntryKind;
  readonly sensor: SensorId;
  readonly stream: string;
  readonly sequence: number;
  readonly time: number;
  readonly records: number;
  readonly bytes: number;
  /** Of gaps and files. */
  readonly body: () => Buffer;
}

/** Where the counting of a topic stands. */
interface Counted {
  readonly log: TopicLog;
  readonly stop: () => void;
  /** Being read, because a commit was missed; else the commits are counted as they come. */
  reading: boolean;
}

export interface JournalCountsOptions {
  readonly ledger: Ledger;
  readonly journal: Journal;
  readonly registry: Pick<Registry, 'queues'>;
  readonly formats: (topic: Topic) => Format;
  readonly log: Logger;
}

/**
 * Counts what is in the journal, each entry exactly once: commits are counted as they happen, and what happened while
 * nobody counted is read. How far it has come is saved with the sums.
 */
export class JournalCounts {
  readonly #options: JournalCountsOptions;
  readonly #topics = new Map<Topic, Counted>();
  readonly #stopOpening: () => void;
  readonly #unwatch: () => void;
  /** Definitions of queues, by the topic that they read. */
  #queues: Map<Topic, QueueDefinition[]> | undefined;
  #reading: Promise<void>[] = [];
  #closed = false;

  constructor(options: JournalCountsOptions) {
    this.#options = options;
    this.#unwatch = options.registry.queues.watch(() => {
      this.#queues = undefined;
    });
    const { journal, ledger } = options;
    for (const topic of journal.topics()) {
      const log = journal.get(topic);
      if (log === undefined) continue;
      if (ledger.lastEnd === 'first') this.#beginAtEnd(log);
      this.#follow(log);
    }
    this.#stopOpening = journal.onOpen((log) => this.#follow(log));
  }

  /** Resolved when everything that is committed now is counted. */
  async caughtUp(): Promise<void> {
    for (;;) {
      const reading = this.#reading;
      this.#reading = [];
      if (reading.length === 0) return;
      await Promise.all(reading);
    }
  }

  /** Counts what is committed, and stops. */
  async close(): Promise<void> {
    this.#stopOpening();
    await this.caughtUp();
    this.#closed = true;
    this.#unwatch();
    for (const { stop } of this.#topics.values()) stop();
  }

  #follow(log: TopicLog): void {
    const counted: Counted = { log, reading: false, stop: log.onCommit((commit) => this.#committed(counted, commit)) };
    this.#topics.set(log.topic, counted);
    if (this.#next(log) < log.endSequence) this.#read(counted);
  }

  /** A new ledger does not read what an older version of the program has gathered. */
  #beginAtEnd(log: TopicLog): void {
    const { ledger } = this.#options;
    ledger.setCounted(log.topic, log.endSequence);
    ledger.setOrigin(log.topic, log.stats().records);
  }

  #next(log: TopicLog): number {
    return Math.max(this.#options.ledger.counted(log.topic), 1);
  }

  #committed(counted: Counted, commit: Commit): void {
    if (counted.reading) return;
    const { log } = counted;
    const { ledger } = this.#options;
    if (commit.firstSequence !== this.#next(log)) {
      this.#read(counted);
      return;
    }
    for (const { stream, drafts } of commit.appends) {
      for (const { kind, records, bytes, pieces } of drafts) {
        this.#count(log.topic, {
          kind,
          sensor: stream.sensor,
          stream: stream.id,
          sequence: commit.firstSequence,
          time: commit.time,
          records,
          bytes,
          body: () => Buffer.concat(pieces),
        });
      }
    }
    ledger.setCounted(log.topic, commit.endSequence);
  }

  #read(counted: Counted): void {
    counted.reading = true;
    this.#reading.push(this.#readOn(counted));
  }

  async #readOn(counted: Counted): Promise<void> {
    const { log } = counted;
    const { ledger } = this.#options;
    try {
      while (!this.#closed) {
        const next = this.#next(log);
        const entries = await log.read(next, READ_BYTES);
        for (const { kind, stream, sequence, time, records, bytes } of entries) {
          const { sensor, id } = stream;
          this.#count(log.topic, {
            kind,
            sensor,
            stream: id,
            sequence,
            time,
            records,
            bytes: bytes.length,
            body: () => bytes,
          });
          ledger.setCounted(log.topic, sequence + 1);
        }
        if (entries.length === 0) ledger.setCounted(log.topic, Math.max(next, log.endSequence));
        if (this.#next(log) >= log.endSequence) break;
      }
      counted.reading = false;
    } catch (error) {
      if (this.#closed) return;
      this.#options.log.error({ err: error, topic: log.topic }, 'the ledger cannot read the journal: trying again');
      setTimeout(() => this.#read(counted), RETRY_MS).unref();
    }
  }

  #count(topic: Topic, entry: CountedEntry): void {
    if (topic.startsWith(FILES)) this.#countFile(topic, entry);
    else if (entry.kind === ENTRY_KIND.data) this.#countData(topic, entry);
    else if (entry.kind === ENTRY_KIND.gap) this.#countGap(topic, entry);
  }

  #countData(topic: Topic, entry: CountedEntry): void {
    const { ledger } = this.#options;
    const { sensor, time, records, bytes } = entry;
    ledger.add(sensor, topic, 'records', records, time);
    ledger.add(sensor, topic, 'journaledBytes', bytes, time);
    this.#countQueued(topic, topic, entry);
  }

  #countGap(topic: Topic, { sensor, stream, time, body }: CountedEntry): void {
    const { ledger } = this.#options;
    const { from, to, cause, kind } = gapFacts(body());
    const whose = (sensor as string) === NOBODY ? NO_SENSOR : sensor;
    const bytes = from === undefined || to === undefined ? 0 : to - from;
    ledger.add(whose, topic, 'gaps', 1, time);
    if (kind === 'left-out') ledger.add(whose, topic, 'leftOutBytes', bytes, time);
    if (kind === 'missing') ledger.add(whose, topic, 'missingBytes', bytes, time);
    ledger.addReason(whose, topic, { kind: 'gap', reason: cause, count: 1, bytes }, time);
    ledger.addGap({ sensor: whose, topic, stream, time, from, to, cause, kind });
  }

  #countFile(topic: Topic, entry: CountedEntry): void {
    if (entry.kind !== ENTRY_KIND.file) return;
    const { ledger } = this.#options;
    const { sensor, time, body } = entry;
    const of = topic.slice(FILES.length);
    // The archiver wrote it, and its CRC was checked.
    const file = JSON.parse(body().toString('utf8')) as {
      from: number;
      to: number;
      bytes: number;
      streamBytes?: number;
    };
    ledger.add(sensor, of, 'archivedBytes', file.streamBytes ?? file.to - file.from, time);
    ledger.add(sensor, of, 'archivedFiles', 1, time);
    ledger.add(sensor, of, 'archivedFileBytes', file.bytes, time);
    if (entry.records > 0) this.#countQueued(topic, of, entry);
  }

  /** Each queue is offered what its filter lets in. */
  #countQueued(source: Topic, topic: Topic, { sensor, sequence, time, records }: CountedEntry): void {
    if (records === 0) return;
    let queues = 0;
    for (const { filters } of this.#queuesOf(source)) {
      const filter = filters.findLast(({ from }) => from <= sequence);
      if (filter !== undefined && (filter.sensors === 'all' || filter.sensors.includes(sensor))) queues += 1;
    }
    this.#options.ledger.add(sensor, topic, 'queued', records * queues, time);
  }

  #queuesOf(source: Topic): readonly QueueDefinition[] {
    if (this.#queues === undefined) {
      const definitions = [...this.#options.registry.queues.entries()].map(([, { value }]) => value);
      this.#queues = Map.groupBy(definitions, ({ topic }) =>
        this.#options.formats(topic).items === 'files' ? `${FILES}${topic}` : topic,
      );
    }
    return this.#queues.get(source) ?? [];
  }
}
