import { randomBytes } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { D4Error } from '@d4ts/protocol';
import type { Logger } from 'pino';
import { appendBytes, type LaidOutBatch, layOut, type PendingAppend } from './batch.ts';
import { MAX_ENTRY_BYTES } from './entry-format.ts';
import {
  ENTRY_FLAG,
  ENTRY_KIND,
  type Entry,
  type EntryDraft,
  type Position,
  type StreamDefinition,
  type TopicLog,
  type TopicStats,
} from './port.ts';
import { type FoundGap, recoverTopic } from './recovery.ts';
import { createSegment, type Segment, saveIndex } from './segment.ts';
import { type OpenStream, SegmentIndex } from './segment-index.ts';
import { SegmentReader } from './segment-reader.ts';

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
  /** Above every sequence that was recorded elsewhere, e.g. in a cursor (rule 12). */
  readonly minimumSequence: number;
  readonly log: Logger;
}

const MAX_BATCH_BYTES = 16 * 1024 * 1024;
const SYNC_INTERVAL_MS = 1000;
const SYNTHETIC_CLOSE: EntryDraft = {
  kind: ENTRY_KIND.close,
  flags: ENTRY_FLAG.crashed,
  pieces: [],
  bytes: 0,
  records: 0,
};

/** The open segment: where batches go. */
interface Tail {
  readonly segment: Segment;
  readonly file: FileHandle;
  readonly index: SegmentIndex;
  readonly numbers: Map<string, number>;
  nextStream: number;
  /** On the monotonic clock, ms. */
  readonly openedAt: number;
  unsynced: boolean;
}

/** A topic in segment files of one folder. */
export class FileTopicLog implements TopicLog {
  readonly topic: string;
  readonly maxEntryBytes: number = MAX_ENTRY_BYTES;
  readonly #options: TopicOptions;
  readonly #segments: Segment[];
  readonly #streams: Map<string, OpenStream>;
  readonly #reader: SegmentReader;
  readonly #listeners = new Set<() => void>();
  #tail: Tail | undefined;
  #pending: PendingAppend[] = [];
  #committing: Promise<void> | undefined;
  #sealing: Promise<void> = Promise.resolve();
  #slab: Buffer = Buffer.allocUnsafeSlow(64 * 1024);
  #nextSequence: number;
  #lastTime: number;
  #gaps = 0;
  #gapBytes = 0;
  #syncTimer: NodeJS.Timeout | undefined;
  #closed = false;

  private constructor(options: TopicOptions, segments: Segment[], streams: Map<string, OpenStream>) {
    this.topic = options.topic;
    this.#options = options;
    this.#segments = segments;
    this.#streams = streams;
    this.#reader = new SegmentReader(options.topic, options.log);
    const last = segments.at(-1);
    this.#nextSequence = Math.max(last?.endSequence ?? 1, options.minimumSequence);
    this.#lastTime = last?.lastTime ?? 0;
    this.#placeSegments();
  }

  /** Opens a topic's folder, which must exist; ends the streams that a crash left open and records what is damaged. */
  static async open(options: TopicOptions): Promise<FileTopicLog> {
    const found = await recoverTopic(options.folder, options.log);
    const topic = new FileTopicLog(options, found.segments, found.open);
    if (found.tail !== undefined) topic.#continueTail(found.tail);
    await topic.#recordFindings(found.gaps, [...found.open.values()]);
    return topic;
  }

  get endSequence(): number {
    const last = this.#segments.at(-1);
    return last === undefined ? this.#nextSequence : Math.max(last.endSequence, last.firstSequence);
  }

  get firstSequence(): number {
    return this.#segments[0]?.firstSequence ?? this.#nextSequence;
  }

  get endOrdinal(): number {
    const last = this.#segments.at(-1);
    return last === undefined ? 0 : last.ordinal + last.records;
  }

