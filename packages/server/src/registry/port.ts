import type { RefusalCode, SensorId } from '@d4ts/protocol';
import type { ExporterDefinition } from './exporter.ts';

/** A document with its revision; a revision grows with every change of the document, from 1. */
export interface Versioned<T> {
  readonly revision: number;
  readonly value: T;
}

/** Who changes something: for the audit record. */
export interface Actor {
  /** A user's mail address, `server`, or `local` for the command line on the server's machine. */
  readonly name: string;
  /** Where from: an IP address, or undefined for the server itself. */
  readonly address?: string;
}

export interface Change<T> {
  readonly key: string;
  readonly before: T | undefined;
  readonly after: T | undefined;
}

/**
 * One kind of document: in memory for reading, durable before a change is resolved. Documents are replaced, never
 * modified in place.
 */
export interface Collection<T> {
  get(key: string): Versioned<T> | undefined;
  /** All documents, by key. */
  entries(): IterableIterator<[string, Versioned<T>]>;
  readonly size: number;
  /**
   * Creates or replaces a document.
   * @param expectedRevision 0 for "must not exist"; omitted: whatever is there
   * @throws {D4Error} D4_CONFLICT where the revision is another one
   */
  put(key: string, value: T, actor: Actor, expectedRevision?: number): Promise<Versioned<T>>;
  /** @returns whether there was one. @throws {D4Error} D4_CONFLICT */
  remove(key: string, actor: Actor, expectedRevision?: number): Promise<boolean>;
  /** Calls `listener` after each durable change, in order. @returns how to stop that */
  watch(listener: (change: Change<T>) => void): () => void;
}

/** The most that a payload limit can be set to, in bytes: a frame is held whole in memory. */
export const MAX_PAYLOAD_LIMIT_BYTES: number = 64 * 1024 * 1024;

export type SensorState = 'pending' | 'approved' | 'revoked';

/** Key: the dashed uuid. */
export interface Sensor {
  readonly uuid: SensorId;
  /** The HMAC key as latin1 text of its bytes (1 to 1,023 bytes); encrypted where it is stored. */
  readonly key: string;
  /** The key before this one, which holds too until a moment (ms since 1970); use `keysOf`. Encrypted as well. */
  readonly previousKey?: string;
  readonly previousKeyUntil?: number;
  readonly state: SensorState;
  /** What people call it. */
  readonly name?: string;
  readonly tags?: readonly string[];
  readonly description: string;
  readonly mail: string;
  readonly thirdParty: boolean;
  /** Registered itself in shared-secret mode, with the default key. */
  readonly unproven: boolean;
  /** Payload limit in bytes, where it is not the server's; at most `MAX_PAYLOAD_LIMIT_BYTES`. */
  readonly maxPayloadBytes?: number;
  /** Bytes that all its connections together are read, each second and each day (UTC); frames' headers included. */
  readonly maxBytesPerSecond?: number;
  readonly maxBytesPerDay?: number;
  /** It is watched: silent when nothing came for so long. */
  readonly expectedIntervalSeconds?: number;
  /** Its sessions without acknowledgement are refused (docs/journal.md, rule 43). */
  readonly acknowledgedOnly?: boolean;
  /** Nothing of it is removed from the archive, whatever the limits say. */
  readonly hold?: boolean;
  /** What is kept of it in the archive, where it is not what holds for all (docs/retention.md). */
  readonly archive?: ArchiveRules;
  /** ms since 1970 */
  readonly createdAt: number;
}

/** What is kept of a sensor or a type in the archive. */
export interface ArchiveRules {
  /** What is lower goes first; added to that of the type, or of the sensor. 0 if not given. */
  readonly priority?: number;
  readonly maxAgeMs?: number;
  readonly maxBytes?: number;
}

