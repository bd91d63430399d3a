import { randomBytes } from 'node:crypto';
import { D4Error, type RefusalCode } from '@d4ts/protocol';
import type { Logger } from 'pino';
import type { CutSink, Cutter, Format } from '../formats/port.ts';
import type { EntryDraft, StreamDefinition, TopicLog } from '../journal/port.ts';
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
  /** Streams of the same sensor and topic that have ended and must be in the journal before this one (rule 21). */
  readonly after: Promise<void> | undefined;
  /** Asked when the first records come: whether an earlier session broke off in mid-record (rule 35). */
  readonly continues: () => boolean;
  /** Called when something has been committed, and so less waits. */
  readonly onCommitted: () => void;
  /** Called when the stream cannot go on; what it held is lost. */
  readonly onBroken: () => void;
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
  /** When skipped bytes are logged again: a stream may be one long skip. */
  #skippedLoggedFrom = 1;

  readonly #options: StreamOptions;
  readonly #cutter: Cutter;
  readonly #sink: CutSink;
  #definition: StreamDefinition;
  #log: AppendLog | undefined;
  /** Made when the topic is open; until then `#early` holds what is to be told to it. */
  #builder: DraftBuilder | undefined;
  #early: ((builder: DraftBuilder) => void)[] = [];
  #earlyBytes = 0;
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
    this.#cutter = options.format.newCutter();
    this.#definition = {
      id: randomBytes(16).toString('hex'),
      sensor: start.sensor,
      topic: start.topic,
      type: start.type,
      preamble: this.#cutter.preamble,
      ...(start.metaHeader === undefined ? {} : { metaHeader: start.metaHeader }),
    };
    this.#sink = {
      records: (pieces, bytes, records) => this.#records(pieces, bytes, records),
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
  }

  /**
   * Ends the stream: its unfinished record becomes one, and a `close` follows, if it ever had data.
   * @returns whether it ended within a record
   */
  end(): boolean {
    if (this.#ended) return false;
    this.#whenOpen((builder) => builder.beginPartial());
    try {
      return this.#cutter.end(this.#sink);
    } finally {
      this.#ended = true;
      if (this.#hasData) this.#whenOpen((builder) => builder.close());
      this.flush();
      if (!this.#busy) this.#finished.resolve();
    }
  }

  #records(pieces: readonly Buffer[], bytes: number, records: number): void {
    if (!this.#hasData) {
      this.#hasData = true;
      if (this.#options.continues()) this.#whenOpen((builder) => builder.beginContinued());
    }
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
    if (this.skippedBytes < this.#skippedLoggedFrom) return;
    this.#skippedLoggedFrom = this.skippedBytes * 10;
    const { sensor, topic, id } = this.#definition;
    this.#options.log.warn(
      { sensor, topic, stream: id, bytes, why, skippedBytes: this.skippedBytes },
      'bytes of a stream were left out',
    );
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
      try {
        await this.#append(drafts);
      } catch (error) {
        this.#breakOff(error);
        break;
      }
      this.#inFlightCost = 0;
      this.#tell();
      this.#options.onCommitted();
    }
    this.#busy = false;
    if (this.#ended) this.#finished.resolve();
  }

  async #append(drafts: readonly EntryDraft[]): Promise<void> {
    const log = this.#log;
    if (log === undefined) return;
    if (this.#definition.preamble !== this.#cutter.preamble) {
      this.#definition = { ...this.#definition, preamble: this.#cutter.preamble };
    }
    await this.#untilDone(() => log.append(this.#definition, this.#offset, drafts));
    for (const draft of drafts) this.#offset += draft.bytes;
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
  }
}
