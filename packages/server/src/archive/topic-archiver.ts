import { constants } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import type { Format, RecordArchive, RotatedArchive } from '../formats/port.ts';
import { ENTRY_FLAG, ENTRY_KIND, type Entry, type TopicLog } from '../journal/port.ts';
import { type Announcement, Announcer, announcementOf } from './announcement.ts';
import { ArchivedStream, type OpenFile } from './archived-stream.ts';
import type { Folders } from './folders.ts';
import { baseName, NameBook, streamFolder } from './names.ts';
import { type FinishedFile, type HeldMemory, PartFile } from './part-file.ts';
import type { Progress } from './progress.ts';
import { type RecordFileWriter, recordsOf } from './record-files.ts';
import type { RecordGate } from './record-gate.ts';
import type { Slots } from './slots.ts';

/** About how much of a topic is read at a time. */
const BLOCK_BYTES = 512 * 1024;
/** A stream's bytes are written when so many have gathered (docs/journal.md, rule 27). */
const STREAM_BUFFER_BYTES = 256 * 1024;
/** Entries below this are copied, so that they do not hold the block they were read in. */
const COPY_BYTES = 64 * 1024;
/** Behind by more than this, files are written without compression (rule 27). */
const BEHIND_MS = 15_000;
/** A name is not wanted any more so long after its second. */
const NAME_MS = 10_000;
const GOES_ON = ENTRY_FLAG.first | ENTRY_FLAG.middle;
const WITHIN = ENTRY_FLAG.middle | ENTRY_FLAG.last;

type Level = 0 | 1;

/** What the archivers of all topics share. */
export interface ArchiverParts {
  readonly folders: Folders;
  /** Bounds what is under way on disk at a time. */
  readonly slots: Slots;
  readonly records: RecordFileWriter;
  /** Who removes files of records passes it too; nobody does where it is not given. */
  readonly recordGate?: RecordGate;
}

/** Work on disk that is not announced yet: what it holds begins here. */
interface Held {
  readonly sequence: number;
  readonly time: number;
}

/**
 * Takes one topic into files: one pass over its entries fans out to the streams (docs/journal.md, rules 27 to 32).
 * Whatever fails, the archiver is thrown away and a new one begins at `progress`, as after a crash.
 */
export class TopicArchiver {
  readonly topic: TopicLog;
  /** Why records made no files, and how many. */
  readonly rejected = new Map<string, number>();
  filesFinished = 0;
  /** What its unfinished files hold in memory. */
  readonly held: HeldMemory = { bytes: 0 };
  readonly #files: TopicLog;
  readonly #format: Format;
  readonly #parts: ArchiverParts;
  readonly #announcer: Announcer;
  /** Streams that are not closed, and those closed behind `progress`: their entries may be read again. */
  readonly #streams = new Map<string, ArchivedStream>();
  readonly #names: NameBook;
  readonly #held = new Set<Held>();
  readonly #work = new Set<Promise<void>>();
  readonly #unfinished = new Set<PartFile>();
  readonly #catchUpTo: number;
  #sequence: number;
  #announcements: number;
  #savedAnnouncements: number;
  #lastTime = 0;
  readonly #madeAt: number = Date.now();
  #failure: unknown;

  constructor(topic: TopicLog, files: TopicLog, format: Format, progress: Progress, parts: ArchiverParts) {
    this.topic = topic;
    this.#files = files;
    this.#format = format;
    this.#parts = parts;
    this.#announcer = new Announcer(files);
    this.#catchUpTo = topic.endSequence;
    this.#sequence = progress.sequence;
    this.#announcements = progress.announcements;
    this.#savedAnnouncements = progress.announcements;
    this.#names = new NameBook(progress.names);
    for (const saved of progress.streams) this.#streams.set(saved.id, ArchivedStream.restored(saved));
  }

  /** Reads the announcements that came after `progress` was saved. */
  async catchUp(): Promise<void> {
    while (this.#announcements < this.#files.endSequence) {
      const entries = await this.#files.read(this.#announcements, BLOCK_BYTES);
      if (entries.length === 0) break;
      for (const entry of entries) {
        this.#announcements = entry.sequence + 1;
        const announcement = announcementOf(entry);
        if (announcement !== undefined) this.#announced(announcement);
      }
    }
  }

  /** Whether entries are committed that were not looked at. */
  get behind(): boolean {
    return this.#sequence < this.topic.endSequence;
  }

  /** The first entry that was not looked at. */
  get position(): number {
    return this.#sequence;
  }