/** An accepted type. Key: its topic name (`3`, `254`, `maltrail`). */
export interface AcceptedType {
  readonly name: string;
  readonly archive?: ArchiveRules;
  /** What the journal keeps of it at the most, in bytes. */
  readonly maxJournalBytes?: number;
  readonly createdAt: number;
}

/** The finished files of a sensor and a topic, as retention counts them. */
export interface ArchiveHolding {
  readonly sensor: SensorId;
  readonly topic: string;
  /** Of those that were not removed: how many, their bytes on disk, and bytes of the streams. */
  readonly files: number;
  readonly bytes: number;
  readonly streamBytes: number;
  /** Announcements before this sequence are done with: their files were removed, or were not there any more. */
  readonly nextSequence: number;
  /** No file that is left has only bytes from before that; ms since 1970, 0 where there is none. */
  readonly oldest: number;
  /** What was removed so far. */
  readonly removedFiles: number;
  readonly removedBytes: number;
}

/** Files that were removed: those of a sensor and a topic whose announcements come before a sequence. */
export interface ArchiveRemoval {
  readonly sensor: SensorId;
  readonly topic: string;
  readonly before: number;
  /** ms since 1970 */
  readonly at: number;
  /** A word, such as `age`. */
  readonly why: string;
  readonly files: number;
  readonly bytes: number;
}

/** A change of the books, made as a whole. */
export interface ArchiveBooksChange {
  readonly holdings: readonly ArchiveHolding[];
  /** Announcements of a topic before this sequence are counted. */
  readonly counted?: { readonly topic: string; readonly before: number };
  /** Files that several announcements may name: how many more of them, or fewer, name this path now. */
  readonly references?: readonly { readonly path: string; readonly change: 1 | -1 }[];
  readonly removals?: readonly ArchiveRemoval[];
  /** Files that are to be removed from disk once this is durable, in place of those said before. */
  readonly unlinking?: readonly string[];
}

/** What the archive holds and what was removed from it: sums for each sensor and topic, so that no run reads them all. */
export interface ArchiveBooks {
  holdings(): IterableIterator<ArchiveHolding>;
  holding(topic: string, sensor: SensorId): ArchiveHolding | undefined;
  /** Announcements of a topic before this sequence are counted; 0 where none is. */
  countedBefore(topic: string): number;
  /** How many announcements name a path, of those that may share one. */
  references(path: string): number;
  /** What the last change said is to be removed from disk. */
  unlinking(): readonly string[];
  /** How the file of an announcement was removed; undefined where it was not. */
  removalOf(topic: string, sensor: SensorId, sequence: number): ArchiveRemoval | undefined;
  /** Durable when this returns. @throws {D4Error} D4_REGISTRY_FAILED */
  save(change: ArchiveBooksChange): void;
}

/** From a sequence on, a queue takes these sensors' records (docs/journal.md, rule 19). */
export interface QueueFilter {
  readonly from: number;
  readonly sensors: 'all' | readonly SensorId[];
}

/** Key: the queue's uuid. */
export interface QueueDefinition {
  readonly uuid: string;
  readonly topic: string;
  readonly description: string;
  /** Items; beyond it the oldest are dropped. */
  readonly limit: number;
  readonly filters: readonly QueueFilter[];
  /** Opens this queue alone, on the analyzers' port. */
  readonly credential?: QueueCredential;
  readonly createdAt: number;
}

/** A secret that opens one queue. */
export interface QueueCredential {
  /** SHA-256 of the secret, hexadecimal. */
  readonly hash: string;
  /** Whether items may be put into the queue, beside taking them. */
  readonly push: boolean;
  /** ms since 1970 */
  readonly createdAt: number;
}

/** Key: the target: an address or network in CIDR notation, or a dashed uuid. */
export interface Block {
  readonly target: string;
  readonly kind: 'network' | 'sensor';
  readonly reason: string;
  /** Who made it: a mail address, `local` or `server`. */
  readonly author?: string;
  /** Ends then, ms since 1970; never if not given. */
  readonly expiresAt?: number;
  readonly createdAt: number;
}

