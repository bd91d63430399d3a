import { chmodSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { syncFile, syncFolder } from './durable-file.ts';

/** All pages in one go: else it begins again whenever somebody writes. Writers do not wait for it. */
const ALL_PAGES = 2 ** 30;

/**
 * Copies a database (mode 0600), as it is at one moment, while it may be in use; durable when resolved.
 * @throws whatever SQLite or the system says; then there is no copy, or the one before
 */
export async function copyDatabase(file: string, copy: string): Promise<void> {
  const beside = `${copy}.${process.pid}.new`;
  rmSync(beside, { force: true });
  const database = new DatabaseSync(file, { timeout: 1_000 });
  try {
    await backup(database, beside, { rate: ALL_PAGES });
    chmodSync(beside, 0o600);
    syncFile(beside);
    renameSync(beside, copy);
    syncFolder(dirname(copy));
  } finally {
    rmSync(beside, { force: true });
    database.close();
  }
}
