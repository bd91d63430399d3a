import { chmodSync, existsSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { D4Error } from '@d4ts/protocol';
import type { SumsDatabase } from './mend-database.ts';
import { inTransaction } from './sqlite-format.ts';

/** How a database beside the registry is spoken of. */
export interface SumsWords {
  /** `the ledger`, before its file. */
  readonly what: string;
  /** What to do about damage: `a new one begins at the next start`. */
  readonly mended: string;
  /** Codes of its errors: a newer version wrote it; anything else. */
  readonly codes: { readonly format: `D4_${string}`; readonly failed: `D4_${string}` };
}

/**
 * A database beside the registry, of what can be counted or seen again (`SumsDatabase`): opened or made, with its
 * statements. What a power loss takes from its write-ahead log is taken whole.
 */
export class SumsStore {
  readonly #database: DatabaseSync;
  readonly #file: string;
  readonly #words: SumsWords;
  readonly #statements = new Map<string, StatementSync>();

  /** @throws {D4Error} with the codes of `words` */
  constructor({ file, schema, format }: SumsDatabase, words: SumsWords) {
    this.#file = file;
    this.#words = words;
    const isNew = !existsSync(file);
    let database: DatabaseSync | undefined;
    try {
      database = new DatabaseSync(file, { timeout: 1_000 });
      if (isNew) chmodSync(file, 0o600);
      database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL');
      this.#database = database;
      this.#prepareFormat(schema, format);
    } catch (error) {
      database?.close();
      throw error instanceof D4Error ? error : this.#failure(error);
    }
  }

  /** A statement; the same text is compiled once. */
  prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const made = this.#database.prepare(sql);
    this.#statements.set(sql, made);
    return made;
  }

  /** @throws {D4Error} for whatever `work` throws */
  guarded<R>(work: () => R): R {
    try {
      return work();
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /** All or nothing. @throws {D4Error} */
  transaction(work: () => void): void {
    this.guarded(() => inTransaction(this.#database, work));
  }

  /** All or nothing, where the work lets others in between; they must not write. @throws {D4Error} */
  async longTransaction(work: () => Promise<void>): Promise<void> {
    try {
      this.#database.exec('BEGIN IMMEDIATE');
      await work();
      this.#database.exec('COMMIT');
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw this.#failure(error);
    }
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }

  #prepareFormat(schema: string, format: number): void {
    const version = Number(this.#database.prepare('PRAGMA user_version').get()?.user_version);
    if (version > format) {
      throw new D4Error(
        this.#words.codes.format,
        `${this.#file} has format ${version}, and this version of the program knows ${format}: start the newer version that wrote it`,
      );
    }
    if (version === format) return;
    inTransaction(this.#database, () => this.#database.exec(`${schema} PRAGMA user_version = ${format}`));
  }

  #failure(error: unknown): D4Error {
    const why = error instanceof Error ? error.message : String(error);
    const { what, mended, codes } = this.#words;
    return new D4Error(
      codes.failed,
      `${what} ${this.#file} failed: ${why}; if it is damaged, move it away: ${mended}`,
      error,
    );
  }
}
