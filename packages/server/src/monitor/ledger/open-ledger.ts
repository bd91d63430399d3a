import { existsSync, renameSync } from 'node:fs';
import { D4Error } from '@d4ts/protocol';
import type { Logger } from 'pino';
import { Ledger } from './ledger.ts';

/**
 * Opens the ledger. One that is damaged is set aside, and a new one begins: what sensors have sent does not depend on it.
 * @throws {D4Error} D4_LEDGER_FORMAT where a newer version of the program wrote it, D4_LEDGER_FAILED
 */
export function openLedger(file: string, log: Logger): Ledger {
  try {
    return new Ledger(file, log);
  } catch (error) {
    if (!(error instanceof D4Error) || !isDamaged(error.cause)) throw error;
    const aside = `${file}.damaged-${Date.now()}`;
    for (const ending of ['', '-wal', '-shm']) {
      if (existsSync(file + ending)) renameSync(file + ending, aside + ending);
    }
    log.error({ err: error, kept: aside }, 'the ledger is damaged: it is set aside, and a new one begins');
    return new Ledger(file, log);
  }
}

/** Counts that are no JSON; or SQLITE_CORRUPT, SQLITE_NOTADB (https://sqlite.org/rescode.html), the lower 8 bits. */
function isDamaged(error: unknown): boolean {
  if (error instanceof SyntaxError) return true;
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return false;
  return [11, 26].includes(error.errcode & 0xff);
}
