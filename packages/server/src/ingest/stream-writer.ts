import { randomBytes } from 'node:crypto';
import { D4Error, END_CAUSE, type EndCause, type RefusalCode, runningCrc } from '@d4ts/protocol';
import type { Logger } from 'pino';
import type { CutSink, Cutter, Format } from '../formats/port.ts';
import {
  advanceOf,
  ENTRY_FLAG,
  type EntryDraft,
  type StreamDefinition,
  type StreamState,
  type TopicLog,
} from '../journal/port.ts';
import type { AckStreamSink } from './ack-session.ts';
import { type AcknowledgedStream, cutterFor, type ResumedStream, SERVER_LOST } from './acknowledged-stream.ts';
import type { BackPressure } from './back-pressure.ts';
import { DraftBuilder } from './drafts.ts';
import type { StreamStart } from './session.ts';

/** What a stream needs of the journal. */
export type AppendLog = Pick<TopicLog, 'append' | 'maxEntryBytes'>;

/** Where streams find their topics. */
export interface StreamJournal {
  get(topic: string): AppendLog | undefined;
  open(topic: string): Promise<AppendLog>;
}

/** How to write a stream. */
export interface StreamOptions {
  /** Of an acknowledged stream; each session of another client is a stream of its own. */
  readonly acknowledged?: AcknowledgedStream;
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
  /** Of an acknowledged stream: CRC-32 up to `from`, and what its cutter was in the middle of there. */
  readonly before: Pick<StreamState, 'crc' | 'within'>;
}

/** So much of an acknowledged stream may be left out before that is written down, so that it can be acknowledged. */
const UNNOTED_BYTES = 1024 * 1024;

/**
 * One session's stream on its way into the journal: cut, drafted and appended, one append at a time; what arrives
 * meanwhile gathers (docs/journal.md, rules 9 and 15).
 */
export class StreamWriter implements AckStreamSink {
  /** Items that were found so far (rule 7). */
  records = 0;
  /** Records that were cut at the format's limit, and bytes that the cutter left out. */
  cuts = 0;
  skippedBytes = 0;

  readonly #options: StreamOptions;
  #cutter: Cutter;
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
  #broken = false;
  /** The stream's length in the journal. */
  #offset = 0;
  /** Bytes of the stream that came in an earlier session, or will never come. */
  #notCome = 0;
  /** CRC-32 of an acknowledged stream up to `#position`, and up to `#offset`; undefined where it is not known. */
  #crc: number | undefined = 0;
  #crcAtOffset: number | undefined = 0;
  /** What the cutter is in the middle of behind a `gap` that ends at `#position`. */
  #within: string | undefined;
  /** Bytes of the cutter's next report that are in the journal, as fragments. */
  #repeated = 0;
  /** Whether an append, or what must come before the first one, is under way. */
  #busy = false;
  #inFlightCost = 0;
  /** What `pressure` was told to wait. */
  #told = 0;
  readonly #finished = Promise.withResolvers<void>();

