import { rm } from 'node:fs/promises';
import { D4Error, type SensorId } from '@d4ts/protocol';
import type { Logger } from 'pino';
import { appendBytes, type LaidOutBatch, layOut, type PendingAppend } from './batch.ts';
import { MAX_DEFINE_BYTES, MAX_ENTRY_BYTES } from './entry-format.ts';
import { recordFindings, recordNotes } from './findings.ts';
import {
  advanceOf,
  type Commit,
  ENTRY_FLAG,
  ENTRY_KIND,
  type Entry,
  type EntryDraft,
  type Position,
  type SegmentFacts,
  type SensorContents,
  type StreamDefinition,
  type StreamPosition,
  type StreamState,
  type TopicLog,
  type TopicSelection,
  type TopicStats,
} from './port.ts';
import { countSetAside, recoverTopic } from './recovery.ts';
import { createSegment, type Segment, saveIndex } from './segment.ts';
import { eraseFromSegment } from './segment-erasure.ts';
import { type OpenStream, SegmentIndex, type Tally } from './segment-index.ts';
import { SegmentReader } from './segment-reader.ts';
import { BatchMemory, SegmentWriter } from './segment-writer.ts';
import { Selections } from './selections.ts';
import { SensorSelection } from './sensor-selection.ts';
import { saveStreamTable } from './stream-table.ts';

/** When a commit counts: after `fdatasync`; written, and synced each second; or written, and synced by the system. */
export type SyncPolicy = 'fsync' | 'interval' | 'os';

/** How a topic's files are kept. */
export interface TopicOptions {
  readonly folder: string;
  readonly topic: string;
  readonly policy: SyncPolicy;
  /** A segment is sealed at this length in bytes, or at this age in ms (docs/journal.md, rule 3). */
  readonly segmentBytes: number;
  readonly segmentMs: number;
  /**
   * New entries have this sequence or a later one: one above every entry that a cursor has passed or is inside of
   * (rule 12). A cursor that waits for entry n has passed n - 1.
   */
  readonly minimumSequence: number;
  readonly log: Logger;
}

const MAX_BATCH_BYTES = 16 * 1024 * 1024;
/** How much longer and older a segment gets while a stream is inside a fragmented record. */
const FRAGMENT_PATIENCE = 2;
const SYNC_INTERVAL_MS = 1000;
const CUT: EntryDraft = { kind: ENTRY_KIND.cut, flags: 0, pieces: [], bytes: 0, records: 0 };

/** The open segment: where batches go. */
interface Tail {
  readonly segment: Segment;
  readonly writer: SegmentWriter;
  readonly index: SegmentIndex;
  readonly numbers: Map<string, number>;
  nextStream: number;
  /** Streams inside a fragmented record (rule 3). */
  readonly fragmented: Set<string>;
  /** On the monotonic clock, ms. */
  readonly openedAt: number;
  unsynced: boolean;
  /** A sync failed in the background: nothing more is written to it (rule 11). */
  suspect: boolean;
}

/** A topic in segment files of one folder. */
export class FileTopicLog implements TopicLog {
  readonly topic: string;
  readonly maxEntryBytes: number = MAX_ENTRY_BYTES;
  readonly #options: TopicOptions;
  readonly #segments: Segment[];
  readonly #streams: Map<string, OpenStream>;
  readonly #reader: SegmentReader;
  readonly #listeners = new Set<(commit: Commit) => void>();
  readonly #selections = new Selections();
  #tail: Tail | undefined;
  #pending: PendingAppend[] = [];
  #cuts: Pick<PendingAppend, 'stream' | 'resolve' | 'reject'>[] = [];
  /** Streams with an append that is not resolved: one each (rule 15). */
  readonly #inFlight = new Set<string>();
  #committing: Promise<void> | undefined;
  #sealing: Promise<void> = Promise.resolve();
  readonly #memory = new BatchMemory();
  #nextSequence: number;
  #lastTime: number;
  #gaps = 0;
  #gapBytes = 0;
  #syncTimer: NodeJS.Timeout | undefined;
  /** The next batch goes to a new segment. */
  #renewing = false;
  #closed = false;

