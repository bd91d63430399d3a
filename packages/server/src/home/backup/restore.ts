import { existsSync, mkdirSync, readdirSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { D4Error } from '@d4ts/protocol';
import { syncFolder } from '../../registry/durable-file.ts';
import type { BackupManifest } from './manifest.ts';
import { readBackup } from './read-backup.ts';

/** Where everything is put until it is known to be right. */
const BESIDE = '.restoring';
/** What makes a folder a home: it comes last. */
const LAST = 'registry.sqlite';

/**
 * Makes a home of a backup, in a folder that is empty or not there. Where that fails, nothing is left in it, nor of folders that were made.
 * @returns what the backup says of itself
 * @throws {D4Error} D4_HOME_NOT_EMPTY, D4_BACKUP; or errors of the system
 */
export async function restoreHome(file: string, home: string): Promise<BackupManifest> {
  if (existsSync(home) && readdirSync(home).length > 0) {
    throw new D4Error(
      'D4_HOME_NOT_EMPTY',
      `${home} is not empty, and nothing in it is overwritten: choose another folder with --home, or move away what is there`,
    );
  }
  const beside = join(home, BESIDE);
  const made = missingFolders(home);
  try {
    for (const folder of made.toReversed()) mkdirSync(folder, { mode: 0o700 });
    const manifest = await readBackup(file, (name, content) => write(join(beside, name), content));
    if (!existsSync(join(beside, LAST)))
      throw new D4Error('D4_BACKUP', `${file} cannot be restored: it has no registry`);
    const names = readdirSync(beside).sort((a, b) => Number(a === LAST) - Number(b === LAST));
    for (const name of names) renameSync(join(beside, name), join(home, name));
    syncFolder(home);
    rmSync(beside, { recursive: true, force: true });
    return manifest;
  } catch (error) {
    rmSync(beside, { recursive: true, force: true });
    removeEmpty(made);
    throw error;
  }
}

/** A folder and those it is in, as far as they are not there; the deepest first. */
function missingFolders(path: string): string[] {
  const missing: string[] = [];
  for (let each = resolve(path); !existsSync(each); each = dirname(each)) missing.push(each);
  return missing;
}

function removeEmpty(folders: readonly string[]): void {
  for (const folder of folders) {
    try {
      rmdirSync(folder);
    } catch {
      // It was not made, or somebody has put something there: it stays.
    }
  }
}

async function write(path: string, content: AsyncIterable<Buffer>): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  syncFolder(dirname(path));
}
