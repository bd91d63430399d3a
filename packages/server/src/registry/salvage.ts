import { copyFileSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { Row, RowJudge } from './row-check.ts';

/** SQLite's files beside a database. */
export const DATABASE_ENDINGS = ['', '-wal', '-shm'] as const;

const HEADER_BYTES = 100;
const PAGE_BYTES = 4096;

/** What could be read of a table. */
export interface TableRows {
  readonly rows: readonly Row[];
  /** Rows that are not as they were written. */
  readonly damaged: readonly Row[];
  /** Whether all of it could be read, though perhaps with damaged rows. */
  readonly whole: boolean;
}

/** What could be read of a database, by table; a table that is not there at all is missing. */
export type DatabaseRows = ReadonlyMap<string, TableRows>;

/** What a database's tables and indexes are to be: the rows of `sqlite_schema`, in their order, but for where they lie. */
export type Schema = readonly {
  readonly type: string;
  readonly name: string;
  readonly table: string;
  readonly sql: string | null;
}[];

/** The schema that a database has. */
export function schemaOf(database: DatabaseSync): Schema {
  return database
    .prepare('SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid')
    .all()
    .map(({ type, name, tbl_name: table, sql }) => {
      return { type: String(type), name: String(name), table: String(table), sql: sql === null ? null : String(sql) };
    });
}

/** The schema that statements make. */
export function schemaMadeBy(make: (database: DatabaseSync) => void): Schema {
  const database = new DatabaseSync(':memory:');
  try {
    make(database);
    return schemaOf(database);
  } finally {
    database.close();
  }
}

/** What is to be known of a damaged database beforehand. */
export interface SalvageAids {
  /** What its tables are to be. */
  readonly schema?: Schema | undefined;
  /** A database whose first page can stand for a damaged one: an earlier copy of the same. */
  readonly like?: string | undefined;
}

/** Makes the judge of a table's rows. @param types of its columns, as declared */
export type JudgeMaker = (table: string, types: ReadonlyMap<string, string>) => RowJudge;

/**
 * Reads what can be read of a damaged database, without changing it: each table from its beginning and, where that does
 * not lead to its end, from its end too.
 * @param work a name for a copy to work on; nothing of that name is left
 */
export function salvage(
  file: string,
  work: string,
  judge: JudgeMaker,
  { schema, like }: SalvageAids = {},
): DatabaseRows {
  const attempts: Attempt[] = [{ mend: mendHeader, schema }];
  if (like !== undefined && existsSync(like)) {
    const page = readFileSync(like).subarray(0, PAGE_BYTES);
    const mend = (bytes: Buffer): void => {
      page.copy(bytes);
      mendHeader(bytes);
    };
    attempts.push({ mend, schema: undefined });
  }
  let best: DatabaseRows = new Map();
  for (const attempt of attempts) {
    const found = salvageOnce(file, work, judge, attempt);
    if (countRows(found) > countRows(best)) best = found;
    if ([...found.values()].every(({ whole }) => whole) && found.size > 0) break;
  }
  return best;
}

/**
 * Reads all tables of a database as it is.
 * @param but a table that is left out
 * @throws whatever SQLite says where it cannot even be opened
 */
export function readDatabase(database: DatabaseSync, judge: JudgeMaker, but?: string): DatabaseRows {
  const tables = new Map<string, TableRows>();
  const names = database
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
    .all();
  for (const { name } of names) {
    if (name === but) continue;
    try {
      tables.set(String(name), readTable(database, String(name), judge));
    } catch {
      tables.set(String(name), { rows: [], damaged: [], whole: false });
    }
  }
  return tables;
}

/** One way to make a damaged database readable. */
interface Attempt {
  readonly mend: (bytes: Buffer) => void;
  readonly schema: Schema | undefined;
}

function salvageOnce(file: string, work: string, judge: JudgeMaker, { mend, schema }: Attempt): DatabaseRows {
  let database: DatabaseSync | undefined;
  try {
    const bytes = readFileSync(file);
    mend(bytes);
    writeFileSync(work, bytes, { mode: 0o600 });
    if (existsSync(`${file}-wal`)) copyFileSync(`${file}-wal`, `${work}-wal`);
    database = new DatabaseSync(work, { defensive: false });
    if (schema !== undefined) mendSchema(database, schema);
    return readDatabase(database, judge);
  } catch {
    return new Map();
  } finally {
    database?.close();
    for (const ending of DATABASE_ENDINGS) rmSync(work + ending, { force: true });
  }
}

/** Puts right what tables and indexes there are, where as many are there as should be. */
function mendSchema(database: DatabaseSync, schema: Schema): void {
  database.exec('PRAGMA writable_schema = ON');
  const rowids = database.prepare('SELECT rowid FROM sqlite_schema ORDER BY rowid').all();
  if (rowids.length === schema.length) {
    const save = database.prepare('UPDATE sqlite_schema SET type = ?, name = ?, tbl_name = ?, sql = ? WHERE rowid = ?');
    for (const [i, { type, name, table, sql }] of schema.entries()) {
      save.run(type, name, table, sql, rowids[i]?.rowid ?? null);
    }
  }
  database.exec('PRAGMA writable_schema = RESET');
}

/** Writes what is known of a database of ours into its first 100 bytes (https://sqlite.org/fileformat.html, 1.3). */
function mendHeader(bytes: Buffer): void {
  if (bytes.length < HEADER_BYTES) return;
  bytes.write('SQLite format 3\0', 0, 'latin1');
  bytes.writeUInt16BE(PAGE_BYTES, 16);
  bytes.set([2, 2, 0, 64, 32, 32], 18);
  // Equal to the change counter: the size in the header holds.
  bytes.writeUInt32BE(bytes.readUInt32BE(24), 92);
  bytes.writeUInt32BE(Math.floor(bytes.length / PAGE_BYTES), 28);
  // No free pages are looked for: nothing is written.
  bytes.fill(0, 32, 40);
  bytes.writeUInt32BE(4, 44);
  bytes.fill(0, 52, 56);
  bytes.writeUInt32BE(1, 56);
  bytes.fill(0, 64, 68);
}

function readTable(database: DatabaseSync, table: string, judge: JudgeMaker): TableRows {
  const columns = database.prepare(`PRAGMA table_info("${table}")`).all();
  const types = new Map(columns.map(({ name, type }) => [String(name), String(type)]));
  const keys = columns.filter(({ pk }) => Number(pk) > 0).sort((a, b) => Number(a.pk) - Number(b.pk));
  const key = keys.length > 0 ? keys.map(({ name }) => `"${name}"`) : ['rowid'];
  const judged = judge(table, types);
  const rows = new Map<string, Row>();
  const damaged: Row[] = [];
  const scan = (order: string): boolean => {
    try {
      const statement = database.prepare(`SELECT ${keys.length > 0 ? '' : 'rowid, '}* FROM "${table}" ${order}`);
      statement.setReadBigInts(true);
      for (const { rowid, ...row } of statement.iterate()) {
        const name = keys.length > 0 ? keys.map((each) => String(row[String(each.name)])).join('\0') : String(rowid);
        if (rows.has(name)) continue;
        if (judged(row)) rows.set(name, row);
        else damaged.push(row);
      }
      return true;
    } catch {
      return false;
    }
  };
  const whole = scan('');
  if (!whole) scan(`ORDER BY ${key.map((each) => `${each} DESC`).join(', ')}`);
  return { rows: [...rows.values()], damaged, whole };
}

function countRows(tables: DatabaseRows): number {
  let count = 0;
  for (const { rows } of tables.values()) count += rows.length;
  return count;
}

/** Puts rows into a table, those columns that both have. Rows that are there already stay as they are. */
export function insertRows(database: DatabaseSync, table: string, rows: readonly Row[]): void {
  const known = new Set(
    database
      .prepare(`PRAGMA table_info("${table}")`)
      .all()
      .map(({ name }) => String(name)),
  );
  for (const row of rows) {
    const columns = Object.keys(row).filter((column) => known.has(column));
    if (columns.length === 0) return;
    const names = columns.map((column) => `"${column}"`).join(', ');
    const marks = columns.map(() => '?').join(', ');
    database
      .prepare(`INSERT OR IGNORE INTO "${table}" (${names}) VALUES (${marks})`)
      .run(...columns.map((column) => row[column] ?? null));
  }
}

/** What is larger is checked without comparing its indexes with its tables: that would take seconds. */
const COMPARED_BYTES = 64 * 1024 * 1024;

/** What SQLite finds wrong with a database; undefined where that is nothing. @throws whatever it says where it cannot even look */
export function damageOf(database: DatabaseSync, file: string, thorough = false): string | undefined {
  const check = thorough || databaseBytes(file) <= COMPARED_BYTES ? 'integrity_check' : 'quick_check';
  const [finding] = Object.values(database.prepare(`PRAGMA ${check}(1)`).get() ?? {});
  return finding === 'ok' ? undefined : String(finding).replace('*** in database main ***\n', '');
}

/** How many bytes a database has on disk, with what is beside it. */
export function databaseBytes(file: string): number {
  return DATABASE_ENDINGS.reduce(
    (sum, ending) => sum + (existsSync(file + ending) ? statSync(file + ending).size : 0),
    0,
  );
}