  private constructor(options: TopicOptions, segments: Segment[], streams: Map<string, OpenStream>, next: number) {
    this.topic = options.topic;
    this.#options = options;
    this.#segments = segments;
    this.#streams = streams;
    this.#reader = new SegmentReader(options.topic, options.log);
    this.#nextSequence = next;
    this.#lastTime = Math.max(0, ...segments.map((segment) => segment.lastTime));
    let ordinal = 0;
    for (const segment of segments) {
      segment.ordinal = ordinal;
      ordinal += segment.records;
    }
  }

  /** Opens a topic's folder, which must exist; ends the streams that a crash left open and records what is damaged. */
  static async open(options: TopicOptions): Promise<FileTopicLog> {
    const { folder, log, minimumSequence } = options;
    const found = await recoverTopic(folder, log);
    const next = Math.max(found.endSequence, minimumSequence);
    const topic = new FileTopicLog(options, found.segments, found.open, next);
    if (found.tail !== undefined) await topic.#startTail(found.tail);
    try {
      const hole = { from: found.endSequence, to: next };
      await recordFindings(topic, { gaps: found.gaps, hole, open: [...found.open.values()] }, log);
      await found.settle();
      const { gaps, bytes } = await countSetAside(folder);
      topic.#gaps = gaps + (hole.to > hole.from ? 1 : 0);
      topic.#gapBytes = bytes;
      return topic;
    } catch (error) {
      await topic.close();
      throw error;
    }
  }

  get endSequence(): number {
    return this.#segments.at(-1)?.endSequence ?? this.#nextSequence;
  }

  get firstSequence(): number {
    return this.#segments[0]?.firstSequence ?? this.#nextSequence;
  }

  get endOrdinal(): number {
    const last = this.#segments.at(-1);
    return last === undefined ? 0 : last.ordinal + last.records;
  }

  append(
    stream: StreamDefinition,
    expectedOffset: number,
    drafts: readonly EntryDraft[],
    after?: StreamState,
  ): Promise<void> {
    const refusal = this.#refusalOf(stream, expectedOffset, drafts);
    if (refusal !== undefined) return Promise.reject(refusal);
    this.#inFlight.add(stream.id);
    return new Promise((resolve, reject) => {
      this.#pending.push({ stream, offset: expectedOffset, drafts, after, resolve, reject });
      this.#committing ??= this.#commitAll();
    });
  }

  lastOf(id: string): StreamPosition | undefined {
    const open = this.#streams.get(id);
    return open === undefined ? undefined : positionOf(open);
  }

