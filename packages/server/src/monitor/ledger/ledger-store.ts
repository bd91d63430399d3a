import { setImmediate } from 'node:timers/promises';
import { SumsStore } from '../../registry/sums-store.ts';
import { AT, HOUR_MS, MEASURES, REASON_KINDS, type ReasonCount } from './measures.ts';
import { Series, type SeriesSnapshot } from './series.ts';

/** Hours are kept for 90 days, and days for two years after that. */
const HOURS_KEPT = 90 * 24;
const DAYS_KEPT = 2 * 365;
/** Gaps that are kept one by one; in hours and days all are counted. */
const GAPS_KEPT = 200_000;
const GAPS_KEPT_PER_SERIES = 1_000;
/** Format of the ledger's file. */
export const LEDGER_FORMAT = 1;
/** Some milliseconds of work. */
const SERIES_AT_A_TIME = 200;

/** By what the ledger is added up. */
export type Period = 'hour' | 'day';

/** Counts of one hour or day of a series. */
export interface Row {
  /** ms since 1970: when the hour or day begins. */
  readonly start: number;
  readonly values: number[];
  readonly reasons: ReasonCount[];
}

/** One gap. */
export interface GapRow {
  readonly topic: string;
  readonly sensor: string;
  readonly stream: string;
  /** ms since 1970 */
  readonly time: number;
  readonly from: number | undefined;
  readonly to: number | undefined;
  readonly cause: string;
  readonly kind: string;
}

/** Counts are JSON arrays in the order of `MEASURES`, without the zeros at the end. */
export const LEDGER_SCHEMA = `
  CREATE TABLE series (
    id INTEGER PRIMARY KEY, sensor TEXT NOT NULL, topic TEXT NOT NULL,
    seenFrames INTEGER NOT NULL, seenBytes INTEGER NOT NULL, seenSessions INTEGER NOT NULL,
    totals TEXT NOT NULL, UNIQUE (sensor, topic)
  );
  CREATE TABLE hour (period INTEGER NOT NULL, series INTEGER NOT NULL, counts TEXT NOT NULL, PRIMARY KEY (period, series)) WITHOUT ROWID;
  CREATE TABLE day (period INTEGER NOT NULL, series INTEGER NOT NULL, counts TEXT NOT NULL, PRIMARY KEY (period, series)) WITHOUT ROWID;
  CREATE TABLE hour_reason (
    period INTEGER NOT NULL, series INTEGER NOT NULL, kind TEXT NOT NULL, reason TEXT NOT NULL,
    count INTEGER NOT NULL, bytes INTEGER NOT NULL, PRIMARY KEY (period, series, kind, reason)
  ) WITHOUT ROWID;
  CREATE TABLE day_reason (
    period INTEGER NOT NULL, series INTEGER NOT NULL, kind TEXT NOT NULL, reason TEXT NOT NULL,
    count INTEGER NOT NULL, bytes INTEGER NOT NULL, PRIMARY KEY (period, series, kind, reason)
  ) WITHOUT ROWID;
  CREATE TABLE gap (
    id INTEGER PRIMARY KEY, series INTEGER NOT NULL, time INTEGER NOT NULL, stream TEXT NOT NULL,
    "from" INTEGER, "to" INTEGER, cause TEXT NOT NULL, kind TEXT NOT NULL
  );
  CREATE INDEX gap_of_series ON gap (series, id);
  CREATE TABLE progress (topic TEXT PRIMARY KEY, sequence INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE mark (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
`;

/** `ledger.sqlite`: sums by hour and day, and how far the journal is in them, saved in one transaction. */
export class LedgerStore {
  readonly #store: SumsStore;

