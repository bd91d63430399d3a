import { mkdir } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { Format } from '../formats/port.ts';
import type { Journal, Topic } from '../journal/port.ts';
import type { Registry } from '../registry/port.ts';
import { filesTopic } from './announcement.ts';
import { Folders } from './folders.ts';
import { progressFrom, progressRole } from './progress.ts';
import { RecordFileWriter } from './record-files.ts';
import { RecordGate } from './record-gate.ts';
import { Slots } from './slots.ts';
import { TopicArchiver } from './topic-archiver.ts';

/** Everything in memory that is in no file yet, of all streams together (docs/journal.md, rule 27). */
const MAX_HELD_BYTES = 128 * 1024 * 1024;
/** Work on disk at a time: Node has four threads for it, and the journal needs one. */
const SLOTS = 3;
/** After a commit, so much may gather before the next look. */
const GATHER_MS = 200;
const SAVE_MS = 5_000;
/** The same while the disk is nearly full, for the journal can let go only of what is before the place that was saved. */
const SAVE_PRESSED_MS = 500;
const RETRY_MS = 5_000;
/** How long a stop may go on taking what is behind; the rest is done after the next start. */
const STOP_MS = 1_000;

/** What the archiver says of itself. */
export interface ArchiveStatus {
  readonly root: string;
  readonly paused: boolean;
  readonly topics: readonly {
    readonly topic: Topic;
    /** How far behind, in ms; 0 where nothing waits. */
    readonly lag: number;
    readonly filesFinished: number;
    /** Records that made no files, by reason. */
    readonly rejected: Readonly<Record<string, number>>;
    /** Why it does not go on, where it does not. */
    readonly error: string | undefined;
  }[];
}

/** The role that makes files of what the journal holds. */
export interface Archive {
  readonly root: string;
  /** To be passed by whoever removes files of single records. */
  readonly recordGate: RecordGate;
  status(): ArchiveStatus;
  /** About how many bytes it will write at the most, of what is committed and in no file yet. */
  waitingBytes(): number;
  /**
   * Writes nothing for this reason, until it is called again with undefined: the disk is full but for its reserve. What
   * is unfinished is removed, and made again later.
   */
  hold(reason: string | undefined): void;
  /** Finishes the files that are open as soon as it can, so that the journal need not keep what is in them. */
  finishFiles(): void;
  /** Does so each time when there are more bytes of streams than this in open files; undefined: no matter how many. */
  boundUnfinished(bytes: number | undefined): void;
  /** Ends what can be ended in time, saves where to go on, stops. */
  close(): Promise<void>;
}

export interface ArchiveOptions {
  /** The archive's folder, `<data>` in docs/drop-in.md; made where missing. */
  readonly root: string;
  readonly paused: boolean;
  readonly registry: Registry;
  readonly journal: Journal;
  readonly formats: (topic: Topic) => Format;
  readonly log: Logger;
}

/** Starts to archive all topics, those too that come later (docs/journal.md, rules 27 to 32). */
export async function openArchive(options: ArchiveOptions): Promise<Archive> {
  await mkdir(options.root, { recursive: true, mode: 0o750 });
  const archive = new JournalArchive(options);
  archive.start();
  return archive;
}

/** A topic, its archiver, and what happened to it. */
interface Archived {
  readonly topic: Topic;
  archiver: TopicArchiver | undefined;
  saved: string;
  error: string | undefined;
  retryAt: number;
  filesFinished: number;
  stopListening: () => void;
}

class JournalArchive implements Archive {
  readonly root: string;
  readonly recordGate: RecordGate = new RecordGate();
  readonly #options: ArchiveOptions;
  readonly #topics = new Map<Topic, Archived>();
  readonly #folders: Folders;
  readonly #slots = new Slots(SLOTS);
  #wake: () => void = () => {};
  #woken = false;
  /** When a stop was asked for, on the monotonic clock. */
  #stoppingAt: number | undefined;
  #savedAt = 0;
  readonly #startedAt: number = Date.now();
  /** Why nothing is written. */
  #heldFor: string | undefined;
  /** Files that began before this are finished (ms since 1970). */
  #finishBefore = 0;
  #mostUnfinished = Number.POSITIVE_INFINITY;
  #running: Promise<void> = Promise.resolve();

