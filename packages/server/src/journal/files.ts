import { mkdir, readdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { D4Error } from '@d4ts/protocol';
import type { Logger } from 'pino';
import type { Journal, Topic, TopicLog } from './port.ts';
import { syncFolder } from './segment.ts';
import { FileTopicLog, type SyncPolicy } from './topic-log.ts';

/** A segment is sealed at this length, or at this age (docs/journal.md, rule 3). */
const SEGMENT_BYTES = 64 * 1024 * 1024;
const SEGMENT_MS = 60 * 60 * 1000;
const TOPIC_NAME = /^(files\/)?[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

/** How to open a journal in files. */
export interface FileJournalOptions {
  /** The folder of the journal; each topic has a folder in it. Created where missing. */
  readonly root: string;
  readonly policy: SyncPolicy;
  readonly log: Logger;
  /**
   * For a topic, the lowest sequence that a new entry may have: one above every entry that a cursor has passed or is
   * inside of (rule 12), 1 where there is none. A cursor that waits for entry n has passed n - 1.
   */
  readonly minimumSequence?: (topic: Topic) => number;
  /** A segment is sealed at this length; 64 MiB if not given (rule 3). */
  readonly segmentBytes?: number;
}

/**
 * Opens the journal in segment files, all topics that exist at once.
 * @throws {D4Error} D4_JOURNAL_VERSION, or a system error where the folder cannot be read
 */
export async function openFileJournal(options: FileJournalOptions): Promise<Journal> {
  const journal = new FileJournal(options);
  await makeFolder(options.root);
  for (const topic of await existingTopics(options.root)) await journal.open(topic);
  return journal;
}

class FileJournal implements Journal {
  readonly #options: FileJournalOptions;
  readonly #open = new Map<Topic, FileTopicLog>();
  readonly #openListeners = new Set<(log: TopicLog) => void>();
  readonly #opening = new Map<Topic, Promise<FileTopicLog>>();
  #closed = false;

  constructor(options: FileJournalOptions) {
    this.#options = options;
  }

  open(topic: Topic): Promise<FileTopicLog> {
    if (this.#closed) return Promise.reject(new D4Error('D4_JOURNAL_FAILED', 'the journal is closed'));
    const opening = this.#opening.get(topic) ?? this.#openTopic(topic);
    this.#opening.set(topic, opening);
    return opening;
  }

  get(topic: Topic): FileTopicLog | undefined {
    return this.#open.get(topic);
  }

  onOpen(listener: (log: TopicLog) => void): () => void {
    this.#openListeners.add(listener);
    return () => this.#openListeners.delete(listener);
  }

  topics(): Topic[] {
    return [...this.#open.keys()];
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#opening.values());
    const closed = await Promise.allSettled([...this.#open.values()].map((topic) => topic.close()));
    this.#open.clear();
    this.#opening.clear();
    for (const result of closed) if (result.status === 'rejected') throw result.reason;
  }

  async #openTopic(topic: Topic): Promise<FileTopicLog> {
    try {
      if (!TOPIC_NAME.test(topic)) throw new D4Error('D4_BAD_TOPIC', `"${topic}" cannot be the name of a topic`);
      const { root, policy, log, minimumSequence, segmentBytes } = this.#options;
      const folder = join(root, topic);
      await makeFolder(folder);
      const opened = await FileTopicLog.open({
        folder,
        topic,
        policy,
        log,
        segmentBytes: segmentBytes ?? SEGMENT_BYTES,
        segmentMs: SEGMENT_MS,
        minimumSequence: minimumSequence?.(topic) ?? 1,
      });
      this.#open.set(topic, opened);
      for (const listener of this.#openListeners) listener(opened);
      return opened;
    } catch (error) {
      this.#opening.delete(topic);
      throw error;
    }
  }
}

/** Makes a folder and those above it, durably (rule 11). */
async function makeFolder(folder: string): Promise<void> {
  const whole = resolve(folder);
  const first = await mkdir(whole, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let made = whole; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
}

/** The topics that have a folder in a journal. */
export async function existingTopics(root: string): Promise<Topic[]> {
  const topics: Topic[] = [];
  for (const entry of await readdir(root, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    if (entry.name !== 'files') {
      topics.push(entry.name);
      continue;
    }
    // A meta type can be called "files" as well.
    for (const inner of await readdir(join(root, 'files'), { withFileTypes: true })) {
      if (inner.isDirectory()) topics.push(`files/${inner.name}`);
      else if (inner.name.endsWith('.seg') && !topics.includes('files')) topics.push('files');
    }
  }
  return topics.filter((topic) => TOPIC_NAME.test(topic));
}
