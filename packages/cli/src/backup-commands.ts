import { once } from 'node:events';
import { createWriteStream, existsSync, renameSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { D4Error } from '@d4ts/protocol';
import {
  BACKUP_DATA,
  type BackupData,
  type BackupManifest,
  backupHome,
  loadConfig,
  readBackup,
  restoreHome,
} from '@d4ts/server';
import { type Command, Option } from 'commander';
import { ApiConnection } from './management/api-connection.ts';
import { jsonText } from './management/output.ts';
import { type AccessOptions, addAccessOptions, serverAccess } from './management/server-access.ts';
import { sizeText, terminalText, timeText } from './management/terminal-text.ts';

interface BackupOptions extends AccessOptions {
  readonly data: BackupData;
}

/** Adds `d4 backup` and `d4 restore`. */
export function registerBackupCommands(program: Command): void {
  addAccessOptions(
    program
      .command('backup')
      .description('put registry, keys, certificates and configuration of a server, running or not, into one file')
      .argument('<FILE>', 'the file to make, such as d4.tar.gz; it holds private keys and is readable by you alone')
      .addOption(
        new Option('--data <WHAT>', 'what of the data is in it too: the finished files, the journal, or both')
          .choices([...BACKUP_DATA])
          .default('none'),
      ),
  ).action(async (file: string, options: BackupOptions) => makeBackup(file, options));
  program
    .command('restore')
    .description('make a home of a backup; start a server on it afterwards')
    .argument('<FILE>', 'what d4 backup made')
    .requiredOption('--home <DIR>', 'a folder that is empty, or not there yet')
    .option('--json', 'print JSON')
    .action(async (file: string, { home, json }: { home: string; json?: boolean }) => {
      const folder = resolve(home);
      const manifest = await restoreHome(file, folder);
      process.stdout.write(json === true ? summaryJson(manifest) : restoredText(manifest, folder));
    });
}

async function makeBackup(file: string, options: BackupOptions): Promise<void> {
  if (existsSync(file)) throw new D4Error('D4_USAGE', `${file} is there already: name another file, or remove it`);
  const beside = `${file}.part`;
  try {
    await pipeline(await contentOf(options), createWriteStream(beside, { mode: 0o600, flags: 'w', flush: true }));
    // What cannot be read again is no backup.
    const manifest = await readBackup(beside, async (_name, content) => {
      for await (const _ of content);
    });
    renameSync(beside, file);
    process.stdout.write(options.json === true ? summaryJson(manifest) : madeText(manifest, file));
  } finally {
    rmSync(beside, { force: true });
  }
}

/** From the running server, or from the home of one that is stopped. */
async function contentOf(options: BackupOptions): Promise<Readable> {
  const { data } = options;
  try {
    const api = new ApiConnection(serverAccess(options, process.env));
    const content = Readable.from(api.download('/backup', { data }));
    await once(content, 'readable');
    return content;
  } catch (error) {
    if (!(error instanceof D4Error) || error.code !== 'D4_SERVER_NOT_RUNNING') throw error;
  }
  const flags = options.home === undefined ? {} : { home: options.home };
  const config = loadConfig({ flags, environment: process.env, directory: process.cwd() });
  return backupHome(config.home, resolve(config.home, config.archive.root ?? 'archive'), data);
}

function bytesOf({ files }: BackupManifest): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}

function summaryJson(manifest: BackupManifest): string {
  const { files, ...facts } = manifest;
  return `${jsonText({ ...facts, files: files.length, bytes: bytesOf(manifest) })}\n`;
}

function madeText(manifest: BackupManifest, file: string): string {
  const { files, missing } = manifest;
  const gone = missing.length === 0 ? '' : `${missing.length} files were removed while it was made\n`;
  return `${terminalText(file)}: ${files.length} files, ${sizeText(bytesOf(manifest))}, compared with what was read\n${gone}It holds private keys and passwords' hashes: keep it as a secret\n`;
}

function restoredText(manifest: BackupManifest, home: string): string {
  const { files, madeAt, version, data, home: from, archiveRoot } = manifest;
  const hasArchive = data === 'archive' || data === 'all';
  const archive = resolve(home, 'archive');
  const moved =
    !hasArchive || archiveRoot === archive
      ? ''
      : `The journal knows the archive's files by their paths below ${terminalText(archiveRoot)}; here they lie below ${terminalText(archive)}: see "Restoring, moving a server" in docs/operations.md\n`;
  return `${terminalText(home)}: ${files.length} files, ${sizeText(bytesOf(manifest))}, of ${timeText(madeAt)} (version ${version}, home ${terminalText(from)})\n${moved}Start it with: d4 server --home ${terminalText(home)}\n`;
}
