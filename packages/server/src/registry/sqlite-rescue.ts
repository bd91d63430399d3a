import { existsSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Logger } from 'pino';
import { syncFile, syncFolder } from './durable-file.ts';
import { type Row, registryJudge, rowName } from './row-check.ts';
import { DATABASE_ENDINGS, type DatabaseRows, insertRows, salvage, type TableRows } from './salvage.ts';
import { copyAside } from './set-aside.ts';
import { inTransaction, type Migration, migrate, registrySchema } from './sqlite-format.ts';

/** What says who is signed in, what was used when, and how often it may still be: an old copy of it must not come back. */
const NEVER_FROM_COPY: ReadonlySet<unknown> = new Set(['login-sessions', 'token-uses', 'enrolments']);
/** The archive's sums follow from the announcements in the journal: where some are lost, all are counted again. */
const BOOKS = ['archive_holding', 'archive_counted', 'archive_reference'];
const SHOWN = 100;

/** Where a damaged registry goes, and what is taken in its place. */
export interface RescuePlaces {
  /** The copy that a server makes at each start and each day. */
  readonly copy: string;
  /** A copy of the key file, made when the key was found to be the right one. */
  readonly keyCopy: string;
  /** The folder for damaged files. */
  readonly folder: string;
}

/** What became of a damaged registry. */
export interface Rescue {
  /** Where the damaged file was copied to. */
  readonly kept: string;
  /** Rows that could be read. */
  readonly read: number;
  /** Rows that are as they were when the copy was made, and when that was, ms since 1970. */
  readonly fromCopy: readonly string[];
  readonly copiedAt: number | undefined;
  /** Rows that are known to be lost. */
  readonly lost: readonly string[];
  /** Tables of which a part could not be read: what was in it and in no copy is lost, and cannot be named. */
  readonly tornTables: readonly string[];
}

/**
 * Makes a registry anew of what can be read of a damaged one, row by row; what cannot comes from the last copy, unless it
 * was removed since. The damaged file is kept.
 * @throws system errors where that cannot be written
 */
export function rescueRegistry(
  file: string,
  { copy, folder }: RescuePlaces,
  migrations: readonly Migration[],
  log: Logger,
): Rescue {
  const kept = copyAside(file, folder, DATABASE_ENDINGS);
  const schema = registrySchema(migrations);
  const found = salvage(kept, `${kept}.work`, registryJudge, { schema, like: copy });
  const copied: DatabaseRows = existsSync(copy) ? salvage(copy, `${kept}.copy`, registryJudge) : new Map();
  const rebuilt = new Rebuilt(found, copied);
  write(file, rebuilt, migrations);
  const rescue: Rescue = {
    kept,
    read: [...found.values()].reduce((sum, { rows }) => sum + rows.length, 0),
    fromCopy: rebuilt.fromCopy,
    copiedAt: copied.size > 0 ? Math.floor(statSync(copy).mtimeMs) : undefined,
    lost: rebuilt.lost,
    tornTables: rebuilt.torn,
  };
  const { fromCopy, lost, ...facts } = rescue;
  log.error(
    {
      ...facts,
      fromCopy: fromCopy.length,
      fromCopyRows: fromCopy.slice(0, SHOWN),
      lost: lost.length,
      lostRows: lost.slice(0, SHOWN),
    },
    'the registry is damaged: it was made anew of what can be read of it and of its last copy; the damaged file is kept',
  );
  return rescue;
}

/** The rows of the new registry. */
class Rebuilt {
  readonly tables = new Map<string, Row[]>();
  readonly fromCopy: string[] = [];
  readonly lost: string[] = [];
  readonly torn: string[] = [];
  /** The format of the damaged one, or of the copy. */
  readonly version: number | undefined;

  constructor(found: DatabaseRows, copied: DatabaseRows) {
    this.version = versionOf(found) ?? versionOf(copied);
    const wholeCopy = found.size === 0;
    const removed = removedSince(found, copied);
    for (const table of new Set([...found.keys(), ...copied.keys()])) {
      const here = found.get(table);
      const there = copied.get(table);
      const rows = [...(here?.rows ?? [])];
      this.tables.set(table, rows);
      if (here?.whole === true && here.damaged.length === 0) continue;
      if (here?.whole !== true) this.torn.push(table);
      const held = new Set(rows.map((row) => rowName(table, row)));
      for (const row of there?.rows ?? []) {
        const name = rowName(table, row);
        if (held.has(name) || removed(table, row) || NEVER_FROM_COPY.has(row.collection)) continue;
        rows.push(row);
        held.add(name);
        if (!wholeCopy) this.fromCopy.push(name);
      }
      for (const row of here?.damaged ?? []) {
        const name = rowName(table, row);
        if (!held.has(name)) this.lost.push(name);
      }
    }
    if (BOOKS.some((table) => isHurt(found.get(table)))) for (const table of BOOKS) this.tables.delete(table);
  }
}

function isHurt(table: TableRows | undefined): boolean {
  return table === undefined || !table.whole || table.damaged.length > 0;
}

function versionOf(tables: DatabaseRows): number | undefined {
  const versions = (tables.get('format')?.rows ?? []).map(({ version }) => Number(version));
  return versions.length === 0 ? undefined : Math.max(...versions);
}

/** Tells what the audit records say to have been removed after the copy was made. */
function removedSince(found: DatabaseRows, copied: DatabaseRows): (table: string, row: Row) => boolean {
  const lastCopied = (copied.get('audit')?.rows ?? []).reduce((last, { id }) => Math.max(last, Number(id)), 0);
  const last = new Map<string, Row>();
  for (const row of found.get('audit')?.rows ?? []) {
    if (Number(row.id) <= lastCopied || row.event === 1n) continue;
    const name = `${row.collection} ${row.key}`;
    if (Number(last.get(name)?.id ?? 0) < Number(row.id)) last.set(name, row);
  }
  return (table, row) => {
    if (table !== 'document') return false;
    // Of keys that are secrets the audit record has the beginning.
    const names = [`${row.collection} ${row.key}`, `${row.collection} ${String(row.key).slice(0, 8)}…`];
    return names.some((name) => last.get(name)?.after === null);
  };
}

/** Puts the new registry in the place of the damaged one. */
function write(file: string, { tables, version }: Rebuilt, migrations: readonly Migration[]): void {
  const beside = join(dirname(file), `.rebuilt-${process.pid}.new`);
  for (const ending of DATABASE_ENDINGS) rmSync(beside + ending, { force: true });
  const database = new DatabaseSync(beside);
  try {
    database.exec('PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL');
    // In the format that the rows have: opening it brings them to the newest.
    const isKnown = version !== undefined && version >= 1 && version <= migrations.length;
    migrate(database, beside, isKnown ? migrations.slice(0, version) : migrations);
    inTransaction(database, () => {
      for (const [table, rows] of tables) {
        if (table !== 'format' && hasTable(database, table)) insertRows(database, table, rows);
      }
    });
  } finally {
    database.close();
  }
  syncFile(beside);
  // A log that belongs to the damaged file would be taken for that of the new one.
  for (const ending of DATABASE_ENDINGS.slice(1)) rmSync(file + ending, { force: true });
  renameSync(beside, file);
  syncFolder(dirname(file));
}

function hasTable(database: DatabaseSync, table: string): boolean {
  return database.prepare('SELECT 1 FROM sqlite_schema WHERE name = ?').get(table) !== undefined;
}
