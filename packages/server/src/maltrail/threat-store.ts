import type { SQLInputValue } from 'node:sqlite';
import type { SensorId } from '@d4ts/protocol';
import { SumsStore } from '../registry/sums-store.ts';
import { type DayCount, type GatheredThreat, type Gathering, merged, type Sighting, type Threat } from './gathering.ts';

/** Format of the file of threats. */
export const THREATS_FORMAT = 1;
const DAY_MS = 86_400_000;
/** What is forgotten: threats that were not seen for so long, and of more than so many those that were not seen longest. */
const KEPT_MS = 90 * DAY_MS;
const MAX_THREATS = 1_000_000;
/** Sensors that are kept by name for one threat. */
const MAX_SIGHTINGS = 100;
/** Forgotten at a time: some milliseconds of work. */
const FORGET_AT_A_TIME = 2_000;
/** More than any time in ms: threats are sorted by severity, and then by time. */
const RANK = 100_000_000_000_000;

export const THREATS_SCHEMA = `
CREATE TABLE mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
CREATE TABLE threat (
  id INTEGER PRIMARY KEY, source TEXT NOT NULL, trail TEXT NOT NULL, severity INTEGER NOT NULL, type TEXT NOT NULL,
  info TEXT NOT NULL, reference TEXT NOT NULL, events INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
  firstStamp TEXT NOT NULL, lastStamp TEXT NOT NULL, rank INTEGER NOT NULL, UNIQUE (source, trail)
) STRICT;
CREATE INDEX threat_last ON threat (last, id);
CREATE INDEX threat_first ON threat (first, id);
CREATE INDEX threat_events ON threat (events, id);
CREATE INDEX threat_rank ON threat (rank, id);
CREATE TABLE sighting (
  threat INTEGER NOT NULL, sensor TEXT NOT NULL, name TEXT NOT NULL, events INTEGER NOT NULL, PRIMARY KEY (threat, sensor)
) STRICT, WITHOUT ROWID;
CREATE TABLE day (
  day INTEGER NOT NULL, sensor TEXT NOT NULL, severity INTEGER NOT NULL, type TEXT NOT NULL, events INTEGER NOT NULL,
  PRIMARY KEY (day, sensor, severity, type)
) STRICT, WITHOUT ROWID;
`;

/** By what threats are listed; `severity` by the time they were last seen where that is the same. */
export const THREAT_ORDERS = ['last', 'first', 'events', 'severity'] as const;
export type ThreatOrder = (typeof THREAT_ORDERS)[number];

/** What has been counted since the file was made. */
const MARKS = ['next', 'events', 'others', 'missed', 'tooOld', 'tooMany'] as const;
export type Marks = Record<(typeof MARKS)[number], number>;

/** A threat, and where it stands in an order. */
export interface StoredThreat extends Threat {
  readonly id: number;
  /** What it is sorted by. */
  readonly place: number;
}

/** How much is kept; only tests give other bounds. */
export interface ThreatBounds {
  readonly threats: number;
  readonly ms: number;
}

/** The file that threats are in. What a power loss takes of it is gathered from the journal again. */
export class ThreatStore {
  readonly #store: SumsStore;
  readonly #bounds: ThreatBounds;
  readonly #marks: Marks;
  #threats: number;