export type Role = 'admin' | 'user' | 'viewer' | 'sensor_register';

/** Key: the mail address, lower case. */
export interface User {
  readonly mail: string;
  /** scrypt, in PHC string form */
  readonly passwordHash: string;
  readonly role: Role;
  /** Until the password is changed, signing in allows nothing but that. */
  readonly mustChangePassword: boolean;
  /** May neither sign in nor use tokens. */
  readonly disabled?: boolean;
  readonly createdAt: number;
}

/** Somebody who is signed in to the pages. Key: SHA-256 of the session's secret, hexadecimal. Not audited. */
export interface LoginSession {
  /** The user's mail address. */
  readonly user: string;
  /** ms since 1970 */
  readonly createdAt: number;
  /** ms since 1970, to the minute. */
  readonly lastUsedAt: number;
  /** Where it was last used from. */
  readonly address: string;
  /** What the browser says it is, cut short. */
  readonly userAgent: string;
}

/** When and where from a token was last used, to the minute. Key: the token's. Not audited. */
export interface TokenUse {
  /** ms since 1970 */
  readonly at: number;
  readonly address: string;
}

/** What was done, by whom. A change of a document has `before` and `after`; an event, such as a login, `after` alone. */
export interface AuditRecord {
  /** Grows with each record. */
  readonly id: number;
  /** ms since 1970 */
  readonly time: number;
  readonly actor: string;
  readonly address: string | undefined;
  /** Whether no document was changed. */
  readonly isEvent: boolean;
  /** The collection that was changed (`sensors`), or the kind of an event (`login-failed`). */
  readonly kind: string;
  /** What it is about: a document's key. Of secret keys the beginning alone. */
  readonly key: string;
  /** Documents without their secrets. */
  readonly before: unknown;
  readonly after: unknown;
}

/** Which audit records; all conditions hold together. */
export interface AuditFilter {
  readonly actor?: string;
  readonly kind?: string;
  readonly key?: string;
  /** ms since 1970: at or after, and before. */
  readonly from?: number;
  readonly to?: number;
  /** In the actor, the address, the key, before or after; upper and lower case are the same (ASCII). */
  readonly text?: string;
}

/** Some of the audit records. */
export interface AuditPage {
  readonly records: readonly AuditRecord[];
  /** `before` of the next page; undefined where this is the last one. */
  readonly next: number | undefined;
}

/** What was done: changes of documents are recorded by their collections, in the transaction that makes them. */
export interface AuditTrail {
  /** Records something that changes no document. `details` holds no secret. Durable when this is resolved. */
  record(event: {
    readonly kind: string;
    readonly key: string;
    readonly actor: Actor;
    readonly details?: object;
  }): Promise<void>;
  /**
   * The latest first. So that nobody waits for a search of years, a page may be short, even empty, and yet not the last.
   * @param before only records with a smaller id: `next` of the page before
   */
  list(filter: AuditFilter, limit: number, before?: number): AuditPage;
  /** Removes records from before a time (ms since 1970) and all but the latest `keep`. @returns how many */
  prune(before: number, keep: number): Promise<number>;
}

/** Key: SHA-256 of the token, hexadecimal. */
export interface Token {
  readonly name: string;
  /** The user's mail address. */
  readonly user: string;
  readonly role: Role;
  readonly createdAt: number;
  readonly expiresAt?: number;
}

/** With what sensors register themselves (docs/enrolment.md). Key: SHA-256 of its secret, hexadecimal. */
export interface EnrolmentToken {
  /** What the sensor will be called; may be empty. With several uses, a number is added. */
  readonly name: string;
  readonly tags: readonly string[];
  readonly description: string;
  readonly mail: string;
  /** What sensors are told to send: the name of an accepted type. */
  readonly type: string;
  /** Sensors that use it may send at once; else somebody approves them. */
  readonly approve: boolean;
  /** HOST:PORT that stands in it. */
  readonly server: string;
  /** Who made it: a user's mail address, or `local`. */
  readonly author: string;
  readonly maxUses: number;
  readonly uses: readonly EnrolmentUse[];
  /** ms since 1970 */
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly revokedAt?: number;
}

