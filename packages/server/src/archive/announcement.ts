import { type SensorId, sensorIdHex } from '@d4ts/protocol';
import { ENTRY_KIND, type Entry, type EntryDraft, type StreamDefinition, type TopicLog } from '../journal/port.ts';

/** Where the finished files of a topic are announced (docs/journal.md, rule 1). */
export function filesTopic(topic: string): string {
  return `files/${topic}`;
}

/** What is in a finished file: a stream's bytes, what is left of a record at its end, a record, or records that make no files. */
export const FILE_KINDS = ['stream', 'rest', 'record', 'rejected'] as const;

/** A finished file, as its `file` entry says (rule 29): that entry commits it. */
export interface Announcement {
  /** The stream, its bytes `[from, to)`, and the ms since 1970 of the first and last entry of them. */
  readonly stream: string;
  readonly sensor: SensorId;
  readonly from: number;
  readonly to: number;
  readonly firstTime: number;
  readonly lastTime: number;
  /** Absolute. */
  readonly path: string;
  /** Length and SHA-256 (hexadecimal) of what is on disk. */
  readonly bytes: number;
  readonly sha256: string;
  /** Bytes of the stream that are in it and in no file before it; absent in what older versions announced. */
  readonly streamBytes?: number;
  readonly kind: (typeof FILE_KINDS)[number];
  /** Whether its path is an item for queues. */
  readonly announce: boolean;
}

/** The stream of a sensor's announcements; one for each sensor, and it never ends. */
function announcementStream(of: StreamDefinition): StreamDefinition {
  const { sensor, type } = of;
  return { id: sensorIdHex(sensor), sensor, topic: filesTopic(of.topic), type, preamble: Buffer.alloc(0) };
}

/** The entry that commits a file. */
function draftOf(announcement: Announcement): EntryDraft {
  const body = Buffer.from(JSON.stringify(announcement));
  const records = announcement.announce ? 1 : 0;
  return { kind: ENTRY_KIND.file, flags: 0, pieces: [body], bytes: body.length, records };
}

/** Reads a `file` entry. @returns undefined for an entry of another kind */
export function announcementOf(entry: Entry): Announcement | undefined {
  if (entry.kind !== ENTRY_KIND.file) return undefined;
  // The archiver wrote it, and its CRC was checked.
  return JSON.parse(entry.bytes.toString('utf8')) as Announcement;
}

/** Announces the finished files of a topic: one append at a time for each sensor, what comes meanwhile together. */
export class Announcer {
  readonly #files: TopicLog;
  readonly #waiting = new Map<string, { stream: StreamDefinition; drafts: EntryDraft[] }>();
  #round: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(files: TopicLog) {
    this.#files = files;
  }

  /** Resolved when the announcements are committed. */
  announce(of: StreamDefinition, announcements: readonly Announcement[]): Promise<void> {
    const stream = announcementStream(of);
    const waiting = this.#waiting.get(stream.id) ?? { stream, drafts: [] };
    waiting.drafts.push(...announcements.map(draftOf));
    this.#waiting.set(stream.id, waiting);
    this.#next ??= (this.#round ?? Promise.resolve()).catch(() => undefined).then(() => this.#append());
    return this.#next;
  }

  #append(): Promise<void> {
    const batch = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#round = this.#next;
    this.#next = undefined;
    return Promise.all(batch.map(({ stream, drafts }) => this.#files.append(stream, 0, drafts))).then(() => undefined);
  }
}
