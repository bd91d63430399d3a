import type { SensorId } from '@d4ts/protocol';
import type { Logger } from 'pino';
import type { Topic } from '../../journal/port.ts';
import { type GapRow, LedgerStore, type Period, type Row } from './ledger-store.ts';
import { HOUR_MS, type Measure, type ReasonKind } from './measures.ts';
import { Series } from './series.ts';

/** What stands for all sensors together, and for what nobody has proved: names that no sensor has. */
export const ALL_SENSORS = '*';
export const NO_SENSOR = '';
/** Of refusals: which type was meant is not always known. */
export const NO_TOPIC = '';

/** How often it is saved: each second, and where many series change, each fifth. */
const FLUSH_MS = 1_000;
const MANY_SERIES = 500;
const SELDOM = 5;
/** Gaps that wait to be saved; beyond it they are counted, but not kept one by one. */
const MAX_WAITING_GAPS = 10_000;

/** Something that retention removes: `RemovedEvent` of retention/port.ts, as far as it is counted. */
export interface Removal {
  /** Items of the journal, finished files, or items that a queue had not handed out. */
  readonly store: 'journal' | 'archive' | 'queue';
  readonly why: string;
  readonly sensor: SensorId;
  readonly topic: Topic;
  readonly queue?: string;
  readonly files: number;
  /** Of the journal bytes of records; of the archive bytes on disk. */
  readonly bytes: number;
  /** Items; undefined where that is not known. */
  readonly records: number | undefined;
  /** ms since 1970 */
  readonly at: number;
}

/**
 * The ledger: what came, what became of it, by sensor, topic and hour (docs/ledger.md). Counts gather in memory and are
 * saved each second; those that come from the journal together with how far the journal is counted.
 */
export class Ledger {
  readonly #store: LedgerStore;
  readonly #log: Logger;
  readonly #series = new Map<string, Series>();
  readonly #changed = new Set<Series>();
  readonly #progress: Map<Topic, number>;
  readonly #changedProgress = new Map<Topic, number>();
  readonly #flushing: NodeJS.Timeout;
  readonly #beforeSaving: (() => void)[] = [];
  readonly #dropListeners: ((queue: string, items: number) => void)[] = [];
  readonly #now: () => number;
  #gaps: GapRow[] = [];
  #failed = false;
  #seconds = 0;
  #saving: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  #foldedAt: number;
  /** Whether the last server on this home ended in good order, and whether there was one. */
  readonly lastEnd: 'first' | 'clean' | 'crash';

