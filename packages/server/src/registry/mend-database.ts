import { existsSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { isDeepStrictEqual } from 'node:util';
import { D4Error } from '@d4ts/protocol';
import type { Logger } from 'pino';
import { syncFile, syncFolder } from './durable-file.ts';
import { fits, type RowJudge } from './row-check.ts';
import {
  DATABASE_ENDINGS,
  damageOf,
  databaseBytes,
  insertRows,
  readDatabase,
  salvage,
  schemaMadeBy,
  schemaOf,
} from './salvage.ts';
import { copyAside } from './set-aside.ts';
import { inTransaction } from './sqlite-format.ts';

/** What is larger is not read as a whole at a start: that would take seconds. */
const CHECKED_AT_START_BYTES = 256 * 1024 * 1024;
/** Beyond it no count, sequence or time of ours can be: it is a damaged one. */
const LARGEST = 2n ** 50n;

/** Result codes of SQLite that say that the bytes of a file are wrong (https://sqlite.org/rescode.html). */
const DAMAGE = new Set([1, 8, 11, 26]);

/** A database of sums: what it holds follows from the journal, as long as that has it. */
export interface SumsDatabase {
  readonly file: string;
  /** The statements that make its tables, and the format (`user_version`) that they are. */
  readonly schema: string;
  readonly format: number;
}

/** What is wrong with a database of sums, in words; undefined where it is sound, or of another format. */
export function inspectDatabase({ file, schema, format }: SumsDatabase): string | undefined {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { timeout: 1_000 });
    const finding = damageOf(database, file);
    if (finding !== undefined) return finding;
    const isOurs = isDeepStrictEqual(
      schemaOf(database),
      schemaMadeBy((made) => made.exec(schema)),
    );
    const isFormat = Number(database.prepare('PRAGMA user_version').get()?.user_version) === format;
    if (isOurs !== isFormat)
      return isOurs ? 'its format is not that of its tables' : 'its tables are not what they should be';
    for (const [table, { damaged, whole }] of readDatabase(database, judgeOfSums)) {
      if (!whole) return `a part of table ${table} cannot be read`;
      if (damaged.length > 0) return `${damaged.length} rows of table ${table} cannot be right`;
    }
    return undefined;
  } catch (error) {
    if (error instanceof Error && 'errcode' in error && DAMAGE.has(Number(error.errcode) & 0xff)) return error.message;
    throw new D4Error(
      'D4_DATABASE_FAILED',
      `${file} cannot be read: ${error instanceof Error ? error.message : error}`,
      error,
    );
  } finally {
    database?.close();
  }
}

/**
 * Makes a damaged database of sums (ledger, threats) anew of what can be read of it, before it is opened; the damaged file
 * is kept. Where nothing can be read, a new one begins.
 * @param database its file may be missing
 * @param folder for damaged files
 * @param largest a larger file is only looked at where something fails
 * @returns where the damaged file is kept; undefined where it is sound
 */
export function mendDatabase(
  database: SumsDatabase,
  folder: string,
  log: Logger,
  largest: number = CHECKED_AT_START_BYTES,
): string | undefined {
  const { file } = database;
  if (!existsSync(file) || statSync(file).size === 0 || databaseBytes(file) > largest) return undefined;
  const damage = inspectDatabase(database);
  if (damage === undefined) return undefined;
  const kept = copyAside(file, folder, DATABASE_ENDINGS);
  const rows = rebuild(database, kept);
  const facts = { file, damage, kept, rows: rows.read, lostRows: rows.lost, tornTables: rows.torn };
  log.error(facts, 'a database is damaged: it was made anew of what can be read of it, and the damaged file is kept');
  return kept;
}

function rebuild({ file, schema, format }: SumsDatabase, kept: string): { read: number; lost: number; torn: string[] } {
  const aids = { schema: schemaMadeBy((made) => made.exec(schema)) };
  const found = salvage(kept, `${kept}.work`, judgeOfSums, aids);
  const beside = join(dirname(file), `.rebuilt-${process.pid}.new`);
  for (const ending of DATABASE_ENDINGS) rmSync(beside + ending, { force: true });
  const made = new DatabaseSync(beside);
  try {
    made.exec(`PRAGMA journal_mode = DELETE; PRAGMA user_version = ${format}`);
    inTransaction(made, () => {
      made.exec(schema);
      for (const [table, { rows }] of found)
        if (aids.schema.some(({ name }) => name === table)) insertRows(made, table, rows);
    });
  } finally {
    made.close();
  }
  for (const ending of DATABASE_ENDINGS.slice(1)) rmSync(file + ending, { force: true });
  syncFile(beside);
  renameSync(beside, file);
  syncFolder(dirname(file));
  const tables = [...found.values()];
  return {
    read: tables.reduce((sum, { rows }) => sum + rows.length, 0),
    lost: tables.reduce((sum, { damaged }) => sum + damaged.length, 0),
    torn: [...found].filter(([, { whole }]) => !whole).map(([table]) => table),
  };
}

/** Rows of sums carry no CRC: what can be seen is a value that none of ours can be. */
function judgeOfSums(_table: string, types: ReadonlyMap<string, string>): RowJudge {
  return (row) => {
    for (const [column, type] of types) {
      const value = row[column];
      if (
        typeof value === 'bigint'
          ? value < -LARGEST || value > LARGEST
          : column !== 'sensor' && !fits(column, type, value)
      )
        return false;
      if ((column === 'counts' || column === 'totals') && !isListOfCounts(value)) return false;
    }
    return true;
  };
}

function isListOfCounts(text: unknown): boolean {
  try {
    const value: unknown = JSON.parse(String(text));
    return Array.isArray(value) && value.every((each) => Number.isSafeInteger(each));
  } catch {
    return false;
  }
}
