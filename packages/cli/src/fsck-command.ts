import { resolve } from 'node:path';
import { inspectSpool, repairSpool, type SpoolReport } from '@d4ts/client';
import { D4Error } from '@d4ts/protocol';
import { checkHome, type Finding, type HomeCheck, loadConfig, openLog } from '@d4ts/server';
import type { Command } from 'commander';
import { jsonText } from './management/output.ts';
import { sizeText, terminalText } from './management/terminal-text.ts';

interface FsckOptions {
  readonly home?: string;
  readonly client?: string;
  readonly deep?: boolean;
  readonly repair?: boolean;
  readonly json?: boolean;
}

const CLEAN = 0;
const DAMAGED = 1;
const CANNOT_CHECK = 2;

/** Adds `d4 fsck`. */
export function registerFsckCommand(program: Command): void {
  program
    .command('fsck')
    .description("check a server's home, or what waits in a client's configuration directory, while it is not in use")
    .option('--home <DIR>', 'the home of a server that is stopped (default: ./data, or D4_HOME)')
    .option('--client <DIR>', "a client's configuration directory, instead of a home")
    .option('--deep', 'also read every file of the archive and compare its SHA-256')
    .option('--repair', 'mend what can be mended; what is damaged is kept in the folder damaged of the home')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExit codes: 0 nothing is damaged, 1 something is or was, 2 it cannot be checked')
    .action(async (options: FsckOptions) => {
      process.exitCode = await check(options);
    });
}

/** @returns the exit code */
async function check(options: FsckOptions): Promise<number> {
  if (options.home !== undefined && options.client !== undefined) {
    throw new D4Error('D4_USAGE', 'give either --home or --client, not both');
  }
  try {
    return options.client === undefined ? await checkServer(options) : await checkClient(options.client, options);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const code = error instanceof D4Error ? ` [${error.code}]` : '';
    process.stderr.write(`d4: it cannot be checked: ${terminalText(error.message)}${code}\n`);
    return CANNOT_CHECK;
  }
}

async function checkServer({ home, deep = false, repair = false, json = false }: FsckOptions): Promise<number> {
  const flags = home === undefined ? {} : { home };
  const config = loadConfig({ flags, environment: process.env, directory: process.cwd() });
  // What is found is printed here; the log would say it a second time.
  const { log, flush } = openLog({ level: 'fatal', form: 'text' });
  try {
    const archiveRoot = resolve(config.home, config.archive.root ?? 'archive');
    const found = await checkHome({ home: config.home, archiveRoot, deep, repair, log });
    process.stdout.write(json ? `${jsonText(found)}\n` : homeText(found));
    return found.findings.length === 0 ? CLEAN : DAMAGED;
  } finally {
    flush();
  }
}

function homeText({ home, findings, notes, looked }: HomeCheck): string {
  const { segments, entries, journalBytes, archivedFiles, hashedFiles } = looked;
  const hashed = hashedFiles > 0 ? `, ${hashedFiles} of them with their content` : '';
  const summary = `${terminalText(home)}: ${entries} entries in ${segments} segments (${sizeText(journalBytes)}), ${archivedFiles} archived files${hashed}\n`;
  const found = findings.map(findingText);
  const said = notes.map(({ part, path, what }) => `note: ${part}: ${terminalText(path)}: ${terminalText(what)}\n`);
  return [summary, ...found, ...said, `${verdict(findings)}\n`].join('');
}

function findingText({ part, path, what, lost, repair, mended }: Finding): string {
  return [
    `${mended ? 'mended' : 'damaged'}: ${part}: ${terminalText(path)}: ${terminalText(what)}\n`,
    ...(lost === undefined ? [] : [`  lost: ${terminalText(lost)}\n`]),
    ...(repair === undefined ? [] : [`  ${mended ? 'done' : '--repair'}: ${terminalText(repair)}\n`]),
  ].join('');
}

function verdict(findings: readonly Finding[]): string {
  if (findings.length === 0) return 'nothing is damaged';
  const mended = findings.filter((each) => each.mended).length;
  const left = findings.length - mended;
  if (left === 0) return `mended: ${mended}`;
  return mended === 0 ? `damaged: ${left}` : `mended: ${mended}, still damaged: ${left}`;
}

async function checkClient(directory: string, { repair = false, json = false }: FsckOptions): Promise<number> {
  const { mended, report } = repair
    ? await repairSpool(directory)
    : { mended: [], report: await inspectSpool(directory) };
  if (report.inUse) {
    throw new D4Error('D4_SPOOL_HELD', `a client is running on ${directory}: stop it first`);
  }
  process.stdout.write(json ? `${jsonText({ mended, ...report })}\n` : spoolText(report, mended));
  return mended.length + report.damage.length === 0 ? CLEAN : DAMAGED;
}

function spoolText({ path, exists, streams, damage }: SpoolReport, mended: readonly string[]): string {
  if (!exists) return `nothing waits: there is no ${terminalText(path)}\n`;
  const waiting = streams.reduce((sum, { waitingBytes }) => sum + waitingBytes, 0);
  const lost = streams.flatMap((stream) => stream.lost).reduce((sum, { from, to }) => sum + to - from, 0);
  return [
    `${terminalText(path)}: ${streams.length} streams, ${sizeText(waiting)} wait\n`,
    ...mended.map((each) => `mended: ${terminalText(each)}\n`),
    ...damage.map(({ path: file, what, torn }) => {
      return `${torn ? 'torn' : 'damaged'}: ${terminalText(file)}: ${terminalText(what)}\n`;
    }),
    ...(lost === 0 ? [] : [`lost: ${lost} bytes, of which the server is told as a gap\n`]),
    damage.length > 0
      ? 'a client starts with it as it is; --repair takes out what cannot be read\n'
      : mended.length > 0
        ? `mended: ${mended.length}\n`
        : 'nothing is damaged\n',
  ].join('');
}
