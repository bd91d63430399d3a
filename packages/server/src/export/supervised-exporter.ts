import type { SensorId } from '@d4ts/protocol';
import type { Logger } from 'pino';
import type { Position } from '../journal/port.ts';
import type { ExporterDefinition, ExporterTarget } from '../registry/exporter.ts';
import type { CursorState } from '../registry/port.ts';
import { BackOff } from './back-off.ts';
import { foreignText } from './foreign-text.ts';
import { JournalSource, type OpenJournalItems } from './journal-source.ts';
import { Pipeline } from './pipeline.ts';
import type { RecordFilter } from './port.ts';
import { sealed, unsealed } from './secret-query.ts';
import { targetOpener } from './targets.ts';

/** Rates are averages of so many seconds. */
const RATE_SECONDS = 10;

/** What an exporter is about now; in order of what is said first. */
export const EXPORTER_STATES = ['paused', 'failing', 'delivering', 'waiting'] as const;
export type ExporterState = (typeof EXPORTER_STATES)[number];

/** What is known of an exporter at a moment. */
export interface ExporterInfo {
  readonly name: string;
  readonly topic: string;
  readonly sensors: 'all' | readonly SensorId[];
  readonly description: string;
  readonly target: ExporterTarget;
  /** Names of the headers that it sends. */
  readonly headers: readonly string[];
  readonly declared: boolean;
  readonly revision: number;
  readonly createdAt: number;
  readonly state: ExporterState;
  /** Why nothing can be delivered, in state `failing`. */
  readonly problem: string | undefined;
  readonly lastError: { readonly text: string; readonly at: number } | undefined;
  /** Records delivered, never deliverable, and lost to it (not held long enough, damaged), since it was made. */
  readonly delivered: number;
  readonly skipped: number;
  readonly lost: number;
  /** Since the server started. */
  readonly leftOut: number;
  readonly errors: number;
  readonly repeated: number;
  /** Records that are not delivered. */
  readonly lag: number;
  /** Records a second over the last 10 s. */
  readonly rate: number;
  readonly remark: string;
}

/** What all exporters share. */
export interface ExporterParts {
  readonly items: OpenJournalItems;
  /** This server's name in lists of hops. */
  readonly self: () => string;
  /** The server's folder, where none may write. */
  readonly home: string | undefined;
  readonly log: Logger;
  readonly filterFor: ((definition: ExporterDefinition) => RecordFilter | undefined) | undefined;
  /** Called after each change of what `cursor` returns. */
  readonly changed: (exporter: SupervisedExporter) => void;
}

/** One exporter: a pipeline that is started again, after a while, whenever it fails. */
export class SupervisedExporter {
  definition: ExporterDefinition;
  /** Of the cursor that is saved. */
  savedSequence: number;
  readonly #parts: ExporterParts;
  readonly #backOff = new BackOff();
  #position: Position;
  /** Delivered or never deliverable, and lost, before the present run, since it was made. */
  #done: number;
  #skipped: number;
  #lost: number;
  /** Of runs before the present one, since the server started. */
  #earlier = { leftOut: 0, errors: 0, repeated: 0 };
  #stop: AbortController | undefined;
  #running: Promise<void> = Promise.resolve();
  #source: JournalSource | undefined;
  #pipeline: Pipeline | undefined;
  #problem: string | undefined;
  #lastError: { text: string; at: number } | undefined;
  /** Delivered at the last ticks, the latest last. */
  #ticks: number[] = [];

  constructor(definition: ExporterDefinition, cursor: CursorState, parts: ExporterParts) {
    this.definition = definition;
    this.#parts = parts;
    const { sequence, record, taken, dropped, flushed } = cursor;
    this.#position = { sequence, record };
    this.#done = taken + flushed;
    this.#skipped = flushed;
    this.#lost = dropped;
    this.savedSequence = sequence;
    this.#ticks.push(this.#done);
  }