  openStreams(): StreamPosition[] {
    return [...this.#streams.values()].map(positionOf).filter((position) => position !== undefined);
  }

  cut(stream: StreamDefinition): Promise<void> {
    if (this.#closed) return Promise.reject(new D4Error('D4_JOURNAL_FAILED', `topic ${this.topic} is closed`));
    return new Promise((resolve, reject) => {
      this.#cuts.push({ stream, resolve, reject });
      this.#committing ??= this.#commitAll();
    });
  }

  #refusalOf(stream: StreamDefinition, expectedOffset: number, drafts: readonly EntryDraft[]): D4Error | undefined {
    if (this.#closed) return new D4Error('D4_JOURNAL_FAILED', `topic ${this.topic} is closed`);
    if (this.#inFlight.has(stream.id)) {
      return new D4Error(
        'D4_JOURNAL_OFFSET',
        `${this.#nameOf(stream)} has an append in flight: wait until it is resolved`,
      );
    }
    const length = this.#streams.get(stream.id)?.offset ?? 0;
    if (length !== expectedOffset) {
      return new D4Error(
        'D4_JOURNAL_OFFSET',
        `${this.#nameOf(stream)} has ${length} bytes, the append expects ${expectedOffset}`,
      );
    }
    // In JSON a character takes six bytes at the most, in base64 a byte less than two.
    if ((stream.metaHeader?.length ?? 0) * 6 + stream.preamble.length * 2 > MAX_DEFINE_BYTES - 1024) {
      return new D4Error(
        'D4_JOURNAL_ENTRY',
        `${this.#nameOf(stream)} has a meta header or preamble that is too long for an entry`,
      );
    }
    for (const { bytes, pieces } of drafts) {
      const sum = pieces.reduce((total, piece) => total + piece.length, 0);
      if (bytes === sum && bytes <= this.maxEntryBytes) continue;
      const message = `${this.#nameOf(stream)}: an entry of ${bytes} bytes in pieces of ${sum}; at most ${this.maxEntryBytes} are allowed`;
      return new D4Error('D4_JOURNAL_ENTRY', message);
    }
    return undefined;
  }

  #nameOf(stream: StreamDefinition): string {
    return `stream ${stream.id} of topic ${this.topic}`;
  }

  async read(sequence: number, maxBytes: number): Promise<Entry[]> {
    for (let wanted = sequence; ; ) {
      const segment = this.#segmentOf(wanted);
      if (segment === undefined) return [];
      // What is committed while reading goes on has not been looked at.
      const { endSequence } = segment;
      const entries = await this.#ifHeld(segment, () => this.#reader.read(segment, wanted, maxBytes));
      if (entries !== undefined && entries.length > 0) return entries;
      wanted = endSequence;
    }
  }

  async ordinalOf(position: Position): Promise<number> {
    for (;;) {
      const segment = this.#segmentOf(position.sequence);
      if (segment === undefined) return this.endOrdinal;
      if (position.sequence < segment.firstSequence) return segment.ordinal;
      const before = await this.#ifHeld(segment, () => this.#reader.recordsBefore(segment, position));
      if (before !== undefined) return segment.ordinal + before;
    }
  }

  async positionOf(ordinal: number): Promise<Position> {
    for (;;) {
      const segment = this.#segments.find((held) => held.ordinal + held.records > ordinal);
      if (segment === undefined) return { sequence: this.endSequence, record: 0 };
      const record = Math.max(0, ordinal - segment.ordinal);
      const position = await this.#ifHeld(segment, () => this.#reader.positionOfRecord(segment, record));
      if (position !== undefined) return position;
    }
  }

  async positionAt(time: number): Promise<Position> {
    for (let from = this.firstSequence; ; ) {
      const segment = this.#segments.find((held) => held.firstSequence >= from && held.lastTime >= time);
      if (segment === undefined) return { sequence: this.endSequence, record: 0 };
      const { endSequence } = segment;
      const sequence = await this.#ifHeld(segment, () => this.#reader.sequenceAt(segment, time));
      if (sequence !== undefined) return { sequence, record: 0 };
      from = endSequence;
    }
  }

  async select(sensors: readonly SensorId[]): Promise<TopicSelection> {
    const selection = new SensorSelection(new Set(sensors), {
      reader: this.#reader,
      endSequence: () => this.endSequence,
      ifHeld: (segment, work) => this.#ifHeld(segment, work),
      closed: (closed) => this.#selections.delete(closed),
    });
    const tallies = new Map<Segment, Tally>();
    for (;;) {
      const next = this.#segments.find((segment) => segment !== this.#tail?.segment && !tallies.has(segment));
      if (next === undefined) break;
      tallies.set(next, (await this.#ifHeld(next, () => next.tally())) ?? new Map());
    }
    // From here on nothing can be committed in between.
    for (const segment of this.#segments) {
      const tally = tallies.get(segment);
      if (this.#tail?.segment === segment) selection.addOpen(segment, this.#tail.index);
      else if (tally !== undefined) selection.addSealed(segment, tally);
    }
    this.#selections.add(selection);
    return selection;
  }

  /** What `work` finds in a segment; undefined where retention has removed that meanwhile. */
  async #ifHeld<T>(segment: Segment, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (this.#segments.includes(segment)) throw error;
      return undefined;
    }
  }

  onCommit(listener: (commit: Commit) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  stats(): TopicStats {
    return {
      topic: this.topic,
      firstSequence: this.firstSequence,
      endSequence: this.endSequence,
      segments: this.#segments.length,
      bytes: this.#segments.reduce((sum, segment) => sum + segment.committedBytes, 0),
      records: this.endOrdinal - (this.#segments[0]?.ordinal ?? 0),
      gaps: this.#gaps,
      gapBytes: this.#gapBytes,
    };
  }

  async truncateBefore(sequence: number): Promise<void> {
    for (;;) {
      await this.#sealing;
      const [oldest, next] = this.#segments;
      if (oldest === undefined || next === undefined || !oldest.sealed || next.firstSequence > sequence) return;
      this.#segments.shift();
      this.#selections.removed(oldest);
      await this.#reader.forget(oldest);
      await oldest.remove();
    }
  }

  segments(): SegmentFacts[] {
    return this.#segments.map(({ firstSequence, endSequence, committedBytes, records, lastTime, sealed }) => {
      return { firstSequence, endSequence, bytes: committedBytes, records, lastTime, sealed };
    });
  }

  async contentsOf(firstSequence: number): Promise<ReadonlyMap<SensorId, SensorContents>> {
    const contents = new Map<SensorId, SensorContents>();
    const segment = this.#segments.find((held) => held.firstSequence === firstSequence);
    const index = segment && (await this.#ifHeld(segment, () => segment.index()));
    for (const { definition, records, bytes, positions } of index?.streams.values() ?? []) {
      if (positions.length === 0) continue;
      const known = contents.get(definition.sensor) ?? { records: 0, bytes: 0 };
      contents.set(definition.sensor, { records: known.records + records, bytes: known.bytes + bytes });
    }
    return contents;
  }

  async itemsBetween(from: Position, to: number): Promise<ReadonlyMap<SensorId, number>> {
    const counts = new Map<SensorId, number>();
    const segments = this.#segments.filter((held) => held.endSequence > from.sequence && held.firstSequence < to);
    for (const segment of segments) {
      const index = await this.#ifHeld(segment, () => segment.index());
      for (const { definition, sequences, items } of index?.streams.values() ?? []) {
        let count = 0;
        for (const [i, sequence] of sequences.entries()) {
          if (sequence < from.sequence || sequence >= to) continue;
          const all = items[i] as number;
          count += sequence === from.sequence ? Math.max(0, all - from.record) : all;
        }
        if (count > 0) counts.set(definition.sensor, (counts.get(definition.sensor) ?? 0) + count);
      }
    }
    return counts;
  }

  async renew(why: string): Promise<void> {
    if (this.#tail === undefined || this.#tail.index.entries === 0) return;
    this.#renewing = true;
    await recordNotes(this, [{ renewed: why }]);
  }

  async erase(sensor: SensorId, sequence: number): Promise<SensorContents> {
    await this.#sealing;
    let [records, bytes] = [0, 0];
    for (const segment of this.#segments.filter((held) => held.sealed && held.firstSequence < sequence)) {
      const erased = await this.#ifHeld(segment, () => eraseFromSegment(segment, sensor));
      await this.#reader.forget(segment);
      records += erased?.records ?? 0;
      bytes += erased?.bytes ?? 0;
    }
    return { records, bytes };
  }

  /** Commits what has been appended, and closes the files; each read after that opens its file for itself. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#syncTimer);
    await this.#committing;
    await this.#sealing;
    const tail = this.#tail;
    this.#tail = undefined;
    try {
      if (tail?.unsynced) await tail.writer.datasync();
    } finally {
      await tail?.writer.close();
      await this.#reader.close();
    }
  }

  // Commits: one at a time; what is appended meanwhile forms the next batch (rule 9).

  async #commitAll(): Promise<void> {
    // A turn of the event loop, so that everything that arrived in this one goes into one batch.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#pending.length > 0 || this.#cuts.length > 0) {
      const batch = [...this.#takeCuts(), ...this.#takeBatch()];
      const startedAt = performance.now();
      const firstSequence = this.#nextSequence;
      try {
        await this.#commit(batch);
      } catch (error) {
        const failure = new D4Error(
          'D4_JOURNAL_FAILED',
          `cannot write topic ${this.topic}: ${messageOf(error)}`,
          error,
        );
        this.#options.log.error({ err: error, topic: this.topic }, 'the journal cannot be written');
        for (const append of batch) this.#settle(append).reject(failure);
        continue;
      }
      for (const append of batch) this.#settle(append).resolve();
      if (batch.length === 0) continue;
      this.#tellListeners({
        firstSequence,
        endSequence: this.#nextSequence,
        time: this.#lastTime,
        appends: batch,
        bytes: batch.reduce((sum, append) => sum + appendBytes(append), 0),
        durationMs: performance.now() - startedAt,
      });
    }
    this.#committing = undefined;
  }

  /** An append that is not in flight any more; a cut never was. */
  #settle(append: PendingAppend): PendingAppend {
    if (append.drafts[0] !== CUT) this.#inFlight.delete(append.stream.id);
    return append;
  }

  #tellListeners(commit: Commit): void {
    for (const listener of this.#listeners) {
      try {
        listener(commit);
      } catch (error) {
        this.#options.log.error({ err: error, topic: this.topic }, 'a listener failed after a commit');
      }
    }
  }

  /** Cuts come first in a batch: there each stream is as long as was committed. */
  #takeCuts(): PendingAppend[] {
    const cuts = this.#cuts.splice(0);
    return cuts.flatMap(({ stream, resolve, reject }) => {
      const open = this.#streams.get(stream.id);
      if (open !== undefined && !this.#tail?.fragmented.has(stream.id)) {
        return [{ stream: asItStands(stream, open), offset: open.offset, drafts: [CUT], resolve, reject }];
      }
      resolve();
      return [];
    });
  }

  #takeBatch(): PendingAppend[] {
    let bytes = 0;
    let count = 0;
    for (const append of this.#pending) {
      if (count > 0 && bytes > MAX_BATCH_BYTES) break;
      bytes += appendBytes(append);
      count += 1;
    }
    if (count === this.#pending.length) {
      const batch = this.#pending;
      this.#pending = [];
      return batch;
    }
    return this.#pending.splice(0, count);
  }