/** A sensor that has used an enrolment token. */
export interface EnrolmentUse {
  readonly sensor: SensorId;
  /** Where from. */
  readonly address: string;
  /** ms since 1970 */
  readonly at: number;
  /** False between counting the use and registering the sensor: after a crash in between the same sensor may go on. */
  readonly registered: boolean;
}

/** A queue's durable position and counts (rule 22). Key: the queue's uuid. */
export interface CursorState {
  readonly sequence: number;
  readonly record: number;
  readonly taken: number;
  readonly dropped: number;
  readonly flushed: number;
  /** Items given back (RPUSH), the next one to serve first; base64. */
  readonly givenBack: readonly string[];
  /** Items pushed from outside, the oldest first, each before the entry with its sequence; base64. */
  readonly side?: readonly { readonly sequence: number; readonly item: string }[];
  /** Items before the position that were handed out and are not acknowledged (rule 26). */
  readonly claims?: readonly ClaimedRun[];
  /** Items that came again: by moving the position back, and by replays. */
  readonly rewound?: number;
  readonly replayed?: number;
  readonly replays?: readonly ReplayState[];
}

/** Items of one entry that follow each other: not acknowledged, and handed out as often. */
export interface ClaimedRun {
  readonly sequence: number;
  readonly record: number;
  readonly count: number;
  readonly deliveries: number;
  readonly sensor?: SensorId;
}

/** A part of the past that is put into a queue, and how far that is (docs/journal.md, rule 47). Times are ms since 1970. */
export interface ReplayState {
  readonly id: string;
  readonly topic: string;
  readonly sensors: 'all' | readonly SensorId[];
  readonly from: number;
  readonly to: number;
  readonly state: 'running' | 'done' | 'cancelled' | 'failed';
  /** Why it failed. */
  readonly error?: string;
  readonly startedAt: number;
  readonly finishedAt?: number;
  /** Where the next item is: in the file of an announcement, or in the journal. */
  readonly source: 'archive' | 'journal';
  readonly sequence: number;
  readonly record: number;
  /** The part that the journal has, and items in it. */
  readonly journalFrom: number;
  readonly journalTo: number;
  readonly journalItems: number;
  readonly journalDone: number;
  /** Of the journal's first entry, when it was begun: what is older comes from the archive. */
  readonly journalTime: number;
  /** Items that were handed over, and those that could not be read. */
  readonly delivered: number;
  readonly lost: number;
  /** Files that are not there any more, or cannot be read. */
  readonly missingFiles: number;
}

/** Per sensor and topic. Times are ms since 1970. */
export interface TopicActivity {
  frames: number;
  bytes: number;
  records: number;
  sessions: number;
  /** Bytes that its format could not keep, and records that were cut at the format's limit (rules 7, 31). */
  skippedBytes: number;
  cutRecords: number;
  firstSeen: number;
  lastSeen: number;
}

/** A reason's count, and its last time and address. */
export interface RefusalCount {
  count: number;
  lastAt: number;
  lastAddress: string;
}

/** What a sensor has done; only verified frames and verified refusals are counted here (design.md, Security). */
export interface SensorActivity {
  firstSeen: number;
  lastSeen: number;
  lastAddress: string;
  /** Bytes of a day (UTC, days since 1970) over all its connections, frames' headers included. */
  today: { readonly day: number; readonly bytes: number };
  topics: Record<string, TopicActivity>;
  refusals: Partial<Record<RefusalCode, RefusalCount>>;
}