  /**
   * How old the newest entry looked at is, in ms, while there are others behind it, or files are being made of it; before
   * the first one, how long it was made ago.
   */
  lag(now: number): number {
    if (!this.behind && this.#held.size === 0) return 0;
    return Math.max(1, now - (this.#lastTime > 0 ? this.#lastTime : this.#madeAt));
  }

  /**
   * Takes one block of entries.
   * @returns whether there was one
   * @throws what failed on disk, also earlier in the background
   */
  async takeBlock(): Promise<boolean> {
    if (this.#failure !== undefined) throw this.#failure;
    const entries = await this.topic.read(this.#sequence, BLOCK_BYTES);
    const level = this.#level();
    for (const entry of entries) {
      if (entry.kind !== ENTRY_KIND.gap) this.#take(entry, level);
      this.#sequence = entry.sequence + 1;
      this.#lastTime = entry.time;
    }
    return entries.length > 0;
  }

  /** Writes out what the stream with most in memory holds. @returns its bytes */
  async flushLargest(): Promise<number> {
    let largest: ArchivedStream | undefined;
    for (const stream of this.#streams.values()) {
      if (stream.buffered > (largest?.buffered ?? 0)) largest = stream;
    }
    const open = largest?.open;
    if (largest === undefined || open === undefined) return 0;
    const bytes = largest.buffered;
    await this.#do(largest, open, () => this.#onDisk(() => open.file.flush(1)));
    return bytes;
  }

  /** Asks the journal to cut the streams whose file's period is over though nothing came (rule 28). */
  async cutStale(now: number): Promise<void> {
    for (const stream of this.#streams.values()) {
      if (stream.open === undefined || stream.cutWanted || now < stream.open.endsAt) continue;
      stream.cutWanted = true;
      await this.topic.cut(stream.definition);
    }
  }

  /** Of streams in files that are open. */
  get unfinishedBytes(): number {
    let bytes = 0;
    for (const { open } of this.#streams.values()) bytes += open === undefined ? 0 : open.to - open.from;
    return bytes;
  }

  /**
   * Finishes open files before their time, but not within a record, so that the journal need not keep what is in them
   * (rule 28).
   * @param begunBefore those whose first bytes came before this, ms since 1970
   */
  finishEarly(begunBefore: number): void {
    for (const stream of this.#streams.values()) {
      if (stream.open === undefined || stream.isWithinRecord || stream.open.firstTime >= begunBefore) continue;
      this.#finish(stream, this.#level());
    }
  }

  /** Waits for everything on disk that was begun. @throws what failed */
  async settle(): Promise<void> {
    while (this.#work.size > 0) await Promise.all(this.#work);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Removes the unfinished files: they are made again (rule 30). */
  async drop(): Promise<void> {
    while (this.#work.size > 0) await Promise.all(this.#work);
    for (const file of this.#unfinished) await file.drop().catch(() => undefined);
    this.#unfinished.clear();
    this.#streams.clear();
  }

  /** Where an archiver has to begin to miss nothing. */
  progress(): Progress {
    let sequence = this.#sequence;
    let time = this.#lastTime;
    const open = [...this.#streams.values()].flatMap((stream) => stream.holds());
    for (const held of [...this.#held, ...open]) {
      sequence = Math.min(sequence, held.sequence);
      time = Math.min(time, held.time);
    }
    this.#names.forgetBefore(time - NAME_MS);
    const all = this.#sequence >= this.#catchUpTo;
    for (const [id, stream] of this.#streams) {
      const isPast = stream.closedAt === undefined ? all && !stream.seen : stream.closedAt < sequence;
      if (isPast) this.#streams.delete(id);
    }
    // One save behind: a committed announcement may not have come back to the streams yet.
    const announcements = this.#savedAnnouncements;
    this.#savedAnnouncements = this.#files.endSequence;
    const streams = [...this.#streams.values()].flatMap((stream) => stream.saved());
    return { sequence, announcements, streams, names: this.#names.entries() };
  }

  #level(): Level {
    return this.behind && this.lag(Date.now()) > BEHIND_MS ? 0 : 1;
  }

  #take(entry: Entry, level: Level): void {
    const { id } = entry.stream;
    const stream = this.#streams.get(id) ?? new ArchivedStream(id);
    this.#streams.set(id, stream);
    stream.see(entry);
    switch (entry.kind) {
      case ENTRY_KIND.data:
        this.#takeData(stream, entry, level);
        break;
      case ENTRY_KIND.cut:
        stream.cutWanted = false;
        this.#finish(stream, level);
        break;
      case ENTRY_KIND.close:
        stream.closedAt = entry.sequence;
        this.#finish(stream, level);
        break;
    }
  }

  #takeData(stream: ArchivedStream, entry: Entry, level: Level): void {
    stream.isWithinRecord = (entry.flags & GOES_ON) !== 0;
    const { archive, unfinished } = this.#format;
    const isRest = (entry.flags & ENTRY_FLAG.partial) !== 0 && unfinished === 'rest';
    if (archive.kind === 'per-record') this.#takeRecords(stream, archive, entry, level);
    else if (entry.offset + entry.bytes.length <= stream.archivedTo) stream.pass(entry, this.#format);
    else if (isRest) this.#keepRest(stream, entry, level);
    else {
      const open = this.#fileFor(stream, archive, entry, level);
      this.#add(stream, open, entry, entry.bytes, level);
      stream.pass(entry, this.#format);
    }
  }

  /** The file that an entry belongs to: the open one, or where that is full or its time is over, a new one. */
  #fileFor(stream: ArchivedStream, rule: RotatedArchive, entry: Entry, level: Level): OpenFile {
    const { open } = stream;
    const isNewRecord = (entry.flags & WITHIN) === 0;
    if (open !== undefined && isNewRecord) {
      const full = open.to - open.from + entry.bytes.length > rule.maxBytes;
      if (full || entry.time >= open.endsAt) this.#finish(stream, level);
    }
    return stream.open ?? this.#begin(stream, rule, entry);
  }

  #begin(stream: ArchivedStream, rule: RotatedArchive, entry: Entry): OpenFile {
    const base = this.#takeName(stream, entry.time);
    const kind = this.#format.archive.kind === 'rotated' ? 'stream' : 'rejected';
    const folder = streamFolder(stream.definition, entry.time);
    const file = this.#newFile(`${base}.${rule.extension}`, folder);
    if (stream.preamble.length > 0) file.add(stream.preamble);
    const open = stream.begin(file, { base, kind, periodMs: rule.periodMs }, entry);
    const { metaHeader } = stream.definition;
    void this.#do(stream, open, async () => {
      await this.#onDisk(async () => {
        await this.#parts.folders.make(folder);
        if (metaHeader !== undefined) await this.#keepMetaHeader(`${base}.json`, metaHeader);
      });
      // Now, so that it is not to be done when many files are finished at once.
      await this.#parts.folders.sync();
    });
    return open;
  }

  /** Written anew each time the file is begun anew; the journal has it too, so it need not be synced. */
  async #keepMetaHeader(path: string, metaHeader: string): Promise<void> {
    const flag = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;
    await writeFile(join(this.#parts.folders.root, path), metaHeader, { mode: 0o640, flag });
  }

  #add(stream: ArchivedStream, open: OpenFile, entry: Entry, bytes: Buffer, level: Level): void {
    open.file.add(bytes.length < COPY_BYTES ? Buffer.from(bytes) : bytes);
    open.streamBytes += bytes.length;
    open.to = entry.offset + entry.bytes.length;
    open.lastTime = entry.time;
    if (open.file.buffered >= STREAM_BUFFER_BYTES)
      void this.#do(stream, open, () => this.#onDisk(() => open.file.flush(level)));
  }

  #finish(stream: ArchivedStream, level: Level): void {
    const { open } = stream;
    if (open === undefined) return;
    stream.open = undefined;
    const announce = open.kind === 'stream' && this.#format.items === 'files';
    const { preamble } = stream;
    void this.#do(stream, open, async () => {
      const finished = await this.#finishFile(open.file, level);
      await this.#announce(stream, [announcementFor(stream, open, finished, open.kind, announce)]);
      if (open.kind === 'stream') stream.archivedPreamble(open.to, preamble);
    });
  }

  /** What is left of a record at a stream's end is kept beside the file: `<name>.rest` (rule 31). */
  #keepRest(stream: ArchivedStream, entry: Entry, level: Level): void {
    const base = stream.open?.base ?? this.#takeName(stream, entry.time);
    const folder = streamFolder(stream.definition, stream.open?.firstTime ?? entry.time);
    this.#finish(stream, level);
    const file = this.#newFile(`${base}.rest`, folder);
    file.add(Buffer.from(entry.bytes));
    void this.#do(stream, entry, async () => {
      const finished = await this.#finishFile(file, level);
      await this.#announce(stream, [announcementFor(stream, rangeOf(entry), finished, 'rest', false)]);
    });
  }

  #takeRecords(stream: ArchivedStream, archive: RecordArchive, entry: Entry, level: Level): void {
    stream.fragments.push({ sequence: entry.sequence, time: entry.time, bytes: Buffer.from(entry.bytes) });
    if ((entry.flags & GOES_ON) !== 0) return;
    const bytes = Buffer.concat(stream.fragments.map((fragment) => fragment.bytes));
    const [first] = stream.fragments;
    stream.fragments = [];
    const context = { metaHeader: stream.definition.metaHeader, partial: (entry.flags & ENTRY_FLAG.partial) !== 0 };
    const start = entry.offset + entry.bytes.length - bytes.length;
    const records = recordsOf(this.#format, archive, bytes, start, context);
    for (const record of records) {
      if (record.rejected === undefined || record.to <= stream.rejectedTo) continue;
      this.rejected.set(record.rejected, (this.rejected.get(record.rejected) ?? 0) + 1);
      this.#add(stream, this.#fileFor(stream, archive.rejected, entry, level), entry, record.bytes, level);
    }
    const { archivedTo } = stream;
    const made = records.filter((record) => record.files !== undefined && record.to > archivedTo);
    if (made.length === 0) return;
    const makeFiles = async (): Promise<void> => {
      const announcements: Announcement[] = [];
      for (const record of made) {
        const range = { ...rangeOf(entry), from: record.from, to: record.to };
        for (const [number, file] of (record.files ?? []).entries()) {
          const write = () => this.#parts.records.write(file, stream.definition, entry.time);
          const finished = await this.#onDisk(write);
          const streamBytes = number === 0 ? record.to - record.from : 0;
          announcements.push(announcementFor(stream, { ...range, streamBytes }, finished, 'record', file.announce));
        }
      }
      await this.#announce(stream, announcements);
    };
    const { recordGate } = this.#parts;
    void this.#do(stream, first ?? entry, () => (recordGate === undefined ? makeFiles() : recordGate.make(makeFiles)));
  }

  #newFile(path: string, folder: readonly string[]): PartFile {
    const { folders } = this.#parts;
    const file = new PartFile(join(folders.root, `${path}.gz`), this.held, () => folders.make(folder));
    this.#unfinished.add(file);
    return file;
  }