  /** @throws {D4Error} D4_LEDGER_FORMAT, D4_LEDGER_FAILED */
  constructor(file: string, log: Logger, now: () => number = Date.now) {
    this.#store = new LedgerStore(file);
    this.#log = log;
    this.#now = now;
    for (const series of this.#store.load(now())) this.#series.set(keyOf(series.sensor, series.topic), series);
    this.#progress = this.#store.progress();
    const end = this.#store.mark('end');
    this.lastEnd = end === undefined ? 'first' : end === 'clean' ? 'clean' : 'crash';
    this.#store.setMark('end', 'running');
    this.#foldedAt = now();
    this.#store.fold(this.#foldedAt);
    this.#flushing = setInterval(() => this.#second(), FLUSH_MS).unref();
  }

  /** The first sequence of a topic that is not counted. */
  counted(topic: Topic): number {
    return this.#progress.get(topic) ?? 0;
  }

  /** All entries of a topic before `sequence` are counted. */
  setCounted(topic: Topic, sequence: number): void {
    this.#progress.set(topic, sequence);
    this.#changedProgress.set(topic, sequence);
  }

  /** Calls `work` before each saving and reading, so that what it takes over is in. */
  beforeSaving(work: () => void): void {
    this.#beforeSaving.push(work);
  }

  /** Adds to a sensor's counts, and to those of all. @param time ms since 1970 */
  add(sensor: SensorId | typeof NO_SENSOR, topic: Topic, measure: Measure, value: number, time: number): void {
    if (value === 0) return;
    for (const series of [this.series(sensor, topic), this.series(ALL_SENSORS, topic)]) {
      series.add(measure, value, time);
      this.#changed.add(series);
    }
  }

  /** As `add`, of a reason. */
  addReason(
    sensor: SensorId | typeof NO_SENSOR,
    topic: Topic,
    of: { kind: ReasonKind; reason: string; count: number; bytes: number },
    time: number,
  ): void {
    for (const series of [this.series(sensor, topic), this.series(ALL_SENSORS, topic)]) {
      series.addReason(of.kind, of.reason, of.count, of.bytes, time);
      this.#changed.add(series);
    }
  }

  addGap(gap: GapRow): void {
    if (this.#gaps.length < MAX_WAITING_GAPS) this.#gaps.push(gap);
  }

  /** The counts of a sensor and topic; made where there are none. */
  series(sensor: string, topic: Topic): Series {
    const key = keyOf(sensor, topic);
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    const made = new Series(sensor, topic);
    this.#series.set(key, made);
    return made;
  }

  find(sensor: string, topic: Topic): Series | undefined {
    return this.#series.get(keyOf(sensor, topic));
  }

  all(): IterableIterator<Series> {
    return this.#series.values();
  }

  /** What was last taken over of the registry's counters has changed. */
  touched(series: Series): void {
    this.#changed.add(series);
  }

  /** What retention removes is counted as gone. */
  onRemoved({ store, why, sensor, topic, queue, files, bytes, records = 0, at }: Removal): void {
    if (store === 'queue') {
      this.add(sensor, topic, 'dropped', records, at);
      this.addReason(sensor, topic, { kind: 'dropped', reason: `retention: ${why}`, count: records, bytes: 0 }, at);
      for (const listener of this.#dropListeners) listener(queue ?? '', records);
      return;
    }
    const isJournal = store === 'journal';
    const count = isJournal ? records : files;
    this.add(sensor, topic, isJournal ? 'removedRecords' : 'removedFiles', count, at);
    this.add(sensor, topic, isJournal ? 'removedBytes' : 'removedFileBytes', bytes, at);
    this.addReason(sensor, topic, { kind: 'removed', reason: `${store}: ${why}`, count, bytes }, at);
  }

  /** Calls `listener` with items of a queue that were dropped and are counted already. */
  onQueueItemsRemoved(listener: (queue: string, items: number) => void): void {
    this.#dropListeners.push(listener);
  }

  /** Hours or days of some series, each with its topic. @param from to ms since 1970 */
  async rows(
    filter: { sensor: string; topic?: Topic | undefined },
    by: Period,
    from: number,
    to: number,
  ): Promise<{ topic: Topic; row: Row }[]> {
    await this.flush();
    const found = this.of(filter.sensor).filter(({ topic }) => filter.topic === undefined || topic === filter.topic);
    return found
      .flatMap(({ id, topic }) =>
        id === undefined ? [] : this.#store.rows(id, by, from, to).map((row) => ({ topic, row })),
      )
      .sort((a, b) => a.row.start - b.row.start || (a.topic < b.topic ? -1 : 1));
  }

  /** The newest gaps of a sensor. */
  async gaps(sensor: string, topic: Topic | undefined, from: number, to: number, limit: number): Promise<GapRow[]> {
    await this.flush();
    return this.#store.gaps(sensor, topic, from, to, limit);
  }

  /** The series of a sensor, or of all, by topic. */
  of(sensor: string): Series[] {
    return [...this.#series.values()]
      .filter((series) => series.sensor === sensor)
      .sort((a, b) => (a.topic < b.topic ? -1 : 1));
  }

  /** Takes over what others have counted: totals and the day are right then. */
  takeOver(): void {
    for (const work of this.#beforeSaving) work();
  }

  /** Takes over what others have counted; resolved when all that was counted by now is saved, or could not be. */
  flush(): Promise<void> {
    // What is being saved does not have everything that was counted by now.
    this.#next ??= this.#saving.then(() => {
      this.#next = undefined;
      this.takeOver();
      this.#saving = this.#save();
      return this.#saving;
    });
    return this.#next;
  }

  #second(): void {
    this.takeOver();
    this.#seconds += 1;
    if (this.#changed.size < MANY_SERIES || this.#seconds % SELDOM === 0) void this.flush();
  }

  /** A failure is logged once, and everything is tried again. */
  async #save(): Promise<void> {
    if (this.#changed.size === 0 && this.#changedProgress.size === 0) return;
    const snapshots = [...this.#changed].map((series) => series.takeSnapshot());
    const progress = new Map(this.#changedProgress);
    const gaps = this.#gaps;
    this.#changed.clear();
    this.#changedProgress.clear();
    this.#gaps = [];
    try {
      await this.#store.save(snapshots, gaps, progress);
      if (this.#failed) this.#log.info('the ledger can be saved again');
      this.#failed = false;
      this.#fold();
    } catch (error) {
      if (!this.#failed) this.#log.error({ err: error }, 'the ledger cannot be saved: trying again');
      this.#failed = true;
      for (const { series, hours } of snapshots) {
        series.putBack(hours);
        this.#changed.add(series);
      }
      for (const [topic, sequence] of progress) {
        if (!this.#changedProgress.has(topic)) this.#changedProgress.set(topic, sequence);
      }
      this.#gaps = [...gaps, ...this.#gaps].slice(0, MAX_WAITING_GAPS);
    }
  }

  #fold(): void {
    const now = this.#now();
    if (now - this.#foldedAt < HOUR_MS) return;
    // More than one hour may be due, after the server was away.
    if (!this.#store.fold(now)) this.#foldedAt = now;
  }

  /** Items that a topic held when the ledger began. */
  origin(topic: Topic): number {
    return Number(this.#store.mark(`origin ${topic}`) ?? 0);
  }

  setOrigin(topic: Topic, records: number): void {
    this.#store.setMark(`origin ${topic}`, `${records}`);
  }

  /** Saves everything; the next start knows that nothing was in flight. */
  async close(): Promise<void> {
    clearInterval(this.#flushing);
    await this.flush();
    if (!this.#failed) this.#store.setMark('end', 'clean');
    this.#store.close();
  }
}

function keyOf(sensor: string, topic: Topic): string {
  return `${sensor} ${topic}`;
}