  /** @throws {D4Error} D4_LEDGER_FORMAT (a newer version wrote it), D4_LEDGER_FAILED */
  constructor(file: string) {
    this.#store = new SumsStore(
      { file, schema: LEDGER_SCHEMA, format: LEDGER_FORMAT },
      {
        what: 'the ledger',
        mended: 'a new one begins at the next start',
        codes: { format: 'D4_LEDGER_FORMAT', failed: 'D4_LEDGER_FAILED' },
      },
    );
  }

  /** All series with their totals, and what they have of the day (UTC) of `now`. */
  load(now: number): Series[] {
    return this.#store.guarded(() => this.#load(now));
  }

  #load(now: number): Series[] {
    const byId = new Map<number, Series>();
    for (const row of this.#store.prepare('SELECT * FROM series').iterate()) {
      const series = new Series(String(row.sensor), String(row.topic));
      series.id = Number(row.id);
      series.totals.set(countsIn(row.totals));
      series.seen.frames = Number(row.seenFrames);
      series.seen.bytes = Number(row.seenBytes);
      series.seen.sessions = Number(row.seenSessions);
      byId.set(series.id, series);
    }
    const today = Math.floor(now / HOUR_MS / 24) * 24;
    const rows = this.#store.prepare('SELECT series, counts FROM hour WHERE period >= ? AND period < ?');
    for (const row of rows.iterate(today, today + 24)) {
      const series = byId.get(Number(row.series));
      const counts = countsIn(row.counts);
      series?.addToday('frames', counts[AT.frames] ?? 0, now);
      series?.addToday('bytes', counts[AT.bytes] ?? 0, now);
    }
    return [...byId.values()];
  }

  progress(): Map<string, number> {
    const rows = this.#store.prepare('SELECT topic, sequence FROM progress').all();
    // A sequence that is none, in a damaged file, must not become that of the journal.
    const sound = rows.filter(({ sequence }) => Number.isSafeInteger(sequence));
    return new Map(sound.map(({ topic, sequence }) => [String(topic), Number(sequence)]));
  }

  mark(name: string): string | undefined {
    const row = this.#store.prepare('SELECT value FROM mark WHERE name = ?').get(name);
    return row === undefined ? undefined : String(row.value);
  }

  setMark(name: string, value: string): void {
    this.#store.guarded(() =>
      this.#store.prepare('INSERT OR REPLACE INTO mark (name, value) VALUES (?, ?)').run(name, value),
    );
  }

  /**
   * Saves series, gaps, and how far the journal is counted: all of it, or nothing. Others get their turn in between.
   * One at a time.
   */
  async save(
    changed: readonly SeriesSnapshot[],
    gaps: readonly GapRow[],
    progress: ReadonlyMap<string, number>,
  ): Promise<void> {
    const saved: (() => void)[] = [];
    await this.#store.longTransaction(async () => {
      for (const [at, snapshot] of changed.entries()) {
        saved.push(this.#saveSeries(snapshot));
        if (at % SERIES_AT_A_TIME === SERIES_AT_A_TIME - 1) await setImmediate();
      }
      for (const gap of gaps) this.#saveGap(gap);
      const save = this.#store.prepare('INSERT OR REPLACE INTO progress (topic, sequence) VALUES (?, ?)');
      for (const [topic, sequence] of progress) save.run(topic, sequence);
    });
    // Only what is certain to be committed may be taken for saved.
    for (const note of saved) note();
  }

  /** @returns what notes in the series that it is saved */
  #saveSeries({ series, totals, seen, hours }: SeriesSnapshot): () => void {
    const { sensor, topic } = series;
    const row = this.#store
      .prepare(
        `INSERT INTO series (sensor, topic, seenFrames, seenBytes, seenSessions, totals) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET seenFrames = excluded.seenFrames, seenBytes = excluded.seenBytes,
       seenSessions = excluded.seenSessions, totals = excluded.totals RETURNING id`,
      )
      .get(sensor, topic, seen.frames, seen.bytes, seen.sessions, countsText(totals));
    const id = Number(row?.id);
    let { savedHour } = series;
    for (const { hour, values, reasons } of hours) {
      const before = savedHour?.hour === hour ? savedHour.counts : this.#counts('hour', hour, id);
      savedHour = { hour, counts: added(before, values) };
      this.#saveCounts('hour', hour, id, savedHour.counts);
      for (const reason of reasons.values()) this.#addReason('hour_reason', hour, id, reason);
    }
    return () => {
      series.id = id;
      series.savedHour = savedHour;
    };
  }

  #counts(table: Period, period: number, series: number): number[] {
    const row = this.#store.prepare(`SELECT counts FROM ${table} WHERE period = ? AND series = ?`).get(period, series);
    return countsIn(row?.counts);
  }

  #saveCounts(table: Period, period: number, series: number, counts: readonly number[]): void {
    const save = this.#store.prepare(`INSERT OR REPLACE INTO ${table} (period, series, counts) VALUES (?, ?, ?)`);
    save.run(period, series, countsText(counts));
  }

  #addReason(table: 'hour_reason' | 'day_reason', period: number, series: number, of: ReasonCount): void {
    this.#store
      .prepare(
        `INSERT INTO ${table} (period, series, kind, reason, count, bytes) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET count = count + excluded.count, bytes = bytes + excluded.bytes`,
      )
      .run(period, series, of.kind, of.reason, of.count, of.bytes);
  }

  #saveGap({ sensor, topic, stream, time, from, to, cause, kind }: GapRow): void {
    this.#store
      .prepare(
        `INSERT INTO gap (series, time, stream, "from", "to", cause, kind)
       SELECT id, ?, ?, ?, ?, ?, ? FROM series WHERE sensor = ? AND topic = ?`,
      )
      .run(time, stream, from ?? null, to ?? null, cause, kind, sensor, topic);
    this.#store
      .prepare(
        `DELETE FROM gap WHERE id <= (SELECT gap.id FROM series JOIN gap ON gap.series = series.id
       WHERE series.sensor = ? AND series.topic = ? ORDER BY gap.id DESC LIMIT 1 OFFSET ?)
       AND series = (SELECT id FROM series WHERE sensor = ? AND topic = ?)`,
      )
      .run(sensor, topic, GAPS_KEPT_PER_SERIES, sensor, topic);
  }

  /**
   * Hours or days of a series, those with anything in them, the oldest first. Days of which hours are kept are made of
   * these.
   * @param from to ms since 1970
   */
  rows(series: number, by: Period, from: number, to: number): Row[] {
    const first = Math.floor(from / HOUR_MS);
    const last = Math.ceil(to / HOUR_MS) - 1;
    const hours = this.#range('hour', series, first, last);
    if (by === 'hour') return hours;
    const days = this.#range('day', series, Math.floor(first / 24), Math.floor(last / 24));
    const byStart = new Map(days.map((row) => [row.start, row]));
    for (const hour of hours) {
      const start = Math.floor(hour.start / HOUR_MS / 24) * 24 * HOUR_MS;
      byStart.set(start, addedRows(byStart.get(start), { ...hour, start }));
    }
    return [...byStart.values()].sort((a, b) => a.start - b.start);
  }

  #range(table: Period, series: number, first: number, last: number): Row[] {
    const held = this.#store
      .prepare(`SELECT (SELECT min(period) FROM ${table}) AS first, (SELECT max(period) FROM ${table}) AS last`)
      .get();
    if (typeof held?.first !== 'number') return [];
    const unit = table === 'hour' ? HOUR_MS : 24 * HOUR_MS;
    const given = [Math.max(first, held.first), Math.min(last, Number(held.last)), series] as const;
    if (given[0] > given[1]) return [];
    // One look-up for each period: the rows of all series of a period lie together, so that saving touches few pages.
    const periods = 'WITH RECURSIVE p(n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM p WHERE n < ?2)';
    const rows = new Map<number, Row>();
    const cells = this.#store
      .prepare(`${periods} SELECT t.* FROM p CROSS JOIN ${table} t ON t.period = p.n AND t.series = ?3`)
      .iterate(...given);
    for (const cell of cells) {
      const period = Number(cell.period);
      rows.set(period, { start: period * unit, values: countsIn(cell.counts), reasons: [] });
    }
    const reasons = this.#store
      .prepare(`${periods} SELECT r.* FROM p CROSS JOIN ${table}_reason r ON r.period = p.n AND r.series = ?3`)
      .iterate(...given);
    for (const row of reasons) {
      const of = reasonIn(row);
      if (of !== undefined) rows.get(Number(row.period))?.reasons.push(of);
    }
    return [...rows.values()];
  }

  /** The newest gaps of a sensor, in some time; of one topic, or of all. @param from to ms since 1970 */
  gaps(sensor: string, topic: string | undefined, from: number, to: number, limit: number): GapRow[] {
    const rows = this.#store
      .prepare(
        `SELECT gap.*, series.topic AS topic FROM series JOIN gap ON gap.series = series.id
       WHERE series.sensor = ? AND (? IS NULL OR series.topic = ?) AND gap.time >= ? AND gap.time < ? ORDER BY gap.id DESC LIMIT ?`,
      )
      .all(sensor, topic ?? null, topic ?? null, from, to, limit);
    return rows.map((row) => ({
      sensor,
      topic: String(row.topic),
      stream: String(row.stream),
      time: Number(row.time),
      from: row.from === null ? undefined : Number(row.from),
      to: row.to === null ? undefined : Number(row.to),
      cause: String(row.cause),
      kind: String(row.kind),
    }));
  }

  /**
   * Puts one hour that is old enough into its day, and forgets days and gaps that are too many; to be called each hour.
   * @param now ms since 1970
   * @returns whether there may be another such hour
   */
  fold(now: number): boolean {
    const oldest = (Math.floor(now / HOUR_MS / 24) - HOURS_KEPT / 24) * 24;
    const first = this.#store.prepare('SELECT min(period) AS hour FROM hour').get()?.hour;
    const hasOld = typeof first === 'number' && first < oldest;
    this.#store.transaction(() => {
      if (hasOld) this.#foldHour(first);
      const oldestDay = Math.floor(now / HOUR_MS / 24) - DAYS_KEPT;
      for (const table of ['day', 'day_reason']) {
        this.#store.prepare(`DELETE FROM ${table} WHERE period < ?`).run(oldestDay);
      }
      this.#store.prepare('DELETE FROM gap WHERE id <= (SELECT max(id) FROM gap) - ?').run(GAPS_KEPT);
    });
    return hasOld;
  }

  #foldHour(hour: number): void {
    const day = Math.floor(hour / 24);
    for (const { series, counts } of this.#store
      .prepare('SELECT series, counts FROM hour WHERE period = ?')
      .all(hour)) {
      const before = this.#counts('day', day, Number(series));
      this.#saveCounts('day', day, Number(series), added(before, countsIn(counts)));
    }
    for (const row of this.#store.prepare('SELECT * FROM hour_reason WHERE period = ?').all(hour)) {
      const of = reasonIn(row);
      if (of !== undefined) this.#addReason('day_reason', day, Number(row.series), of);
    }
    for (const table of ['hour', 'hour_reason']) this.#store.prepare(`DELETE FROM ${table} WHERE period = ?`).run(hour);
  }

  close(): void {
    this.#store.close();
  }
}