  append(stream: StreamDefinition, expectedOffset: number, drafts: readonly EntryDraft[]): Promise<void> {
    if (this.#closed) return Promise.reject(new D4Error('D4_JOURNAL_FAILED', `topic ${this.topic} is closed`));
    const length = this.#streams.get(stream.id)?.offset ?? 0;
    if (length !== expectedOffset) {
      const message = `stream ${stream.id} of topic ${this.topic} has ${length} bytes, the append expects ${expectedOffset}`;
      return Promise.reject(new D4Error('D4_JOURNAL_OFFSET', message));
    }
    return new Promise((resolve, reject) => {
      this.#pending.push({ stream, offset: expectedOffset, drafts, resolve, reject });
      this.#committing ??= this.#commitAll();
    });
  }

  async read(sequence: number, maxBytes: number): Promise<Entry[]> {
    for (let wanted = sequence; ; ) {
      const segment = this.#segmentOf(wanted);
      if (segment === undefined) return [];
      const entries = await this.#reader.read(segment, wanted, maxBytes);
      if (entries.length > 0) return entries;
      wanted = segment.endSequence;
      if (this.#segments.at(-1) === segment) return [];
      wanted = Math.max(wanted, this.#after(segment)?.firstSequence ?? wanted);
    }
  }

  async ordinalOf(position: Position): Promise<number> {
    const segment = this.#segmentOf(position.sequence);
    if (segment === undefined) return position.sequence < this.firstSequence ? 0 : this.endOrdinal;
    if (position.sequence <= segment.firstSequence) {
      return segment.ordinal + (position.sequence === segment.firstSequence ? position.record : 0);
    }
    const before = await this.#reader.recordsBefore(segment, position.sequence);
    return segment.ordinal + before + position.record;
  }

  async positionOf(ordinal: number): Promise<Position> {
    const segment = this.#segments.find((held) => held.ordinal + held.records > ordinal);
    if (segment === undefined) return { sequence: this.endSequence, record: 0 };
    return this.#reader.positionOfRecord(segment, Math.max(0, ordinal - segment.ordinal));
  }

  async positionAt(time: number): Promise<Position> {
    for (const segment of this.#segments) {
      if (segment.endSequence === segment.firstSequence || segment.lastTime < time) continue;
      const sequence = await this.#reader.sequenceAt(segment, time);
      if (sequence !== undefined) return { sequence, record: 0 };
    }
    return { sequence: this.endSequence, record: 0 };
  }

  onCommit(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  stats(): TopicStats {
    const damaged = this.#segments.reduce((sum, segment) => sum + segment.damageCount, 0);
    const damagedBytes = this.#segments.reduce((sum, segment) => sum + segment.damageBytes, 0);
    return {
      topic: this.topic,
      firstSequence: this.firstSequence,
      endSequence: this.endSequence,
      segments: this.#segments.length,
      bytes: this.#segments.reduce((sum, segment) => sum + segment.committedBytes, 0),
      records: this.endOrdinal - (this.#segments[0]?.ordinal ?? 0),
      gaps: Math.max(damaged, this.#gaps),
      gapBytes: Math.max(damagedBytes, this.#gapBytes),
    };
  }

  async truncateBefore(sequence: number): Promise<void> {
    for (;;) {
      const [oldest, next] = this.#segments;
      if (oldest === undefined || next === undefined || !oldest.sealed || next.firstSequence > sequence) return;
      this.#segments.shift();
      await oldest.remove();
    }
  }

  /** Commits what has been appended, and closes the files. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#syncTimer);
    while (this.#committing !== undefined) await this.#committing;
    await this.#sealing;
    const tail = this.#tail;
    this.#tail = undefined;
    if (tail !== undefined) {
      if (tail.unsynced) await tail.file.datasync();
      await tail.file.close();
    }
    for (const segment of this.#segments) await segment.releaseReader();
  }

  // Commits: one at a time; what is appended meanwhile forms the next batch (rule 9).

  async #commitAll(): Promise<void> {
    // A turn of the event loop, so that everything that arrived in this one goes into one batch.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#pending.length > 0) {
      const batch = this.#takeBatch();
      try {
        await this.#commit(batch);
      } catch (error) {
        const failure = new D4Error(
          'D4_JOURNAL_FAILED',
          `cannot write topic ${this.topic}: ${messageOf(error)}`,
          error,
        );
        this.#options.log.error({ err: error, topic: this.topic }, 'the journal cannot be written');
        for (const append of batch) append.reject(failure);
        continue;
      }
      for (const append of batch) append.resolve();
      for (const listener of this.#listeners) listener();
    }
    this.#committing = undefined;
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
    const { segment, file } = tail;
    this.#lastTime = Math.max(this.#lastTime, Date.now());
    const start = {
      sequence: this.#nextSequence,
      time: this.#lastTime,
      salt: segment.header.salt,
      numbers: tail.numbers,
      nextStream: tail.nextStream,
    };
    const laidOut = layOut(batch, start, this.#slab);
    this.#slab = laidOut.slab.length > MAX_BATCH_BYTES * 2 ? this.#slab : laidOut.slab;
    const position = segment.committedBytes;
    for (let written = 0; written < laidOut.bytes.length; ) {
      const { bytesWritten } = await file.write(
        laidOut.bytes,
        written,
        laidOut.bytes.length - written,
        position + written,
      );
      written += bytesWritten;
    }
    if (this.#options.policy === 'fsync') await file.datasync();
    else this.#syncLater(tail);
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
    segment.committedBytes = position + laidOut.bytes.length;
    segment.takeSummary(index);
    this.#nextSequence = laidOut.nextSequence;
    for (const { stream, offset, drafts } of batch) {
      let end = offset;
      let closed = false;
      for (const draft of drafts) {
        if (draft.kind === ENTRY_KIND.data) end += draft.bytes;
        if (draft.kind === ENTRY_KIND.close) closed = true;
      }
      if (closed) this.#streams.delete(stream.id);
      else this.#streams.set(stream.id, { definition: stream, offset: end });
    }
  }

  #syncLater(tail: Tail): void {
    tail.unsynced = true;
    if (this.#options.policy !== 'interval') return;
    this.#syncTimer ??= setInterval(() => {
      const current = this.#tail;
      if (current === undefined || !current.unsynced) return;
      current.unsynced = false;
      current.file.datasync().catch((error: unknown) => {
        this.#options.log.error({ err: error, topic: this.topic }, 'a sync of the journal failed');
        if (this.#tail === current) void this.#abandonTail();
      });
    }, SYNC_INTERVAL_MS).unref();
  }

  // Segments.

  async #tailForWriting(): Promise<Tail> {
    const tail = this.#tail;
    if (tail !== undefined) {
      const old = performance.now() - tail.openedAt >= this.#options.segmentMs;
      const full = tail.segment.committedBytes >= this.#options.segmentBytes;
      if (tail.index.entries === 0 || !(old || full)) return tail;
      await this.#seal(tail);
    }
    const { folder, topic } = this.#options;
    const fields = { topic, firstSequence: this.#nextSequence, createdAt: Date.now() };
    const { segment, file } = await createSegment(folder, fields);
    const index = new SegmentIndex(segment.firstSequence);
    segment.adopt(index);
    segment.ordinal = this.endOrdinal;
    this.#segments.push(segment);
    const fresh = {
      segment,
      file,
      index,
      numbers: new Map(),
      nextStream: 1,
      openedAt: performance.now(),
      unsynced: false,
    };
    this.#tail = fresh;
    return fresh;
  }

  async #seal(tail: Tail): Promise<void> {
    const open = [...this.#streams.values()];
    if (tail.unsynced) await tail.file.datasync();
    this.#tail = undefined;
    tail.segment.sealed = true;
    this.#sealing = this.#sealing
      .then(() => saveIndex(tail.segment, tail.index, open))
      .then(() => tail.segment.forgetIndex())
      .catch((error: unknown) => {
        // The index can be made again from the segment.
        this.#options.log.warn({ err: error, segment: tail.segment.path }, 'cannot save the index of a segment');
      })
      .then(() => tail.file.close())
      .catch(() => undefined);
  }

  /** Leaves a suspect segment behind; what was committed in it stays readable. */
  async #abandonTail(): Promise<void> {
    const tail = this.#tail;
    this.#tail = undefined;
    if (tail === undefined) return;
    tail.segment.sealed = true;
    await tail.file.truncate(tail.segment.committedBytes).catch(() => undefined);
    await tail.file.close().catch(() => undefined);
    if (tail.index.entries > 0) return;
    // The next segment has the same first sequence, and so the same name.
    this.#segments.splice(this.#segments.indexOf(tail.segment), 1);
    await tail.segment.releaseReader();
  }

  #continueTail(found: { segment: Segment; file: FileHandle; index: SegmentIndex }): void {
    const numbers = new Map<string, number>();
    let nextStream = 1;
    for (const [number, stream] of found.index.streams) {
      numbers.set(stream.definition.id, number);
      nextStream = Math.max(nextStream, number + 1);
    }
    this.#tail = { ...found, numbers, nextStream, openedAt: performance.now(), unsynced: false };
  }

  #placeSegments(): void {
    let ordinal = 0;
    for (const segment of this.#segments) {
      segment.ordinal = ordinal;
      ordinal += segment.records;
    }
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

  #after(segment: Segment): Segment | undefined {
    return this.#segments[this.#segments.indexOf(segment) + 1];
  }

  // What recovery found is written down, so that it is found only once.

  async #recordFindings(gaps: readonly FoundGap[], open: readonly OpenStream[]): Promise<void> {
    this.#gaps = gaps.length;
    this.#gapBytes = gaps.reduce((sum, gap) => sum + gap.to - gap.from, 0);
    const appends: Promise<void>[] = open.map((stream) =>
      this.append(stream.definition, stream.offset, [SYNTHETIC_CLOSE]),
    );
    if (gaps.length > 0) appends.push(this.#recordGaps(gaps));
    await Promise.all(appends);
  }

  #recordGaps(gaps: readonly FoundGap[]): Promise<void> {
    const stream: StreamDefinition = {
      id: randomBytes(16).toString('hex'),
      sensor: '00000000-0000-0000-0000-000000000000' as StreamDefinition['sensor'],
      topic: this.topic,
      type: 0,
      preamble: Buffer.alloc(0),
    };
    const drafts = gaps.map((gap): EntryDraft => {
      const body = Buffer.from(JSON.stringify(gap));
      return { kind: ENTRY_KIND.gap, flags: 0, pieces: [body], bytes: body.length, records: 0 };
    });
    const close: EntryDraft = { ...SYNTHETIC_CLOSE, flags: 0 };
    return this.append(stream, 0, [...drafts, close]);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
