import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import { crc32 } from 'node:zlib';

/** A row as it is read; integers as bigint, for a damaged one may be anything. */
export type Row = Record<string, SQLOutputValue>;

/**
 * Tables whose rows carry a CRC-32, and the columns that it is of: SQLite itself would not see that a byte of a value
 * has changed.
 */
const CHECKED: Readonly<Record<string, readonly string[]>> = {
  document: ['collection', 'key', 'revision', 'value'],
  cursor: ['queue', 'value'],
  activity: ['sensor', 'value'],
  summary: ['name', 'value'],
  progress: ['role', 'value'],
};

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** What a row's column `crc` holds. @param columns the values, in the order of the table's definition */
export function rowCrc(...columns: readonly (SQLOutputValue | undefined)[]): number {
  return crc32(columns.join('\0'));
}

/** Gives every row of the tables that carry one its CRC. For the migration that adds the column. */
export function addRowChecks(database: DatabaseSync): void {
  for (const [table, columns] of Object.entries(CHECKED)) {
    database.exec(`ALTER TABLE ${table} ADD COLUMN crc INTEGER`);
    const keys = columns.filter((column) => column !== 'value' && column !== 'revision');
    const where = keys.map((key) => `${key} = ?`).join(' AND ');
    const save = database.prepare(`UPDATE ${table} SET crc = ? WHERE ${where}`);
    for (const row of database.prepare(`SELECT * FROM ${table}`).all()) {
      save.run(rowCrc(...columns.map((column) => row[column])), ...keys.map((key) => row[key] ?? null));
    }
  }
}

/** Whether a row is as it was written, as far as that can be seen: by its CRC, or by what kind of values it has. */
export type RowJudge = (row: Row) => boolean;

/** Makes a judge of the rows of a table of the registry. @param types each column's declared type */
export function registryJudge(table: string, types: ReadonlyMap<string, string>): RowJudge {
  const columns = CHECKED[table];
  return (row) => {
    for (const [column, type] of types) if (!fits(column, type, row[column])) return false;
    const { crc } = row;
    if (columns === undefined || crc === null || crc === undefined) return true;
    return Number(crc) === rowCrc(...columns.map((column) => row[column]));
  };
}

/** Whether a value is one that a column can have. Nothing that is counted is below zero or beyond what is exact. */
export function fits(column: string, type: string, value: SQLOutputValue | undefined): boolean {
  if (value === null || value === undefined) return value === null;
  if (type === 'INTEGER') return typeof value === 'bigint' && value >= 0n && value <= BigInt(Number.MAX_SAFE_INTEGER);
  if (type !== 'TEXT' || typeof value !== 'string') return type !== 'TEXT';
  return column !== 'sensor' || UUID.test(value);
}

/** How a row is named in messages: its table, and what it is found by. */
export function rowName(table: string, row: Row): string {
  if (table === 'document') return `document ${JSON.stringify(row.key)} of ${row.collection}`;
  const [first] = Object.entries(row);
  const key = typeof first?.[1] === 'string' ? JSON.stringify(first[1]) : String(first?.[1]);
  return `${table} ${key}`;
}