  async #commit(batch: readonly PendingAppend[]): Promise<void> {
    try {
      await this.#write(batch, await this.#tailForWriting());
    } catch (error) {
      // A failed sync is never retried on the same file (rule 11).
      this.#options.log.error(
        { err: error, topic: this.topic },
        'a write to the journal failed: going on in a new segment',
      );
      await this.#abandonTail();
      await this.#write(batch, await this.#tailForWriting());
    }
  }

  async #write(batch: readonly PendingAppend[], tail: Tail): Promise<void> {
    const { segment, writer } = tail;
    this.#lastTime = Math.max(this.#lastTime, Date.now());
    const start = {
      sequence: this.#nextSequence,
      time: this.#lastTime,
      salt: segment.header.salt,
      position: segment.committedBytes,
      lead: writer.lead,
      numbers: tail.numbers,
      nextStream: tail.nextStream,
    };
    const laidOut = layOut(batch, start, (bytes) => this.#memory.room(bytes));
    await writer.write(laidOut.memory, laidOut.end);
    const isAcknowledged = batch.some(({ after }) => after !== undefined);
    if (this.#options.policy === 'fsync' || isAcknowledged) {
      await writer.datasync();
      tail.unsynced = false;
    } else this.#syncLater(tail);
    writer.committed(laidOut.memory, laidOut.end);
    this.#memory.written();
    this.#publish(batch, tail, laidOut);
  }

  #publish(batch: readonly PendingAppend[], tail: Tail, laidOut: LaidOutBatch): void {
    const { segment, index } = tail;
    const position = segment.committedBytes;
    for (const entry of laidOut.entries) {
      if (entry.definition !== undefined) tail.numbers.set(entry.definition.id, entry.header.stream);
      index.add(entry.header, position + entry.at, entry.definition);
    }
    tail.nextStream = laidOut.nextStream;
    segment.committedBytes = position + laidOut.bytes;
    segment.takeTotals(index);
    if (this.#segments.at(-1) !== segment) {
      segment.ordinal = this.endOrdinal;
      this.#segments.push(segment);
    }
    this.#selections.committed(segment, index, laidOut.entries, position);
    this.#nextSequence = laidOut.nextSequence;
    // A `cut` does not know the preamble at its place: the next data of the stream are defined anew.
    const withData = new Set(batch.filter(({ drafts }) => drafts[0] !== CUT).map(({ stream }) => stream.id));
    for (const { definition } of laidOut.entries) {
      if (definition !== undefined && !withData.has(definition.id)) tail.numbers.delete(definition.id);
    }
    for (const { stream, offset, drafts, after } of batch) {
      let end = offset;
      let closed = false;
      let inFragments = false;
      for (const draft of drafts) {
        end += advanceOf(draft);
        if (draft.kind === ENTRY_KIND.close) closed = true;
        inFragments = (draft.flags & (ENTRY_FLAG.first | ENTRY_FLAG.middle)) !== 0;
      }
      if (inFragments && !closed) tail.fragmented.add(stream.id);
      else tail.fragmented.delete(stream.id);
      const before = this.#streams.get(stream.id);
      if (closed) this.#streams.delete(stream.id);
      else if (after !== undefined) {
        this.#streams.set(stream.id, { definition: stream, offset: end, last: { state: after, time: this.#lastTime } });
      } else if (before?.last === undefined) this.#streams.set(stream.id, { definition: stream, offset: end });
    }
  }

  #syncLater(tail: Tail): void {
    tail.unsynced = true;
    if (this.#options.policy !== 'interval') return;
    this.#syncTimer ??= setInterval(() => {
      const current = this.#tail;
      if (current === undefined || !current.unsynced) return;
      current.unsynced = false;
      current.writer.datasync().catch((error: unknown) => {
        this.#options.log.error({ err: error, topic: this.topic }, 'a sync of the journal failed');
        current.suspect = true;
      });
    }, SYNC_INTERVAL_MS).unref();
  }

  // Segments.

  async #tailForWriting(): Promise<Tail> {
    if (this.#tail?.suspect) await this.#abandonTail();
    const tail = this.#tail;
    if (tail !== undefined) {
      const patience = tail.fragmented.size > 0 ? FRAGMENT_PATIENCE : 1;
      const old = performance.now() - tail.openedAt >= this.#options.segmentMs * patience;
      const full = tail.segment.committedBytes >= this.#options.segmentBytes * patience;
      if (tail.index.entries === 0 || !(old || full || this.#renewing)) return tail;
      await this.#seal(tail);
      this.#renewing = false;
    }
    const { folder, topic } = this.#options;
    const fields = { topic, firstSequence: this.#nextSequence, createdAt: Date.now() };
    const segment = await createSegment(folder, fields);
    return this.#startTail({ segment, index: new SegmentIndex(segment.firstSequence) });
  }

  async #startTail(found: { segment: Segment; index: SegmentIndex }): Promise<Tail> {
    const writer = await SegmentWriter.open(found.segment.path, found.segment.committedBytes);
    const numbers = new Map<string, number>();
    let nextStream = 1;
    for (const [number, stream] of found.index.streams) {
      numbers.set(stream.definition.id, number);
      nextStream = Math.max(nextStream, number + 1);
    }
    const state = { openedAt: performance.now(), unsynced: false, suspect: false };
    found.segment.adopt(found.index);
    // A record that a crash left unfinished is gone on with (rule 40).
    const unfinished = [...this.#streams].filter(
      ([id, { last }]) => last?.fragmentFrom !== undefined && numbers.has(id),
    );
    const fragmented = new Set(unfinished.map(([id]) => id));
    this.#tail = { ...found, ...state, writer, numbers, nextStream, fragmented };
    return this.#tail;
  }

  async #seal(tail: Tail): Promise<void> {
    const open = [...this.#streams.values()];
    if (tail.unsynced) await tail.writer.datasync();
    this.#tail = undefined;
    tail.segment.sealed = true;
    this.#sealing = this.#sealing
      .then(() => saveIndex(tail.segment, tail.index, open))
      .then(() => saveStreamTable(this.#options.folder, { endSequence: tail.index.endSequence, open }))
      .then(() => this.#reader.forget(tail.segment))
      .catch((error: unknown) => {
        // The index can be made again from the segment.
        this.#options.log.warn({ err: error, segment: tail.segment.path }, 'cannot save the index of a segment');
      })
      .then(() => tail.writer.close())
      .catch(() => undefined);
  }

  /** Leaves a suspect segment behind; what was committed in it stays readable. */
  async #abandonTail(): Promise<void> {
    const tail = this.#tail;
    this.#tail = undefined;
    if (tail === undefined) return;
    tail.segment.sealed = true;
    await tail.writer.close().catch(() => undefined);
    // The next segment would have the same first sequence, and so the same name.
    if (tail.index.entries === 0) await rm(tail.segment.path, { force: true }).catch(() => undefined);
  }

  /** The segment that holds a sequence, or the first after it. */
  #segmentOf(sequence: number): Segment | undefined {
    let low = 0;
    let high = this.#segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#segments[middle] as Segment).endSequence <= sequence) low = middle + 1;
      else high = middle;
    }
    return this.#segments[low];
  }
}

function positionOf({ definition, offset, last }: OpenStream): StreamPosition | undefined {
  return last === undefined ? undefined : { definition, offset, ...last };
}

/** The definition of a stream as its next byte needs it; one that is not acknowledged as it was given. */
function asItStands(given: StreamDefinition, { definition, last }: OpenStream): StreamDefinition {
  if (last === undefined) return given;
  const { preamble, crc } = last.state;
  return { ...definition, preamble, acknowledged: { ...definition.acknowledged, crc } };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
