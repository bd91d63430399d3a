import { randomBytes } from 'node:crypto';
import { D4Error, type RefusalCode } from '@d4ts/protocol';
import type { Logger } from 'pino';
import type { CutSink, Cutter, Format } from '../formats/port.ts';
import { advanceOf, type EntryDraft, type StreamDefinition, type TopicLog } from '../journal/port.ts';
import type { BackPressure } from './back-pressure.ts';
import { DraftBuilder } from './drafts.ts';
import type { PayloadSink, StreamStart } from './session.ts';

/** What a stream needs of the journal. */
export type AppendLog = Pick<TopicLog, 'append' | 'maxEntryBytes'>;

/** Where streams find their topics. */
export interface StreamJournal {
  get(topic: string): AppendLog | undefined;
  open(topic: string): Promise<AppendLog>;
}

/** How to write a stream. */
export interface StreamOptions {
  readonly journal: StreamJournal;
  readonly format: Format;
  readonly pressure: BackPressure;
  readonly log: Logger;
  /** What is told of what waits for the journal, in bytes, beside `pressure`. */
  readonly share: { add(bytes: number): void };
  /** What an earlier stream of the sensor and topic ended with as its preamble (rule 35). */
  readonly earlier: Buffer | undefined;
  /** Streams of the same sensor and topic that have ended and must be in the journal before this one (rule 21). */
  readonly after: Promise<void> | undefined;
  /** Asked when the first records come: whether an earlier session broke off in mid-record (rule 35). */
  readonly continues: () => boolean;
  /** Called when the preamble has become known, or has changed. */
  readonly onPreamble: (preamble: Buffer) => void;
  /** Asked before a line is added to the log that a sensor could cause at will. */
  readonly mayLog: () => boolean;
  /** Called when the stream cannot go on; what it held is lost. */
  readonly onBroken: () => void;
}

/** Bytes `[from, to)` of a stream that its cutter left out. */
interface LeftOut {
  readonly from: number;
  to: number;
  readonly why: string;
  readonly isLogged: boolean;
}

/**
 * One session's stream on its way into the journal: cut, drafted and appended, one append at a time; what arrives
 * meanwhile gathers (docs/journal.md, rules 9 and 15).
 */
export class StreamWriter implements PayloadSink {
  /** Items that were found so far (rule 7). */
  records = 0;
  /** Records that were cut at the format's limit, and bytes that the cutter left out. */
  cuts = 0;
  skippedBytes = 0;

  readonly #options: StreamOptions;
  readonly #cutter: Cutter;
  readonly #sink: CutSink;
  #definition: StreamDefinition;
  #log: AppendLog | undefined;
  /** Made when the topic is open; until then `#early` holds what is to be told to it. */
  #builder: DraftBuilder | undefined;
  #early: ((builder: DraftBuilder) => void)[] = [];
  #earlyBytes = 0;
  /** The preamble as of the first byte that is not in an append yet; undefined where there is none. */
  #nextPreamble: Buffer | undefined;
  #knownPreamble: Buffer;
  /** Bytes that the cutter has reported or left out: the stream as the sensor sent it. */
  #position = 0;
  /** What was left out, up to `#position`. */
  #leftOut: LeftOut | undefined;
  #hasData = false;
  #ended = false;
  /** The stream's length in the journal. */
  #offset = 0;
  /** Whether an append, or what must come before the first one, is under way. */
  #busy = false;
  #inFlightCost = 0;
  /** What `pressure` was told to wait. */
  #told = 0;
  readonly #finished = Promise.withResolvers<void>();

