import type { SensorId } from '@d4ts/protocol';
import type { Logger } from 'pino';
import type { Activity } from '../../registry/port.ts';
import { type PastSession, type SessionRow, SessionStore } from './session-store.ts';

/** Connections are looked at so often, ms; what opened and ended in between is told by `opened`. */
const LOOK_MS = 5_000;
/** What goes on is saved so often, ms: a crash loses no more of its end. */
const SAVE_MS = 60_000;
const PRUNE_MS = 3_600_000;
/** A connection that begins so soon after one of the same sensor, type and address goes on with it, ms. */
const TOGETHER_MS = 60_000;
/** Streams that have opened and were not looked at yet; beyond it the rest is not in the history. */
const MAX_OPENED = 10_000;

/** A connection that is there: `SessionInfo` of ingest/port.ts, as far as the history has it. */
export interface LiveSession {
  readonly sensor: SensorId;
  readonly topic: string;
  readonly address: string;
  readonly port: number;
  /** ms since 1970 */
  readonly since: number;
  readonly frames: number;
  readonly bytes: number;
}

/** A session as the history has it. */
export interface SessionSpan extends PastSession {
  /** Whether it is connected now. */
  readonly live: boolean;
}

/** A row in memory: it grows while its connections are there, and a while after. */
interface Followed {
  id: number | undefined;
  readonly sensor: SensorId;
  readonly topic: string;
  readonly address: string;
  readonly since: number;
  until: number;
  connections: number;
  /** Of connections that have ended. */
  frames: number;
  bytes: number;
  /** Those that are there, by port and time. */
  live: Map<string, { frames: number; bytes: number }>;
  savedAt: number;
}

/** Where it looks. */
export interface SessionHistoryOptions {
  readonly file: string;
  readonly activity: Pick<Activity, 'find'>;
  readonly log: Logger;
  /** ms since 1970 */
  readonly now?: () => number;
}

/**
 * Who was connected from where, when. It asks for the connections every few seconds, and hears of each stream that opens, so
 * that connections that were over before it looked are in it too.
 */
export class SessionHistory {
  readonly #store: SessionStore;
  readonly #activity: Pick<Activity, 'find'>;
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #followed = new Map<string, Followed>();
  #opened: { sensor: SensorId; topic: string; at: number }[] = [];
  #sessions: () => readonly LiveSession[] = () => [];
  #timer: NodeJS.Timeout | undefined;
  #prunedAt = 0;
  #failed = false;

  /** @throws {D4Error} D4_SESSIONS_FORMAT, D4_SESSIONS_FAILED */
  constructor({ file, activity, log, now = Date.now }: SessionHistoryOptions) {
    this.#store = new SessionStore(file);
    this.#activity = activity;
    this.#log = log;
    this.#now = now;
  }

  /** Begins to look. */
  follow(sessions: () => readonly LiveSession[]): void {
    this.#sessions = sessions;
    this.#timer = setInterval(() => this.look(), LOOK_MS).unref();
  }