function addedRows(a: Row | undefined, b: Row): Row {
  if (a === undefined) return b;
  const reasons = new Map(a.reasons.map((each) => [`${each.kind} ${each.reason}`, each]));
  for (const each of b.reasons) {
    const key = `${each.kind} ${each.reason}`;
    const before = reasons.get(key);
    reasons.set(key, {
      ...each,
      count: each.count + (before?.count ?? 0),
      bytes: each.bytes + (before?.bytes ?? 0),
    });
  }
  return {
    start: b.start,
    values: added(a.values, b.values),
    reasons: [...reasons.values()],
  };
}

/** All measures, of counts as they were saved, perhaps before there were as many measures. */
function countsIn(text: unknown): number[] {
  const counts: number[] = typeof text === 'string' ? JSON.parse(text) : [];
  while (counts.length < MEASURES.length) counts.push(0);
  return counts;
}

function countsText(counts: ArrayLike<number>): string {
  let length = counts.length;
  while (length > 0 && counts[length - 1] === 0) length -= 1;
  return JSON.stringify(Array.from({ length }, (_, at) => counts[at]));
}

function added(a: ArrayLike<number>, b: ArrayLike<number>): number[] {
  return Array.from({ length: MEASURES.length }, (_, at) => (a[at] ?? 0) + (b[at] ?? 0));
}

function reasonIn(row: Record<string, unknown>): ReasonCount | undefined {
  const kind = REASON_KINDS.find((each) => each === row.kind);
  if (kind === undefined) return undefined;
  return { kind, reason: String(row.reason), count: Number(row.count), bytes: Number(row.bytes) };
}
