import type { SensorId } from '@d4ts/protocol';
import type { Logger } from 'pino';
import Type, { type Static } from 'typebox';
import Value from 'typebox/value';
import { progressFrom, progressRole } from '../archive/progress.ts';
import type { Journal } from '../journal/port.ts';
import type { Queues } from '../queues/port.ts';
import type { Actor, Registry } from '../registry/port.ts';
import { countAnnounced } from './archive-count.ts';
import type { ArchiveRemover } from './archive-removal.ts';
import type { Erasure, Losses } from './port.ts';

const ROLE = 'retention erasures';
/** So many that are done are remembered. */
const MAX_REMEMBERED = 100;

const count = Type.Integer({ minimum: 0 });
const Saved = Type.Array(
  Type.Object({
    sensor: Type.Unsafe<SensorId>(Type.String()),
    by: Type.String(),
    requestedAt: count,
    doneAt: Type.Optional(count),
    /** By topic: what came before this sequence is erased; set once the sensor's connections have ended. */
    ends: Type.Optional(Type.Record(Type.String(), count)),
    journalDone: Type.Boolean(),
    files: count,
    fileBytes: count,
    journalBytes: count,
    journalRecords: count,
  }),
);
type SavedErasure = Static<typeof Saved>[number];

/** What an erasure reaches into. */
export interface ErasureParts {
  readonly registry: Registry;
  readonly journal: Journal;
  readonly queues: Pick<Queues, 'forgetBlocks'>;
  readonly sensors: { expel(sensor: SensorId): Promise<void> };
  readonly remover: ArchiveRemover;
  /** What is made of sensors' records, beside journal and archive: takes out what is of a sensor; to be done again is no harm. */
  readonly forget: (sensor: SensorId) => Promise<void>;
  readonly losses: Losses;
  readonly log: Logger;
  /** Whether the archive makes no files: then it has nothing of the sensor under way. */
  readonly isArchivePaused: boolean;
  /** ms since 1970 */
  readonly now: () => number;
}

/**
 * Erasures of sensors' data: each goes on, also after a restart, until nothing is left that came before it: first in the
 * journal, then in the archive, which may have had some of it under way.
 */
export class Erasures {
  readonly #parts: ErasureParts;
  #jobs: readonly SavedErasure[];
  readonly #expelled = new Set<SensorId>();
  readonly #expelling = new Set<SensorId>();

  constructor(parts: ErasureParts) {
    this.#parts = parts;
    const saved: unknown = JSON.parse(parts.registry.loadProgress(ROLE) ?? '[]');
    this.#jobs = Value.Check(Saved, saved) ? saved : [];
  }

  get pending(): boolean {
    return this.#jobs.some(({ doneAt }) => doneAt === undefined);
  }

  /** The latest first. */
  list(): Erasure[] {
    return this.#jobs.map((job) => this.#view(job)).reverse();
  }

  async add(sensor: SensorId, actor: Actor): Promise<Erasure> {
    const { registry, now, log } = this.#parts;
    const running = this.#jobs.find((job) => job.sensor === sensor && job.doneAt === undefined);
    if (running !== undefined) return this.#view(running);
    const counts = { files: 0, fileBytes: 0, journalBytes: 0, journalRecords: 0 };
    const job = { sensor, by: actor.name, requestedAt: now(), journalDone: false, ...counts };
    await registry.audit.record({ kind: 'erasure', key: sensor, actor });
    await this.#save([...this.#jobs.slice(-MAX_REMEMBERED), job]);
    log.warn({ sensor, by: actor.name }, "a sensor's data are erased");
    return this.#view(job);
  }