/** A refusal of something unproved, kept by address and claimed uuid in a bounded list. */
export interface ClaimedRefusal {
  readonly address: string;
  readonly code: RefusalCode;
  /** The uuid that the frame carried, if a header came at all. */
  readonly claimed: SensorId | undefined;
  readonly count: number;
  readonly firstAt: number;
  readonly lastAt: number;
}

/** An unregistered sensor that knocks. */
export interface Knock {
  readonly uuid: SensorId;
  readonly address: string;
  readonly type: number;
  readonly count: number;
  readonly firstAt: number;
  readonly lastAt: number;
}

/**
 * Counters and last-seen facts, in structs in memory, flushed each second (design.md, decision 6). Everything that
 * comes from unproved peers is in bounded lists.
 */
export interface Activity {
  /** The struct of a sensor, made on first use; the caller changes it in place and says `touch`. */
  sensor(uuid: SensorId): SensorActivity;
  /** As `sensor`, but does not make one. */
  find(uuid: SensorId): SensorActivity | undefined;
  /** The structs of all sensors that have one. */
  entries(): IterableIterator<[SensorId, SensorActivity]>;
  /** Says that the sensor's struct has changed. */
  touch(uuid: SensorId): void;
  /** Counts a refusal in the server's totals and, by `verified`, on the sensor or in the claimed list. */
  refused(refusal: {
    code: RefusalCode;
    address: string;
    sensor: SensorId | undefined;
    verified: boolean;
    at: number;
  }): void;
  /** Notes an unregistered sensor. */
  knocked(knock: { uuid: SensorId; address: string; type: number; at: number }): void;
  /** Forgets a sensor, also from claimed refusals and knocks. */
  forget(uuid: SensorId): void;
  /** Totals by reason since the home was made. */
  refusalTotals(): Partial<Record<RefusalCode, number>>;
  /** The latest first. */
  claimedRefusals(): ClaimedRefusal[];
  /** The latest first. */
  knocks(): Knock[];
}

/** The end that a client has told of an acknowledged stream; the journal decides whether it is reached. */
export interface EndedStream {
  readonly sensor: SensorId;
  readonly topic: string;
  /** The stream's length, in bytes. */
  readonly total: number;
}

/** What is left of acknowledged streams when the journal knows them no more, by their ids (32 hexadecimal digits). */
export interface EndedStreams {
  get(id: string): EndedStream | undefined;
  /** @param at ms since 1970 */
  put(id: string, stream: EndedStream, at: number): Promise<void>;
  /** Forgets those that were put before a time. */
  forgetBefore(at: number): Promise<void>;
}

/** Everything small and durable, through one place (design.md, decision 6). */
export interface Registry {
  readonly sensors: Collection<Sensor>;
  readonly types: Collection<AcceptedType>;
  readonly queues: Collection<QueueDefinition>;
  readonly exporters: Collection<ExporterDefinition>;
  readonly blocks: Collection<Block>;
  readonly users: Collection<User>;
  readonly tokens: Collection<Token>;
  readonly enrolments: Collection<EnrolmentToken>;
  readonly loginSessions: Collection<LoginSession>;
  readonly tokenUses: Collection<TokenUse>;
  readonly audit: AuditTrail;
  readonly archive: ArchiveBooks;
  readonly activity: Activity;
  /** Positions of queues, and of exporters (under `exporter:` and their name); saved all in one transaction (rule 25). */
  loadCursors(): Map<string, CursorState>;
  saveCursors(changed: ReadonlyMap<string, CursorState>): Promise<void>;
  removeCursor(queue: string): Promise<void>;
  /** Where a role, such as the archiver of a topic, goes on after a restart: text of its own. */
  loadProgress(role: string): string | undefined;
  saveProgress(role: string, text: string): Promise<void>;
  /** Acknowledged streams whose end was told, for 90 days (docs/journal.md, rule 13). */
  readonly endedStreams: EndedStreams;
  /** Flushes counters and closes. */
  close(): Promise<void>;
}
