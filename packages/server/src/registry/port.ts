import type { RefusalCode, SensorId } from '@d4ts/protocol';

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
  readonly state: SensorState;
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
  /** ms since 1970 */
  readonly createdAt: number;
}

/** An accepted type. Key: its topic name (`3`, `254`, `maltrail`). */
export interface AcceptedType {
  readonly name: string;
  readonly createdAt: number;
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
  readonly createdAt: number;
}

export type Role = 'admin' | 'user' | 'viewer' | 'sensor_register';

/** Key: the mail address, lower case. */
export interface User {
  readonly mail: string;
  /** scrypt, in PHC string form */
  readonly passwordHash: string;
  readonly role: Role;
  readonly mustChangePassword: boolean;
  readonly createdAt: number;
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

/** Everything small and durable, through one place (design.md, decision 6). */
export interface Registry {
  readonly sensors: Collection<Sensor>;
  readonly types: Collection<AcceptedType>;
  readonly queues: Collection<QueueDefinition>;
  readonly blocks: Collection<Block>;
  readonly users: Collection<User>;
  readonly tokens: Collection<Token>;
  readonly activity: Activity;
  /** Positions of queues; saved all in one transaction (rule 25). */
  loadCursors(): Map<string, CursorState>;
  saveCursors(changed: ReadonlyMap<string, CursorState>): Promise<void>;
  removeCursor(queue: string): Promise<void>;
  /** Where a role, such as the archiver of a topic, goes on after a restart: text of its own. */
  loadProgress(role: string): string | undefined;
  saveProgress(role: string, text: string): Promise<void>;
  /** Flushes counters and closes. */
  close(): Promise<void>;
}
