import { existsSync, renameSync } from 'node:fs';
import { D4Error } from '@d4ts/protocol';
import type { Logger } from 'pino';
import { ThreatStore } from './threat-store.ts';

/** SQLITE_CORRUPT, SQLITE_NOTADB (https://sqlite.org/rescode.html), the lower 8 bits. */
const DAMAGED = [11, 26];

/**
 * Opens the file of threats. One that is damaged is set aside, and a new one is made from what the journal still has.
 * @throws {D4Error} D4_MALTRAIL_FORMAT where a newer version of the program wrote it, D4_MALTRAIL_FAILED
 */
export function openThreats(file: string, log: Logger): ThreatStore {
  try {
    return new ThreatStore(file);
  } catch (error) {
    if (!(error instanceof D4Error) || !isDamaged(error.cause)) throw error;
    const aside = `${file}.damaged-${Date.now()}`;
    for (const ending of ['', '-wal', '-shm']) {
      if (existsSync(file + ending)) renameSync(file + ending, aside + ending);
    }
    log.error({ err: error, kept: aside }, 'the file of threats is damaged: it is set aside, and made again');
    return new ThreatStore(file);
  }
}

function isDamaged(error: unknown): boolean {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return false;
  return DAMAGED.includes(error.errcode & 0xff);
}
