import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { basename, join } from 'node:path';
import { syncFile, syncFolder } from './durable-file.ts';

/** The name that a damaged file gets in the folder for them: the time, and its own. @param now ms since 1970 */
function asideName(folder: string, file: string, now: number): string {
  const stamp = new Date(now).toISOString().replaceAll(/[-:]/g, '').replace('.', '');
  for (let count = 1; ; count++) {
    const name = join(folder, `${stamp}${count === 1 ? '' : `-${count}`}-${basename(file)}`);
    if (!existsSync(name)) return name;
  }
}

/**
 * Keeps a copy of a damaged file, durably, and of those whose names begin with its own.
 * @param endings of the names of files beside it that belong to it
 * @returns the copy's path
 */
export function copyAside(file: string, folder: string, endings: readonly string[] = [''], now = Date.now()): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const aside = asideName(folder, file, now);
  for (const ending of endings) {
    if (!existsSync(file + ending)) continue;
    copyFileSync(file + ending, aside + ending);
    syncFile(aside + ending);
  }
  syncFolder(folder);
  return aside;
}

/** Moves a damaged file into a folder for them. @returns where it is now */
export function moveAside(file: string, folder: string, now = Date.now()): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const aside = asideName(folder, file, now);
  renameSync(file, aside);
  syncFolder(folder);
  return aside;
}

/** What lies in the folder of damaged files, by name. */
export function filesAside(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).sort() : [];
}