  /** Starts it, unless it runs already; one that is paused only counts what waits. */
  start(): void {
    if (this.#stop !== undefined) return;
    const stop = new AbortController();
    this.#stop = stop;
    this.#running = this.definition.paused ? this.#watch(stop.signal) : this.#supervise(stop.signal);
  }

  /** Ends it, with some seconds for what is under way; its position is that of the last delivered record then. */
  async stop(): Promise<void> {
    this.#stop?.abort();
    await this.#running;
    this.#stop = undefined;
  }

  /** Goes on with another definition, where it stands. */
  async redefine(definition: ExporterDefinition): Promise<void> {
    await this.stop();
    this.definition = definition;
    this.#problem = undefined;
    this.#backOff.reset();
    this.#parts.changed(this);
    this.start();
  }

  /** Goes on at another position; it must not run. @param lost records that are lost by that */
  jump(position: Position, lost: number): void {
    this.#position = position;
    this.#noteLoss(lost);
    this.#parts.changed(this);
  }

  async position(): Promise<Position> {
    return (await this.#source?.position()) ?? this.#position;
  }

  async cursor(): Promise<CursorState> {
    const position = await this.position();
    const { done, skipped } = this.#counts();
    return { ...position, taken: done - skipped, dropped: this.#lost, flushed: skipped, givenBack: [] };
  }

  saved(sequence: number): void {
    this.savedSequence = sequence;
  }

  release(): void {
    this.#source?.release();
  }

  /** Once a second: for the rate. */
  tick(): void {
    this.#ticks.push(this.#counts().done);
    if (this.#ticks.length > RATE_SECONDS + 1) this.#ticks.shift();
  }

  info(revision: number): ExporterInfo {
    const { name, topic, sensors, description, declared, createdAt } = this.definition;
    const { secrets, ...settings } = unsealed(this.definition);
    // Also of one that was stored as it was given.
    const { target } = sealed({ ...settings, secrets });
    const { done, skipped } = this.#counts();
    const now = this.#pipeline?.target?.counts ?? { errors: 0, repeated: 0 };
    const text = this.#problem ?? this.#pipeline?.target?.problem;
    const problem = text && foreignText(text);
    const lag = this.#source?.lag ?? 0;
    return {
      ...{ name, topic, sensors, description, target, declared, createdAt, revision, problem, skipped, lag },
      headers: Object.keys(secrets.headers ?? {}),
      state: this.#state(problem, lag),
      lastError: this.#lastError,
      delivered: done - skipped,
      lost: this.#lost,
      leftOut: this.#earlier.leftOut + (this.#pipeline?.leftOut ?? 0),
      errors: this.#earlier.errors + now.errors,
      repeated: this.#earlier.repeated + now.repeated,
      rate: this.#rate(),
      remark: this.#pipeline?.target?.remark?.() ?? '',
    };
  }

  #state(problem: string | undefined, lag: number): ExporterState {
    if (this.definition.paused) return 'paused';
    if (problem !== undefined) return 'failing';
    // Between two batches nothing is left to deliver for a moment: it is not waiting before some seconds are over.
    return lag > 0 || this.#counts().done > (this.#ticks[0] ?? 0) ? 'delivering' : 'waiting';
  }

  #rate(): number {
    const first = this.#ticks[0];
    const last = this.#ticks.at(-1);
    if (first === undefined || last === undefined || this.#ticks.length < 2) return 0;
    return (last - first) / (this.#ticks.length - 1);
  }

  #counts(): { done: number; skipped: number } {
    return {
      done: this.#done + (this.#pipeline?.delivered ?? 0),
      skipped: this.#skipped + (this.#pipeline?.target?.counts.skipped ?? 0),
    };
  }

  async #supervise(signal: AbortSignal): Promise<void> {
    const { log } = this.#parts;
    const { name } = this.definition;
    while (!signal.aborted) {
      try {
        await this.#run(signal);
      } catch (error) {
        const text = foreignText(error instanceof Error ? error.message : String(error));
        this.#noteError(text);
        if (text !== this.#problem) log.error({ exporter: name, err: error }, 'an exporter failed: trying again');
        this.#problem = text;
        await this.#backOff.wait(signal);
      }
    }
  }

  /** Follows the journal without taking anything. */
  async #watch(signal: AbortSignal): Promise<void> {
    try {
      const source = await this.#openSource();
      this.#source = source;
      await new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => resolve(), { once: true });
        if (signal.aborted) resolve();
      });
      await source.close();
      this.#position = await source.position();
    } catch (error) {
      this.#noteError(error instanceof Error ? error.message : String(error));
    } finally {
      this.#source = undefined;
    }
  }

  #openSource(): Promise<JournalSource> {
    const { topic, sensors } = this.definition;
    return JournalSource.open(this.#parts.items, { topic, sensors }, this.#position, (lost) => {
      if (lost > 0) this.#noteLoss(lost);
      this.#parts.changed(this);
    });
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { self, home, log, filterFor } = this.#parts;
    const { name, topic } = this.definition;
    const { target, secrets } = unsealed(this.definition);
    const source = await this.#openSource();
    const pipeline = new Pipeline({
      source,
      open: targetOpener(target, secrets, { type: topic, self: self(), home }),
      filter: filterFor?.(this.definition),
      warn: (text) => {
        this.#noteError(text);
        log.warn({ exporter: name }, foreignText(text));
      },
    });
    this.#source = source;
    this.#pipeline = pipeline;
    try {
      await pipeline.run(signal, ({ where }) => {
        this.#problem = undefined;
        this.#backOff.reset();
        log.info({ exporter: name, topic, to: where }, 'exporting');
      });
    } finally {
      this.#position = await source.position();
      this.#done += pipeline.delivered;
      this.#skipped += pipeline.target?.counts.skipped ?? 0;
      this.#earlier.leftOut += pipeline.leftOut;
      this.#earlier.errors += pipeline.target?.counts.errors ?? 0;
      this.#earlier.repeated += pipeline.target?.counts.repeated ?? 0;
      this.#source = undefined;
      this.#pipeline = undefined;
    }
  }

  #noteError(text: string): void {
    this.#lastError = { text: foreignText(text), at: Date.now() };
  }

  #noteLoss(records: number): void {
    if (records === 0) return;
    this.#lost += records;
    this.#parts.log.warn(
      { exporter: this.definition.name, records },
      'records are lost to an exporter: the journal no longer has them',
    );
  }
}