  constructor(start: StreamStart, options: StreamOptions) {
    this.#options = options;
    this.#cutter = options.format.newCutter(options.earlier);
    this.#knownPreamble = this.#cutter.preamble;
    this.#definition = {
      id: randomBytes(16).toString('hex'),
      sensor: start.sensor,
      topic: start.topic,
      type: start.type,
      preamble: this.#knownPreamble,
      ...(start.metaHeader === undefined ? {} : { metaHeader: start.metaHeader }),
    };
    this.#sink = {
      records: (pieces, bytes, records) => {
        this.#nextPreamble ??= this.#cutter.preamble;
        this.#records(pieces, bytes, records);
      },
      cut: () => this.#cut(),
      skipped: (bytes, why) => this.#skipped(bytes, why),
    };
    const log = options.journal.get(start.topic);
    if (log !== undefined) this.#use(log);
    if (log === undefined || options.after !== undefined) void this.#prepare();
  }

  /** 32 hexadecimal digits. */
  get id(): string {
    return this.#definition.id;
  }

  /** Whether the stream has anything to keep. */
  get hasData(): boolean {
    return this.#hasData;
  }

  get isEnded(): boolean {
    return this.#ended;
  }

  /** What waits for the journal, in bytes; an estimate of its memory. */
  get pendingBytes(): number {
    return this.#inFlightCost + this.#earlyBytes + (this.#builder?.cost ?? 0);
  }

  /** What the cutter holds of a record that is not whole, in bytes. */
  get unfinishedBytes(): number {
    return this.#cutter.pendingBytes;
  }

  /** The largest record that it may have to hold, in bytes. */
  get maxRecordBytes(): number {
    return this.#options.format.maxRecordBytes;
  }

  /** Resolved when the stream has ended and everything is committed, or lost. */
  get finished(): Promise<void> {
    return this.#finished.promise;
  }

  push(payload: Buffer): RefusalCode | undefined {
    return this.#ended ? undefined : this.#cutter.push(payload, this.#sink);
  }

  /** Appends what has gathered, unless an append is under way; to be called after each chunk. */
  flush(): void {
    if (!this.#busy && this.#builder?.isEmpty === false) void this.#appendAll(this.#builder);
    this.#tell();
    const { preamble } = this.#cutter;
    if (preamble === this.#knownPreamble) return;
    this.#knownPreamble = preamble;
    this.#options.onPreamble(preamble);
  }

  /**
   * Ends the stream: its unfinished record becomes one, or a rest, and a `close` follows, if it ever had data.
   * @returns whether the sensor's next stream may begin with the rest of a record (rule 35)
   */
  end(): boolean {
    if (this.#ended) return false;
    try {
      const brokenOff = this.#endRecord();
      return brokenOff && this.#options.format.unfinished === 'record';
    } finally {
      this.#ended = true;
      if (this.#hasData) this.#noteLeftOut();
      this.#logLeftOut();
      if (this.#hasData) this.#whenOpen((builder) => builder.close());
      this.flush();
      if (!this.#busy) this.#finished.resolve();
    }
  }

  /** Only the cutter's answer says whether what it reports last is partial, so the reports wait for it. */
  #endRecord(): boolean {
    const reports: (() => void)[] = [];
    const brokenOff = this.#cutter.end({
      records: (pieces, bytes, records) => {
        this.#nextPreamble ??= this.#cutter.preamble;
        reports.push(() => this.#records(pieces, bytes, records));
      },
      cut: () => reports.push(() => this.#cut()),
      skipped: (bytes, why) => reports.push(() => this.#skipped(bytes, why)),
    });
    if (brokenOff) this.#whenOpen((builder) => builder.beginPartial());
    for (const report of reports) report();
    return brokenOff;
  }

  #records(pieces: readonly Buffer[], bytes: number, records: number): void {
    if (this.#leftOut !== undefined) {
      this.#noteLeftOut();
      this.#logLeftOut();
    }
    if (!this.#hasData) {
      this.#hasData = true;
      const { format, continues } = this.#options;
      if (format.unfinished === 'record' && continues()) this.#whenOpen((builder) => builder.beginContinued());
    }
    this.#position += bytes;
    this.records += records;
    // Said twice, so that the hot path makes no closure.
    if (this.#builder !== undefined) {
      this.#builder.records(pieces, bytes, records);
      return;
    }
    this.#earlyBytes += bytes;
    this.#early.push((builder) => builder.records(pieces, bytes, records));
  }

  #cut(): void {
    this.cuts += 1;
    this.#whenOpen((builder) => builder.cut());
  }

  #skipped(bytes: number, why: string): void {
    this.skippedBytes += bytes;
    const from = this.#position;
    this.#position += bytes;
    if (this.#leftOut === undefined) {
      const isLogged = this.#options.mayLog();
      this.#leftOut = { from, to: from, why, isLogged };
      const { sensor, topic, id } = this.#definition;
      if (isLogged) this.#options.log.warn({ sensor, topic, stream: id, from, why }, 'bytes of a stream are left out');
    }
    this.#leftOut.to = this.#position;
  }

  /** A `gap` takes the place of what was left out (rule 31). */
  #noteLeftOut(): void {
    if (this.#leftOut === undefined) return;
    const { from, to, why } = this.#leftOut;
    this.#whenOpen((builder) => builder.gap(from, to, why));
  }

  #logLeftOut(): void {
    const leftOut = this.#leftOut;
    this.#leftOut = undefined;
    if (leftOut === undefined || !leftOut.isLogged) return;
    const { from, to, why } = leftOut;
    const { sensor, topic, id } = this.#definition;
    const fields = { sensor, topic, stream: id, from, to, bytes: to - from, why };
    this.#options.log.warn(fields, 'so many bytes of a stream were left out');
  }

  #whenOpen(action: (builder: DraftBuilder) => void): void {
    if (this.#builder === undefined) this.#early.push(action);
    else action(this.#builder);
  }

  #use(log: AppendLog): DraftBuilder {
    const builder = new DraftBuilder(this.#options.format, log.maxEntryBytes);
    for (const action of this.#early) action(builder);
    this.#early = [];
    this.#earlyBytes = 0;
    this.#log = log;
    this.#builder = builder;
    return builder;
  }

  /** What the first append has to wait for: the topic, and streams that have to come before this one. */
  async #prepare(): Promise<void> {
    this.#busy = true;
    const { journal, after } = this.#options;
    let builder = this.#builder;
    try {
      builder ??= this.#use(await this.#untilDone(() => journal.open(this.#definition.topic)));
    } catch (error) {
      this.#breakOff(error);
      this.#finished.resolve();
      return;
    }
    await after;
    await this.#appendAll(builder);
  }

  async #appendAll(builder: DraftBuilder): Promise<void> {
    this.#busy = true;
    while (!builder.isEmpty) {
      this.#inFlightCost = builder.cost;
      const drafts = builder.take();
      const preamble = this.#nextPreamble ?? this.#definition.preamble;
      this.#nextPreamble = undefined;
      if (preamble !== this.#definition.preamble) this.#definition = { ...this.#definition, preamble };
      try {
        await this.#append(drafts);
      } catch (error) {
        this.#breakOff(error);
        break;
      }
      this.#inFlightCost = 0;
      this.#tell();
    }
    this.#busy = false;
    if (this.#ended) this.#finished.resolve();
  }

  async #append(drafts: readonly EntryDraft[]): Promise<void> {
    const log = this.#log;
    if (log === undefined) return;
    await this.#untilDone(() => log.append(this.#definition, this.#offset, drafts));
    for (const draft of drafts) this.#offset += advanceOf(draft);
  }

  /** Does something with the journal, again and again while the journal fails, with everything held meanwhile. */
  async #untilDone<T>(action: () => Promise<T>): Promise<T> {
    const { pressure } = this.#options;
    for (let again = false; ; again = true) {
      try {
        const result = await action();
        if (again) pressure.recovered();
        return result;
      } catch (error) {
        if (error instanceof D4Error && error.code === 'D4_JOURNAL_OFFSET') {
          if (again) pressure.recovered();
          throw error;
        }
        await pressure.failed(error, again);
      }
    }
  }

  /** The journal holds another stream than this one thinks: what waits cannot be placed any more. */
  #breakOff(error: unknown): void {
    const { sensor, topic, id } = this.#definition;
    const lost = this.pendingBytes;
    this.#options.log.error({ err: error, sensor, topic, stream: id, lost }, 'a stream cannot be continued');
    this.#builder?.take();
    this.#inFlightCost = 0;
    this.#ended = true;
    this.#tell();
    this.#options.onBroken();
  }

  #tell(): void {
    const pending = this.pendingBytes;
    if (pending === this.#told) return;
    const change = pending - this.#told;
    this.#told = pending;
    this.#options.pressure.add(change);
    this.#options.share.add(change);
  }
}