  /** Goes on with all of them as far as can be now. */
  async advance(): Promise<void> {
    for (const { sensor, doneAt } of this.#jobs) if (doneAt === undefined) await this.#advance(sensor);
  }

  async #advance(sensor: SensorId): Promise<void> {
    const { journal, registry, log, now } = this.#parts;
    if (this.#job(sensor).ends === undefined) {
      if (!this.#expelled.delete(sensor)) {
        this.#expel(sensor);
        return;
      }
      const topics = journal.topics().filter((topic) => !topic.startsWith('files/'));
      const ends = Object.fromEntries(topics.map((topic) => [topic, journal.get(topic)?.endSequence ?? 0]));
      await this.#change(sensor, () => ({ ends }));
    }
    if (!this.#job(sensor).journalDone) await this.#eraseJournal(sensor);
    // What it has had by then is announced, and counted below.
    const isArchived = this.#waitingTopics(sensor).length === 0;
    await countAnnounced(
      journal,
      registry.archive,
      () => false,
      () => {},
    );
    const pairs = [...registry.archive.holdings()].filter((holding) => holding.sensor === sensor && holding.files > 0);
    const removed = await this.#parts.remover.removeAll(pairs);
    await this.#change(sensor, ({ files, fileBytes }) => ({
      files: files + removed.inodes,
      fileBytes: fileBytes + removed.bytes,
      ...(isArchived && { doneAt: now() }),
    }));
    if (isArchived)
      log.warn(this.#view(this.#job(sensor)), "a sensor's data are erased: nothing is left of what came before");
  }

  #expel(sensor: SensorId): void {
    if (this.#expelling.has(sensor)) return;
    this.#expelling.add(sensor);
    this.#parts.sensors
      .expel(sensor)
      .then(() => this.#expelled.add(sensor))
      .catch((error: unknown) =>
        this.#parts.log.error({ err: error, sensor }, 'the connections of a sensor cannot be ended: trying again'),
      )
      .finally(() => this.#expelling.delete(sensor));
  }

  async #eraseJournal(sensor: SensorId): Promise<void> {
    const { journal, queues, losses, now } = this.#parts;
    let [records, bytes] = [0, 0];
    for (const [topic, end] of Object.entries(this.#job(sensor).ends ?? {})) {
      const log = journal.get(topic);
      const open = log?.segments().at(-1);
      if (log === undefined || open === undefined) continue;
      if (!open.sealed && open.firstSequence < end && (await log.contentsOf(open.firstSequence)).has(sensor)) {
        await log.renew('erased');
      }
      const erased = await log.erase(sensor, end);
      queues.forgetBlocks(topic);
      records += erased.records;
      bytes += erased.bytes;
      const of = { why: 'erased', sensor, topic, at: now(), files: 0 } as const;
      if (erased.bytes > 0) losses.onRemoved({ store: 'journal', ...of, ...erased, streamBytes: erased.bytes });
    }
    await this.#parts.forget(sensor);
    await this.#change(sensor, ({ journalBytes, journalRecords }) => ({
      journalDone: true,
      journalBytes: journalBytes + bytes,
      journalRecords: journalRecords + records,
    }));
  }

  /** Topics of which the archive may have something of the sensor under way. */
  #waitingTopics(sensor: SensorId): string[] {
    const { journal, registry, isArchivePaused } = this.#parts;
    if (isArchivePaused) return [];
    return Object.entries(this.#job(sensor).ends ?? {})
      .filter(([topic, end]) => {
        // Where nothing is in the journal there is nothing to pass.
        const first = journal.get(topic)?.firstSequence ?? end;
        return first < end && progressFrom(registry.loadProgress(progressRole(topic))).sequence < end;
      })
      .map(([topic]) => topic);
  }

  #view(job: SavedErasure): Erasure {
    const { sensor, by, requestedAt, doneAt, files, fileBytes, journalBytes, journalRecords } = job;
    return {
      sensor,
      by,
      requestedAt,
      doneAt,
      waitsFor: this.#waitsFor(job),
      files,
      fileBytes,
      journalBytes,
      journalRecords,
    };
  }

  #waitsFor({ sensor, ends, doneAt, journalDone }: SavedErasure): string | undefined {
    if (doneAt !== undefined) return undefined;
    if (ends === undefined) return 'the connections of the sensor to end';
    if (!journalDone) return 'the journal';
    return `the archive to pass what came before: ${this.#waitingTopics(sensor).join(', ')}`;
  }

  #job(sensor: SensorId): SavedErasure {
    const job = this.#jobs.findLast((each) => each.sensor === sensor);
    if (job === undefined) throw new Error(`no erasure of ${sensor}`);
    return job;
  }

  async #change(sensor: SensorId, change: (job: SavedErasure) => Partial<SavedErasure>): Promise<void> {
    const job = this.#job(sensor);
    await this.#save(this.#jobs.map((each) => (each === job ? { ...job, ...change(job) } : each)));
  }

  async #save(jobs: readonly SavedErasure[]): Promise<void> {
    await this.#parts.registry.saveProgress(ROLE, JSON.stringify(jobs));
    this.#jobs = jobs;
  }
}