  constructor(start: StreamStart, options: StreamOptions) {
    this.#options = options;
    const { acknowledged } = options;
    this.#cutter = cutterFor(options.format, options.earlier, acknowledged?.resumed);
    this.#knownPreamble = this.#cutter.preamble;
    this.#definition = {
      id: acknowledged?.id ?? randomBytes(16).toString('hex'),
      sensor: start.sensor,
      topic: start.topic,
      type: start.type,
      preamble: this.#knownPreamble,
      ...(start.metaHeader === undefined ? {} : { metaHeader: start.metaHeader }),
      ...(acknowledged === undefined ? {} : { acknowledged: { previous: acknowledged.previous } }),
    };
    this.#sink = {
      records: (pieces, bytes, records) => {
        this.#nextPreamble ??= this.#cutter.preamble;
        this.#records(pieces, bytes, records);
      },
      cut: () => this.#cut(),
      skipped: (bytes, why, leftOut) => this.#skipped(bytes, why, leftOut),
    };
    if (acknowledged?.resumed !== undefined) this.#resume(acknowledged.resumed);
    const log = options.journal.get(start.topic);
    if (log !== undefined) this.#use(log);
    if (log === undefined || options.after !== undefined) void this.#prepare();
  }

  /** 32 hexadecimal digits. */
  get id(): string {
    return this.#definition.id;
  }

  /** Whether it is acknowledged to its client. */
  get isAcknowledged(): boolean {
    return this.#options.acknowledged !== undefined;
  }

  /** Whether the journal would not go on with it: what it held is lost. */
  get isBroken(): boolean {
    return this.#broken;
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

  /** What came in this session and is in the journal, in bytes: as data, or as a gap. */
  get committedBytes(): number {
    return Math.max(0, this.#offset - this.#notCome);
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
    const leftOut = this.#leftOut;
    if (this.isAcknowledged && leftOut !== undefined && leftOut.to - leftOut.from >= UNNOTED_BYTES) {
      this.#noteLeftOut();
      this.#logLeftOut();
      this.#hasData = true;
    }
    if (!this.#busy && this.#builder?.isEmpty === false) void this.#appendAll(this.#builder);
    this.#tell();
    const { preamble } = this.#cutter;
    if (preamble === this.#knownPreamble) return;
    this.#knownPreamble = preamble;
    this.#options.onPreamble(preamble);
  }

  /**
   * Ends the stream: its unfinished record becomes one, or a rest, and a `close` follows, if it ever had data.
   * @param cause of an acknowledged stream's end
   * @returns whether the sensor's next stream may begin with the rest of a record (rule 35)
   */
  end(cause: EndCause = END_CAUSE.complete): boolean {
    if (this.#ended) return false;
    try {
      const brokenOff = this.#endRecord();
      return brokenOff && this.#options.format.unfinished === 'record';
    } finally {
      this.#ended = true;
      if (this.#hasData) this.#noteLeftOut();
      this.#logLeftOut();
      const flags = cause === END_CAUSE.aborted ? ENTRY_FLAG.aborted : 0;
      if (this.#hasData) this.#whenOpen((builder) => builder.close(flags));
      this.flush();
      if (!this.#busy) this.#finished.resolve();
    }
  }

  /**
   * Lets go of an acknowledged stream: what was found of whole records is appended, the rest the client sends again when
   * it comes back.
   */
  detach(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#logLeftOut();
    this.flush();
    if (!this.#busy) this.#finished.resolve();
  }

  /**
   * Bytes of an acknowledged stream, up to an offset, will never come: the record before them ends there, and another
   * one begins behind them.
   * @param crc the CRC-32 of the stream from there on
   */
  leaveOut(to: number, cause: string, crc: number): void {
    if (this.#ended) return;
    this.#endRecord();
    if (this.#leftOut !== undefined) this.#noteLeftOut();
    this.#logLeftOut();
    const from = this.#position;
    this.#whenOpen((builder) => {
      builder.endPartial();
      builder.gap(from, to, cause, { crc, missing: true });
    });
    this.#hasData = true;
    this.#notCome += to - from;
    this.#position = to;
    this.#within = undefined;
    this.#crc = crc;
    this.#repeated = 0;
    const { format, earlier } = this.#options;
    this.#cutter = cutterFor(format, earlier, { offset: to, state: { crc, preamble: this.#cutter.preamble } });
  }

  /** Goes on where the journal ends. */
  #resume({ offset, state, fragments, lostTo }: ResumedStream): void {
    this.#offset = offset;
    this.#notCome = lostTo?.offset ?? offset;
    this.#position = offset;
    this.#crc = state.crc;
    this.#crcAtOffset = state.crc;
    this.#within = state.within;
    this.#hasData = offset > 0;
    if (fragments !== undefined) {
      // The cutter holds them until the record is whole, and reports it with them.
      this.#repeated = fragments.length;
      this.#cutter.push(fragments, this.#sink);
    }
    if (lostTo === undefined) return;
    this.#repeated = 0;
    this.#whenOpen((builder) => builder.gap(offset, lostTo.offset, SERVER_LOST, { crc: lostTo.crc, missing: true }));
    this.#hasData = true;
    this.#position = lostTo.offset;
    this.#within = undefined;
    this.#crc = lostTo.crc;
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
      skipped: (bytes, why, leftOut) => reports.push(() => this.#skipped(bytes, why, leftOut)),
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
    this.records += records;
    if (this.isAcknowledged && this.#repeated > 0) {
      this.#recordsBehindFragments(Buffer.concat(pieces, bytes), records);
      return;
    }
    this.#position += bytes;
    this.#within = undefined;
    if (this.isAcknowledged) for (const piece of pieces) this.#addToCrc(piece);
    // Said twice, so that the hot path makes no closure.
    if (this.#builder !== undefined) {
      this.#builder.records(pieces, bytes, records);
      return;
    }
    this.#earlyBytes += bytes;
    this.#early.push((builder) => builder.records(pieces, bytes, records));
  }

  /** The rest of a record that is in the journal in part, and what was reported with it. */
  #recordsBehindFragments(bytes: Buffer, records: number): void {
    const { format } = this.#options;
    const repeated = Math.min(this.#repeated, bytes.length);
    this.#repeated -= repeated;
    const recordEnd = Math.max(repeated, format.recordEnd(bytes, 0, this.#cutter.preamble));
    const items = records > 0 && format.itemEnd(bytes, 0, recordEnd, this.#cutter.preamble) > 0 ? 1 : 0;
    const rest = bytes.subarray(repeated, recordEnd);
    const others = bytes.subarray(recordEnd);
    this.#position += bytes.length - repeated;
    this.#addToCrc(bytes.subarray(repeated));
    this.#whenOpen((builder) => {
      if (rest.length > 0) builder.continueRecord(rest, items);
      if (others.length > 0) builder.records([others], others.length, records - items);
    });
  }

  #addToCrc(bytes: Buffer): void {
    if (this.#crc !== undefined) this.#crc = runningCrc(this.#crc, bytes);
  }

  #cut(): void {
    this.cuts += 1;
    this.#whenOpen((builder) => builder.cut());
  }

  #skipped(reported: number, why: string, leftOut: Buffer): void {
    const repeated = Math.min(this.#repeated, reported);
    this.#repeated -= repeated;
    const bytes = reported - repeated;
    if (bytes === 0) return;
    this.skippedBytes += bytes;
    const before = { crc: this.#crc, within: this.#within };
    if (this.isAcknowledged) this.#addToCrc(leftOut.subarray(repeated));
    const from = this.#position;
    this.#position += bytes;
    if (this.#leftOut === undefined) {
      const isLogged = this.#options.mayLog();
      this.#leftOut = { from, to: from, why, isLogged, before };
      const { sensor, topic, id } = this.#definition;
      if (isLogged) this.#options.log.warn({ sensor, topic, stream: id, from, why }, 'bytes of a stream are left out');
    }
    this.#leftOut.to = this.#position;
  }

  /** A `gap` takes the place of what was left out (rule 31). */
  #noteLeftOut(): void {
    if (this.#leftOut === undefined) return;
    const { from, to, why } = this.#leftOut;
    this.#within = this.#cutter.within;
    const then = this.isAcknowledged ? { crc: this.#crc, within: this.#within } : undefined;
    this.#whenOpen((builder) => builder.gap(from, to, why, then));
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
      const after = this.isAcknowledged ? this.#stateBehindDrafts() : undefined;
      if (preamble !== this.#definition.preamble || after !== undefined) this.#redefine(preamble);
      try {
        await this.#append(drafts, after);
      } catch (error) {
        this.#breakOff(error);
        break;
      }
      this.#inFlightCost = 0;
      this.#tell();
      this.#options.acknowledged?.onCommitted(this.#offset);
    }
    this.#busy = false;
    if (this.#ended) this.#finished.resolve();
  }

  /** How an acknowledged stream stands behind what was taken from the builder: what is left out may not be in it yet. */
  #stateBehindDrafts(): StreamState {
    const { preamble } = this.#cutter;
    const { crc, within } = this.#leftOut?.before ?? { crc: this.#crc, within: this.#within };
    return { crc, preamble, within };
  }

  /** Says how the stream is as of the first byte of the next append. */
  #redefine(preamble: Buffer): void {
    const { acknowledged } = this.#options;
    if (acknowledged === undefined) this.#definition = { ...this.#definition, preamble };
    else {
      const { previous } = acknowledged;
      this.#definition = { ...this.#definition, preamble, acknowledged: { crc: this.#crcAtOffset, previous } };
    }
  }

  async #append(drafts: readonly EntryDraft[], after: StreamState | undefined): Promise<void> {
    const log = this.#log;
    if (log === undefined) return;
    await this.#untilDone(() => log.append(this.#definition, this.#offset, drafts, after));
    this.#crcAtOffset = after?.crc;
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
    this.#broken = true;
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
