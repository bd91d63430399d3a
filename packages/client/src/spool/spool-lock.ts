import { chmodSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { D4Error } from '@d4ts/protocol';

/** SQLITE_BUSY: another process has the lock. */
const BUSY = 5;
/** ms; of two clients that start at the same moment one must get it. */
const PATIENCE_MS = 250;

/** A spool that this process holds. */
export interface SpoolLock {
  /** @param removeFile whether the lock's own file is to go */
  release(removeFile: boolean): void;
}

/** How often the lock's file may turn out to have been replaced meanwhile. */
const ATTEMPTS = 10;

/**
 * Takes hold of a spool for this process alone: a lock of the kernel, by way of SQLite, that ends with the process,
 * however that ends. No other code of this process may open the file: closing any descriptor of it drops the lock.
 * @throws {D4Error} D4_SPOOL_HELD with the holder's pid; or the error of the file system
 */
export function lockSpool(spool: string): SpoolLock {
  const file = join(spool, 'lock');
  const holder = join(spool, 'lock.pid');
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const before = inodeOf(file);
    const database = lockFile(file, holder, spool);
    // A client that leaves an empty spool removes the file before it lets go of it: then this lock is on no file.
    if (before === undefined || inodeOf(file) !== before) {
      database.close();
      continue;
    }
    chmodSync(file, 0o600);
    writeFileSync(holder, `${process.pid}\n`, { mode: 0o600 });
    return {
      release: (removeFile) => {
        rmSync(holder, { force: true });
        if (removeFile) rmSync(file, { force: true });
        database.close();
      },
    };
  }
  throw new D4Error('D4_SPOOL_HELD', `${spool} is being taken and left by other clients all the time; try again`);
}

function lockFile(file: string, holder: string, spool: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { timeout: PATIENCE_MS });
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    return database;
  } catch (error) {
    database?.close();
    if (!(error instanceof Error && 'errcode' in error && Number(error.errcode) % 256 === BUSY)) throw error;
    const pid = holderOf(holder);
    throw new D4Error(
      'D4_SPOOL_HELD',
      `${spool} is in use by another client${pid === undefined ? '' : ` (pid ${pid})`}; two clients that deliver ` +
        'with acknowledgements need two configuration directories',
      error,
    );
  }
}

function inodeOf(file: string): number | undefined {
  return statSync(file, { throwIfNoEntry: false })?.ino;
}

function holderOf(file: string): string | undefined {
  try {
    return /^[0-9]+$/.exec(readFileSync(file, 'latin1').trim())?.[0];
  } catch {
    return undefined;
  }
}