  async #finishFile(file: PartFile, level: Level): Promise<FinishedFile> {
    const finished = await this.#onDisk(() => file.finish(level));
    this.#unfinished.delete(file);
    return finished;
  }

  #takeName(stream: ArchivedStream, time: number): string {
    const { definition } = stream;
    return this.#names.take(join(...streamFolder(definition, time), baseName(definition.sensor, time)), time);
  }

  async #announce(stream: ArchivedStream, announcements: readonly Announcement[]): Promise<void> {
    await Promise.all(announcements.map(({ path }) => this.#parts.folders.sync(dirname(path))));
    await this.#announcer.announce(stream.definition, announcements);
    this.filesFinished += announcements.length;
    for (const announcement of announcements) this.#announced(announcement);
  }

  #announced(announcement: Announcement): void {
    const { stream: id, path, firstTime } = announcement;
    const stream = this.#streams.get(id) ?? new ArchivedStream(id);
    this.#streams.set(id, stream);
    stream.announced(announcement);
    this.#names.announced(withoutExtension(relative(this.#parts.folders.root, path)), firstTime);
  }

  #onDisk<T>(work: () => Promise<T>): Promise<T> {
    return this.#parts.slots.run(work);
  }

  /** Puts work on disk into the stream's line; `progress` stays before what it holds until it is done. */
  #do(stream: ArchivedStream, from: Entry | OpenFile | Held, work: () => Promise<void>): Promise<void> {
    const held = 'file' in from ? { sequence: from.firstSequence, time: from.firstTime } : from;
    const mark = { sequence: held.sequence, time: held.time };
    this.#held.add(mark);
    const done = stream.work
      .then(() => (this.#failure === undefined ? work() : undefined))
      .then(
        () => {
          if (this.#failure === undefined) this.#held.delete(mark);
        },
        (error: unknown) => {
          this.#failure ??= error;
        },
      )
      .then(() => void this.#work.delete(done));
    stream.work = done;
    this.#work.add(done);
    return done;
  }
}

/** A part of a stream, and when it came. */
interface Range {
  readonly from: number;
  readonly to: number;
  readonly firstTime: number;
  readonly lastTime: number;
  readonly streamBytes: number;
}

function rangeOf(entry: Entry): Range {
  const { offset, time, bytes } = entry;
  return { from: offset, to: offset + bytes.length, firstTime: time, lastTime: time, streamBytes: bytes.length };
}

function announcementFor(
  stream: ArchivedStream,
  range: Range,
  file: FinishedFile,
  kind: Announcement['kind'],
  announce: boolean,
): Announcement {
  const { id, sensor } = stream.definition;
  const { from, to, firstTime, lastTime, streamBytes } = range;
  return { stream: id, sensor, from, to, firstTime, lastTime, ...file, streamBytes, kind, announce };
}

function withoutExtension(path: string): string {
  const name = path.lastIndexOf('/') + 1;
  const dot = path.indexOf('.', name);
  return dot === -1 ? path : path.slice(0, dot);
}
