import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Writes a file so that it is there as a whole or not at all, also after a crash: a file beside it, synced, renamed
 * over it, and the folder synced.
 * @param mode permissions, whatever the process's umask
 */
export function writeFileDurably(file: string, content: string, mode: number): void {
  const beside = `${file}.${process.pid}.new`;
  rmSync(beside, { force: true });
  const descriptor = openSync(beside, 'wx', mode);
  try {
    writeFileSync(descriptor, content);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(beside, file);
  syncFolder(dirname(file));
}

/** Makes a file's bytes durable. */
export function syncFile(file: string): void {
  const descriptor = openSync(file, 'r+');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Makes creations, renames and removals in a folder durable. Windows has no such call and needs none. */
export function syncFolder(folder: string): void {
  if (process.platform === 'win32') return;
  const descriptor = openSync(folder, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
