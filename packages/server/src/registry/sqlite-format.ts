import type { DatabaseSync } from 'node:sqlite';
import { D4Error } from '@d4ts/protocol';
import { addRowChecks } from './row-check.ts';
import { type Schema, schemaMadeBy } from './salvage.ts';

/** Brings the tables from one format version to the next; called within a transaction. */
export type Migration = (database: DatabaseSync) => void;

/** The history of the format: the n-th one (from 1) makes version n. Never change one that was released; add one. */
export const MIGRATIONS: readonly Migration[] = [
  (database) => {
    database.exec(`
      CREATE TABLE document (
        collection TEXT NOT NULL,
        key TEXT NOT NULL,
        revision INTEGER NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (collection, key)
      ) WITHOUT ROWID;
      CREATE TABLE audit (
        id INTEGER PRIMARY KEY,
        time INTEGER NOT NULL,
        actor TEXT NOT NULL,
        address TEXT,
        collection TEXT NOT NULL,
        key TEXT NOT NULL,
        before TEXT,
        after TEXT
      );
      CREATE TABLE cursor (queue TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
      CREATE TABLE activity (sensor TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
      CREATE TABLE summary (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    `);
  },
  (database) => database.exec('CREATE TABLE progress (role TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID'),
  countWhatIsLeftOut,
  tellEventsFromChanges,
  keepBooksOfTheArchive,
  (database) =>
    database.exec(`
      CREATE TABLE ended_stream (
        id TEXT PRIMARY KEY,
        sensor TEXT NOT NULL,
        topic TEXT NOT NULL,
        total INTEGER NOT NULL,
        at INTEGER NOT NULL
      ) WITHOUT ROWID;
      CREATE INDEX ended_stream_at ON ended_stream (at);
    `),
  addRowChecks,
];

/** What is left out of streams is counted, and what comes in a day. */
function countWhatIsLeftOut(database: DatabaseSync): void {
  const save = database.prepare('UPDATE activity SET value = ? WHERE sensor = ?');
  for (const { sensor, value } of database.prepare('SELECT sensor, value FROM activity').all()) {
    const activity = JSON.parse(String(value)) as { topics: Record<string, object> };
    const topics = Object.entries(activity.topics).map(([topic, counts]) => [
      topic,
      { skippedBytes: 0, cutRecords: 0, ...counts },
    ]);
    const counted = { today: { day: 0, bytes: 0 }, ...activity, topics: Object.fromEntries(topics) };
    save.run(JSON.stringify(counted), String(sensor));
  }
}

/** Sums of the finished files, and what was removed of them. */
function keepBooksOfTheArchive(database: DatabaseSync): void {
  database.exec(`
    CREATE TABLE archive_holding (
      topic TEXT NOT NULL,
      sensor TEXT NOT NULL,
      files INTEGER NOT NULL,
      bytes INTEGER NOT NULL,
      stream_bytes INTEGER NOT NULL,
      next_sequence INTEGER NOT NULL,
      oldest INTEGER NOT NULL,
      removed_files INTEGER NOT NULL,
      removed_bytes INTEGER NOT NULL,
      PRIMARY KEY (topic, sensor)
    ) WITHOUT ROWID;
    CREATE TABLE archive_counted (topic TEXT PRIMARY KEY, before INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE archive_reference (path TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE archive_removal (
      topic TEXT NOT NULL,
      sensor TEXT NOT NULL,
      hour INTEGER NOT NULL,
      why TEXT NOT NULL,
      before INTEGER NOT NULL,
      at INTEGER NOT NULL,
      files INTEGER NOT NULL,
      bytes INTEGER NOT NULL,
      PRIMARY KEY (topic, sensor, hour, why)
    ) WITHOUT ROWID;
  `);
}

/** Audit records are found by their time, and there are some of what changes no document. */
function tellEventsFromChanges(database: DatabaseSync): void {
  database.exec(`
    ALTER TABLE audit ADD COLUMN event INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX audit_time ON audit (time);
  `);
}

/**
 * The format version of a database; 0 for a new one.
 * @throws whatever SQLite says of a damaged file
 */
function formatVersion(database: DatabaseSync): number {
  database.exec('CREATE TABLE IF NOT EXISTS format (version INTEGER NOT NULL)');
  const row = database.prepare('SELECT max(version) AS version FROM format').get();
  const version = typeof row?.version === 'number' ? row.version : 0;
  const second = witnessOf(database);
  if (second !== 0 && second !== version) throw new Error(`its format is ${version} here and ${second} there`);
  return version;
}

/** The version that stands in the file's header as well, so that a damaged number is not taken for a newer version; 0 in older files. */
function witnessOf(database: DatabaseSync): number {
  return Number(database.prepare('PRAGMA user_version').get()?.user_version);
}

/**
 * Brings a database to the newest format, in one transaction.
 * @throws {D4Error} D4_REGISTRY_FORMAT where a newer version of the program has written it
 */
export function migrate(database: DatabaseSync, file: string, migrations: readonly Migration[]): void {
  const version = checkFormat(database, file, migrations);
  if (version === migrations.length && witnessOf(database) === version) return;
  inTransaction(database, () => {
    for (const step of migrations.slice(version)) step(database);
    database.exec(`DELETE FROM format; PRAGMA user_version = ${migrations.length}`);
    database.prepare('INSERT INTO format (version) VALUES (?)').run(migrations.length);
  });
}

/**
 * The format version of a database.
 * @throws {D4Error} D4_REGISTRY_FORMAT; or whatever SQLite says of a damaged file
 */
export function checkFormat(database: DatabaseSync, file: string, migrations: readonly Migration[]): number {
  const version = formatVersion(database);
  if (version > migrations.length) {
    throw new D4Error(
      'D4_REGISTRY_FORMAT',
      `${file} has format ${version}, and this version of the program knows formats up to ${migrations.length}: start the newer version that wrote it`,
    );
  }
  return version;
}

/** What tables a database of the newest format has. */
export function registrySchema(migrations: readonly Migration[]): Schema {
  return schemaMadeBy((database) => migrate(database, ':memory:', migrations));
}

/** Runs `work` in a transaction: all of it is durable when this returns, or none of it is. */
export function inTransaction(database: DatabaseSync, work: () => void): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    work();
    database.exec('COMMIT');
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}