  /** A stream begins. */
  opened(sensor: SensorId, topic: string): void {
    if (this.#opened.length < MAX_OPENED) this.#opened.push({ sensor, topic, at: this.#now() });
  }

  /** Takes over the connections as they are now. */
  look(): void {
    const now = this.#now();
    const seen = new Set<string>();
    for (const session of this.#sessions()) {
      seen.add(keyOf(session));
      this.#goesOn(session, now);
    }
    this.#takeOpened();
    this.#save(now, seen);
  }

  /** The sessions of a sensor with any of some time in them, the newest first. @param from to ms since 1970 */
  of(sensor: SensorId, from: number, to: number): SessionSpan[] {
    this.look();
    this.#saveRows([...this.#followed.values()].filter((each) => each.sensor === sensor));
    const live = new Set([...this.#followed.values()].filter((each) => each.live.size > 0).map(nameOf));
    return this.#store.of(sensor, from, to).map((row) => ({ ...row, live: live.has(nameOf({ ...row, sensor })) }));
  }

  /** Forgets a sensor that was removed. */
  forget(sensor: SensorId): void {
    for (const [key, followed] of this.#followed) if (followed.sensor === sensor) this.#followed.delete(key);
    this.#opened = this.#opened.filter((each) => each.sensor !== sensor);
    this.#store.forget(sensor);
  }

  /** To be called while connections can still be asked for. */
  close(): void {
    clearInterval(this.#timer);
    this.look();
    this.#saveRows([...this.#followed.values()]);
    this.#store.close();
  }

  #goesOn(session: LiveSession, now: number): void {
    const { sensor, topic, address, since, frames, bytes } = session;
    const followed = this.#followedOf(sensor, topic, address, since);
    const key = `${session.port} ${since}`;
    if (!followed.live.has(key)) followed.connections += 1;
    followed.live.set(key, { frames, bytes });
    followed.until = now;
  }

  /** Streams have opened; where a connection is over already, it was there for a moment. */
  #takeOpened(): void {
    if (this.#opened.length === 0) return;
    const byStream = Map.groupBy(this.#followed.values(), ({ sensor, topic }) => `${sensor} ${topic}`);
    for (const { sensor, topic, at } of this.#opened) {
      const followed = byStream.get(`${sensor} ${topic}`) ?? [];
      if (!followed.some(({ since, until, live }) => live.size > 0 && since <= at && at <= until)) {
        this.#wasThere(sensor, topic, at);
      }
    }
    this.#opened = [];
  }

  #wasThere(sensor: SensorId, topic: string, at: number): void {
    const address = this.#activity.find(sensor)?.lastAddress;
    if (address === undefined || address === '') return;
    const followed = this.#followedOf(sensor, topic, address, at);
    followed.connections += 1;
    followed.until = Math.max(followed.until, at);
  }

  #followedOf(sensor: SensorId, topic: string, address: string, since: number): Followed {
    const key = `${sensor} ${topic} ${address}`;
    const known = this.#followed.get(key);
    if (known !== undefined && since - known.until <= TOGETHER_MS) return known;
    const made: Followed = {
      ...{ id: undefined, sensor, topic, address, since, until: since, connections: 0, frames: 0, bytes: 0 },
      live: new Map(),
      savedAt: 0,
    };
    if (known !== undefined) this.#saveRows([known]);
    this.#followed.set(key, made);
    return made;
  }

  #save(now: number, seen: ReadonlySet<string>): void {
    const due: Followed[] = [];
    for (const [key, followed] of this.#followed) {
      const before = followed.live.size;
      for (const [name, counts] of followed.live) {
        if (seen.has(`${key} ${name}`)) continue;
        followed.frames += counts.frames;
        followed.bytes += counts.bytes;
        followed.live.delete(name);
      }
      const isOver = followed.live.size === 0 && now - followed.until > TOGETHER_MS;
      if (before > followed.live.size || followed.id === undefined || now - followed.savedAt >= SAVE_MS || isOver) {
        due.push(followed);
      }
      if (isOver) this.#followed.delete(key);
    }
    this.#saveRows(due);
    if (now - this.#prunedAt < PRUNE_MS) return;
    this.#prunedAt = now;
    this.#guarded(() => this.#store.prune(now));
  }

  #saveRows(rows: readonly Followed[]): void {
    if (rows.length === 0) return;
    const now = this.#now();
    this.#guarded(() => {
      const ids = this.#store.save(rows.map(rowOf));
      for (const [at, row] of rows.entries()) {
        row.id = ids[at];
        row.savedAt = now;
      }
    });
  }

  /** A failure is logged once, and what goes on is tried again. */
  #guarded(work: () => void): void {
    try {
      work();
      if (this.#failed) this.#log.info('the history of sessions can be saved again');
      this.#failed = false;
    } catch (error) {
      if (!this.#failed) this.#log.error({ err: error }, 'the history of sessions cannot be saved: trying again');
      this.#failed = true;
    }
  }
}

function keyOf({ sensor, topic, address, port, since }: LiveSession): string {
  return `${sensor} ${topic} ${address} ${port} ${since}`;
}

function nameOf({ sensor, topic, address, since }: Pick<SessionRow, 'sensor' | 'topic' | 'address' | 'since'>): string {
  return `${sensor} ${topic} ${address} ${since}`;
}

function rowOf({ id, sensor, topic, address, since, until, connections, live, ...ended }: Followed): SessionRow {
  let { frames, bytes } = ended;
  for (const counts of live.values()) {
    frames += counts.frames;
    bytes += counts.bytes;
  }
  return { id, sensor, topic, address, since, until, connections, frames, bytes };
}