  /** @throws {D4Error} D4_MALTRAIL_FORMAT (a newer version wrote it), D4_MALTRAIL_FAILED */
  constructor(file: string, bounds: ThreatBounds = { threats: MAX_THREATS, ms: KEPT_MS }) {
    this.#bounds = bounds;
    this.#store = new SumsStore(
      { file, schema: THREATS_SCHEMA, format: THREATS_FORMAT },
      {
        what: 'the threats in',
        mended: 'it is made again from the journal',
        codes: { format: 'D4_MALTRAIL_FORMAT', failed: 'D4_MALTRAIL_FAILED' },
      },
    );
    const saved = new Map(
      this.#all('SELECT name, value FROM mark').map((row) => [String(row.name), Number(row.value)]),
    );
    this.#marks = Object.fromEntries(
      MARKS.map((name) => [name, saved.get(name) ?? (name === 'next' ? 1 : 0)]),
    ) as Marks;
    this.#threats = Number(this.#all('SELECT count(*) AS threats FROM threat')[0]?.threats);
  }

  /** Threats that are kept. */
  get threats(): number {
    return this.#threats;
  }

  /** What was counted; `next` is the first sequence of the journal that is not in it. */
  get marks(): Readonly<Marks> {
    return this.#marks;
  }

  /**
   * Adds what was gathered, all or nothing, with how far the journal was read.
   * @param missed entries that the journal no longer had
   * @param now ms since 1970
   * @throws {D4Error} D4_MALTRAIL_FAILED
   */
  save(gathering: Gathering, next: number, missed: number, now: number): void {
    const marks: Marks = {
      ...this.#marks,
      next,
      events: this.#marks.events + gathering.events,
      others: this.#marks.others + gathering.others,
      missed: this.#marks.missed + missed,
    };
    let threats = this.#threats;
    this.#store.transaction(() => {
      for (const gathered of gathering.threats.values()) if (this.#saveThreat(gathered)) threats += 1;
      for (const count of gathering.days.values()) this.#saveDay(count);
      const old = this.#forget('last < ?', now - this.#bounds.ms);
      const most = Math.max(0, threats - old - this.#bounds.threats);
      const many = most === 0 ? 0 : this.#forget('last >= ?', 0, most);
      this.#run('DELETE FROM day WHERE day < ?', Math.floor((now - this.#bounds.ms) / DAY_MS));
      threats -= old + many;
      marks.tooOld += old;
      marks.tooMany += many;
      for (const name of MARKS) this.#run('INSERT OR REPLACE INTO mark (name, value) VALUES (?, ?)', name, marks[name]);
    });
    // Only what is certain to be committed counts.
    Object.assign(this.#marks, marks);
    this.#threats = threats;
  }

  /**
   * Threats in an order, some at a time.
   * @param after the last one before them
   */
  inOrder(
    order: ThreatOrder,
    descending: boolean,
    after: { place: number; id: number } | undefined,
    limit: number,
  ): StoredThreat[] {
    const column = order === 'severity' ? 'rank' : order;
    const direction = descending ? 'DESC' : 'ASC';
    const sql = `SELECT *, ${column} AS place FROM threat WHERE (${column}, id) ${descending ? '<' : '>'} (?, ?)
      ORDER BY ${column} ${direction}, id ${direction} LIMIT ?`;
    const start = descending ? Number.MAX_SAFE_INTEGER : -1;
    return this.#all(sql, after?.place ?? start, after?.id ?? start, limit).map(storedThreat);
  }

  /** The sensors that have seen a threat, those with the most events first. */
  sightings(threat: number): Sighting[] {
    const rows = this.#all('SELECT * FROM sighting WHERE threat = ? ORDER BY events DESC, sensor', threat);
    return rows.map(({ sensor, name, events }) => ({
      sensor: String(sensor) as SensorId,
      name: String(name),
      events: Number(events),
    }));
  }

  hasSeen(sensor: SensorId, threat: number): boolean {
    return this.#all('SELECT 1 FROM sighting WHERE threat = ? AND sensor = ?', threat, sensor).length > 0;
  }

  /** Events by day, sensor, severity and type. @param from to days since 1970, both included */
  days(from: number, to: number): DayCount[] {
    return this.#all('SELECT * FROM day WHERE day >= ? AND day <= ?', from, to).map((row) => ({
      day: Number(row.day),
      sensor: String(row.sensor) as SensorId,
      severity: Number(row.severity),
      type: String(row.type),
      events: Number(row.events),
    }));
  }

  /**
   * Takes out what a sensor has seen, of some threats at a time: those that nobody else has seen go, of others its events.
   * @param after the last threat that was looked at; 0 at first
   * @returns what to give for more; undefined where that was all
   * @throws {D4Error} D4_MALTRAIL_FAILED
   */
  forgetSensor(sensor: SensorId, after: number): number | undefined {
    let gone = 0;
    let last: number | undefined;
    this.#store.transaction(() => {
      const some = this.#all('SELECT id FROM threat WHERE id > ? ORDER BY id LIMIT ?', after, FORGET_AT_A_TIME);
      last = some.length === 0 ? undefined : Number(some.at(-1)?.id);
      const seen = 'FROM sighting WHERE threat > ? AND threat <= ? AND sensor = ?';
      for (const { threat, events } of this.#all(`SELECT threat, events ${seen}`, after, last ?? after, sensor)) {
        this.#run('UPDATE threat SET events = events - ? WHERE id = ?', Number(events), Number(threat));
      }
      this.#run(`DELETE ${seen}`, after, last ?? after, sensor);
      gone = this.#all(
        'DELETE FROM threat WHERE id > ? AND id <= ? AND events <= 0 RETURNING id',
        after,
        last ?? after,
      ).length;
      if (last === undefined) this.#run('DELETE FROM day WHERE sensor = ?', sensor);
    });
    this.#threats -= gone;
    return last;
  }

  close(): void {
    this.#store.close();
  }

  /** @returns whether it is a new one */
  #saveThreat({ threat, sightings }: GatheredThreat): boolean {
    const { source, trail } = threat;
    const [known] = this.#all('SELECT *, last AS place FROM threat WHERE source = ? AND trail = ?', source, trail);
    const all = known === undefined ? threat : merged(storedThreat(known), threat);
    const { severity, type, info, reference, events, first, last, firstStamp, lastStamp } = all;
    const [saved] = this.#all(
      `INSERT OR REPLACE INTO threat
       (id, source, trail, severity, type, info, reference, events, first, last, firstStamp, lastStamp, rank)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
      ...[known?.id === undefined ? null : Number(known.id), source, trail, severity, type, info, reference],
      ...[events, first, last, firstStamp, lastStamp, severity * RANK + last],
    );
    for (const { sensor, name, events: seen } of sightings.values()) {
      this.#run(
        `INSERT INTO sighting (threat, sensor, name, events) SELECT ?1, ?2, ?3, ?4
         WHERE EXISTS (SELECT 1 FROM sighting WHERE threat = ?1 AND sensor = ?2)
            OR (SELECT count(*) FROM sighting WHERE threat = ?1) < ?5
         ON CONFLICT DO UPDATE SET name = excluded.name, events = events + excluded.events`,
        ...[Number(saved?.id), sensor, name, seen, MAX_SIGHTINGS],
      );
    }
    return known === undefined;
  }

  #saveDay({ day, sensor, severity, type, events }: DayCount): void {
    this.#run(
      `INSERT INTO day (day, sensor, severity, type, events) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET events = events + excluded.events`,
      ...[day, sensor, severity, type, events],
    );
  }

  /** Forgets those that were not seen longest, of those that a condition holds for. @returns how many */
  #forget(condition: string, value: number, most = FORGET_AT_A_TIME): number {
    const rows = this.#all(
      `SELECT id FROM threat WHERE ${condition} ORDER BY last, id LIMIT ?`,
      value,
      Math.min(most, FORGET_AT_A_TIME),
    );
    for (const { id } of rows) {
      this.#run('DELETE FROM sighting WHERE threat = ?', Number(id));
      this.#run('DELETE FROM threat WHERE id = ?', Number(id));
    }
    return rows.length;
  }

  #all(sql: string, ...values: SQLInputValue[]): Record<string, unknown>[] {
    return this.#store.prepare(sql).all(...values);
  }

  #run(sql: string, ...values: SQLInputValue[]): void {
    this.#store.prepare(sql).run(...values);
  }
}

function storedThreat(row: Record<string, unknown>): StoredThreat {
  return {
    id: Number(row.id),
    place: Number(row.place),
    source: String(row.source),
    trail: String(row.trail),
    severity: Number(row.severity),
    type: String(row.type),
    info: String(row.info),
    reference: String(row.reference),
    events: Number(row.events),
    first: Number(row.first),
    last: Number(row.last),
    firstStamp: String(row.firstStamp),
    lastStamp: String(row.lastStamp),
  };
}