  constructor(options: ArchiveOptions) {
    this.root = options.root;
    this.#options = options;
    this.#folders = new Folders(options.root, this.#slots, options.log);
  }

  start(): void {
    if (!this.#options.paused) this.#running = this.#run();
  }

  status(): ArchiveStatus {
    const now = Date.now();
    const topics = this.#archivedTopics().map((topic) => {
      const { archiver, filesFinished = 0, error } = this.#topics.get(topic) ?? {};
      return {
        topic,
        lag: archiver?.lag(now) ?? this.#lagOfUnbegun(topic, now),
        filesFinished: filesFinished + (archiver?.filesFinished ?? 0),
        rejected: Object.fromEntries(archiver?.rejected ?? []),
        error: this.#heldFor ?? error,
      };
    });
    return { root: this.root, paused: this.#options.paused, topics };
  }

  /** Those that are archived, also if that has not begun yet. */
  #archivedTopics(): Topic[] {
    if (this.#options.paused) return [];
    return this.#options.journal.topics().filter((topic) => !topic.startsWith('files/'));
  }

  /** A topic that nobody has looked at since the start has waited at least since then. */
  #lagOfUnbegun(topic: Topic, now: number): number {
    const end = this.#options.journal.get(topic)?.endSequence ?? 0;
    return this.#savedPosition(topic) < end ? Math.max(1, now - this.#startedAt) : 0;
  }

  #savedPosition(topic: Topic): number {
    return progressFrom(this.#options.registry.loadProgress(progressRole(topic))).sequence;
  }

  waitingBytes(): number {
    const { journal } = this.#options;
    let bytes = this.#heldBytes();
    for (const topic of this.#archivedTopics()) {
      const archiver = this.#topics.get(topic)?.archiver;
      if (archiver?.behind === false) continue;
      const position = archiver?.position ?? this.#savedPosition(topic);
      for (const { firstSequence, endSequence, bytes: held } of journal.get(topic)?.segments() ?? []) {
        const waiting = endSequence - Math.max(position, firstSequence);
        if (waiting > 0) bytes += (held * waiting) / (endSequence - firstSequence);
      }
    }
    return bytes;
  }

  hold(reason: string | undefined): void {
    if (reason === undefined && this.#heldFor !== undefined) {
      for (const archived of this.#topics.values()) archived.retryAt = 0;
      this.#wakeUp();
    }
    this.#heldFor = reason;
    this.#slots.refuse(reason);
  }

  finishFiles(): void {
    this.#finishBefore = Date.now();
  }

  boundUnfinished(bytes: number | undefined): void {
    this.#mostUnfinished = bytes ?? Number.POSITIVE_INFINITY;
  }

  async close(): Promise<void> {
    this.#stoppingAt = performance.now();
    this.hold(undefined);
    this.#wakeUp();
    await this.#running;
    for (const archived of this.#topics.values()) {
      archived.stopListening();
      await archived.archiver?.settle().catch((error: unknown) => this.#failed(archived, error));
      await this.#giveUp(archived);
    }
  }

  async #run(): Promise<void> {
    while (this.#stoppingAt === undefined) {
      await this.#sleep();
      this.#findTopics();
      for (const archived of this.#topics.values()) await this.#advance(archived);
      const isPressed = this.#mostUnfinished < Number.POSITIVE_INFINITY;
      if (Date.now() - this.#savedAt >= (isPressed ? SAVE_PRESSED_MS : SAVE_MS)) await this.#saveAll();
    }
    // What was committed while the server stopped: the ends of sessions above all.
    for (const archived of this.#topics.values()) await this.#advance(archived);
  }

  /** Until something was committed and a little more, or a second has passed. */
  async #sleep(): Promise<void> {
    const wait = (ms: number): Promise<void> =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    if (!this.#woken && this.#stoppingAt === undefined) await wait(1_000);
    if (this.#stoppingAt === undefined) await wait(GATHER_MS);
    this.#wake = () => {};
    this.#woken = false;
  }

  #wakeUp(): void {
    this.#woken = true;
    this.#wake();
  }

  #findTopics(): void {
    for (const topic of this.#options.journal.topics()) {
      if (this.#topics.has(topic) || topic.startsWith('files/')) continue;
      const stopListening = this.#options.journal.get(topic)?.onCommit(() => {
        this.#woken = true;
      });
      const start = { archiver: undefined, saved: '', error: undefined, retryAt: 0, filesFinished: 0 };
      this.#topics.set(topic, { topic, ...start, stopListening: stopListening ?? (() => {}) });
    }
  }

  async #advance(archived: Archived): Promise<void> {
    if (this.#heldFor !== undefined) return this.#giveUp(archived);
    if (Date.now() < archived.retryAt) return;
    try {
      archived.archiver ??= await this.#begin(archived.topic);
      const { archiver } = archived;
      await archiver.cutStale(Date.now());
      archiver.finishEarly(this.#finishBefore);
      while (this.#mayGoOn() && (await archiver.takeBlock())) await this.#bound();
      archived.error = undefined;
    } catch (error) {
      await this.#failed(archived, error);
    }
  }

  #mayGoOn(): boolean {
    return this.#stoppingAt === undefined || performance.now() - this.#stoppingAt < STOP_MS;
  }

  async #begin(topic: Topic): Promise<TopicArchiver> {
    const { journal, registry, formats } = this.#options;
    const source = await journal.open(topic);
    const files = await journal.open(filesTopic(topic));
    const progress = progressFrom(registry.loadProgress(progressRole(topic)));
    const records = new RecordFileWriter(this.#folders);
    const parts = { folders: this.#folders, slots: this.#slots, records, recordGate: this.recordGate };
    const archiver = new TopicArchiver(source, files, formats(topic), progress, parts);
    await archiver.catchUp();
    return archiver;
  }

  /** Keeps what is held in memory and what is unfinished within their bounds. */
  async #bound(): Promise<void> {
    if (this.#unfinishedBytes() > this.#mostUnfinished) {
      for (const { archiver } of this.#topics.values()) archiver?.finishEarly(Number.POSITIVE_INFINITY);
    }
    while (this.#heldBytes() > MAX_HELD_BYTES) {
      let flushed = 0;
      for (const { archiver } of this.#topics.values()) flushed += (await archiver?.flushLargest()) ?? 0;
      if (flushed > 0) continue;
      for (const { archiver } of this.#topics.values()) await archiver?.settle();
      return;
    }
  }

  #heldBytes(): number {
    let bytes = 0;
    for (const { archiver } of this.#topics.values()) bytes += archiver?.held.bytes ?? 0;
    return bytes;
  }

  #unfinishedBytes(): number {
    if (this.#mostUnfinished === Number.POSITIVE_INFINITY) return 0;
    let bytes = 0;
    for (const { archiver } of this.#topics.values()) bytes += archiver?.unfinishedBytes ?? 0;
    return bytes;
  }

  async #failed(archived: Archived, error: unknown): Promise<void> {
    const message = error instanceof Error ? error.message : String(error);
    if (archived.error !== message) {
      this.#options.log.error({ err: error, topic: archived.topic }, 'the archive cannot be written: trying again');
    }
    archived.error = message;
    archived.retryAt = Date.now() + RETRY_MS;
    await this.#giveUp(archived);
  }

  /** Ends an archiver. What it has finished need not be looked at again, so that the journal may let go of it. */
  async #giveUp(archived: Archived): Promise<void> {
    const { archiver } = archived;
    if (archiver === undefined) return;
    await archiver.settle().catch(() => undefined);
    await this.#save(archived);
    await archiver.drop();
    archived.filesFinished += archiver.filesFinished;
    archived.archiver = undefined;
  }

  async #saveAll(): Promise<void> {
    this.#savedAt = Date.now();
    for (const archived of this.#topics.values()) await this.#save(archived);
  }

  async #save(archived: Archived): Promise<void> {
    const { archiver, topic } = archived;
    if (archiver === undefined) return;
    const text = JSON.stringify(archiver.progress());
    if (text === archived.saved) return;
    try {
      await this.#options.registry.saveProgress(progressRole(topic), text);
      archived.saved = text;
    } catch (error) {
      this.#options.log.error({ err: error, topic }, 'cannot save how far the archive has come: trying again');
    }
  }
}
