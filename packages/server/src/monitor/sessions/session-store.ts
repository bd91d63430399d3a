import { SumsStore } from '../../registry/sums-store.ts';

/** Rows of one sensor. */
export const KEPT_PER_SENSOR = 500;
const DAY_MS = 86_400_000;
/** Sessions that ended so long ago are forgotten. */
const KEPT_MS = 90 * DAY_MS;
/** Rows of all sensors together. */
const KEPT = 1_000_000;

/** Format of the sessions' file. */
export const SESSIONS_FORMAT = 1;

export const SESSIONS_SCHEMA = `
  CREATE TABLE session (
    id INTEGER PRIMARY KEY, sensor TEXT NOT NULL, topic TEXT NOT NULL, address TEXT NOT NULL,
    since INTEGER NOT NULL, until INTEGER NOT NULL, connections INTEGER NOT NULL, frames INTEGER NOT NULL, bytes INTEGER NOT NULL
  );
  CREATE INDEX session_of_sensor ON session (sensor, since);
`;

/** Connections of a sensor for one type from one address that followed each other. Times are ms since 1970. */
export interface PastSession {
  readonly topic: string;
  readonly address: string;
  readonly since: number;
  readonly until: number;
  /** How many connections it was. */
  readonly connections: number;
  readonly frames: number;
  readonly bytes: number;
}

/** A row that is to be saved; with an id in place of the row that has it. */
export interface SessionRow extends PastSession {
  readonly sensor: string;
  readonly id: number | undefined;
}

/** `sessions.sqlite`: who was connected from where, when. Bounded by rows of each sensor, rows, and age. */
export class SessionStore {
  readonly #store: SumsStore;

  /** @throws {D4Error} D4_SESSIONS_FORMAT (a newer version wrote it), D4_SESSIONS_FAILED */
  constructor(file: string) {
    this.#store = new SumsStore(
      { file, schema: SESSIONS_SCHEMA, format: SESSIONS_FORMAT },
      {
        what: 'the history of sessions',
        mended: 'a new one begins at the next start',
        codes: { format: 'D4_SESSIONS_FORMAT', failed: 'D4_SESSIONS_FAILED' },
      },
    );
  }

  /** Saves rows, all or none, and forgets what is too much. @returns the id of each */
  save(rows: readonly SessionRow[]): number[] {
    const ids: number[] = [];
    this.#store.transaction(() => {
      for (const row of rows) ids.push(this.#save(row));
      const grown = new Set(rows.filter(({ id }) => id === undefined).map(({ sensor }) => sensor));
      for (const sensor of grown) {
        this.#store
          .prepare(
            `DELETE FROM session WHERE sensor = ?1 AND id <=
             (SELECT id FROM session WHERE sensor = ?1 ORDER BY id DESC LIMIT 1 OFFSET ${KEPT_PER_SENSOR})`,
          )
          .run(sensor);
      }
    });
    return ids;
  }

  #save({ id, sensor, topic, address, since, until, connections, frames, bytes }: SessionRow): number {
    if (id !== undefined) {
      this.#store
        .prepare('UPDATE session SET until = ?, connections = ?, frames = ?, bytes = ? WHERE id = ?')
        .run(...[until, connections, frames, bytes, id]);
      return id;
    }
    const { lastInsertRowid } = this.#store
      .prepare(
        'INSERT INTO session (sensor, topic, address, since, until, connections, frames, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
      )
      .run(sensor, topic, address, since, until, connections, frames, bytes);
    return Number(lastInsertRowid);
  }

  /** The rows of a sensor with any of some time in them, the newest first. @param from to ms since 1970 */
  of(sensor: string, from: number, to: number): PastSession[] {
    return this.#store.guarded(() =>
      this.#store
        .prepare('SELECT * FROM session WHERE sensor = ? AND until >= ? AND since < ? ORDER BY since DESC, id DESC')
        .all(sensor, from, to)
        .map((row) => ({
          topic: String(row.topic),
          address: String(row.address),
          since: Number(row.since),
          until: Number(row.until),
          connections: Number(row.connections),
          frames: Number(row.frames),
          bytes: Number(row.bytes),
        })),
    );
  }

  /** Forgets a sensor. */
  forget(sensor: string): void {
    this.#store.guarded(() => this.#store.prepare('DELETE FROM session WHERE sensor = ?').run(sensor));
  }

  /** Forgets what is too old, or too much of all sensors together; to be called now and then. @param now ms since 1970 */
  prune(now: number): void {
    this.#store.guarded(() => {
      this.#store.prepare('DELETE FROM session WHERE until < ?').run(now - KEPT_MS);
      this.#store.prepare('DELETE FROM session WHERE id <= (SELECT max(id) FROM session) - ?').run(KEPT);
    });
  }

  close(): void {
    this.#store.close();
  }
}
