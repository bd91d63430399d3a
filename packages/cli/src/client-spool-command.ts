import {
  inspectSpool,
  repairSpool,
  type SpoolDamage,
  type SpooledStreamReport,
  type SpoolReport,
  sizeText,
} from '@d4ts/client';
import { D4Error, plainLine } from '@d4ts/protocol';
import type { Command } from 'commander';
import { table } from './table.ts';

/** Adds `d4 client spool`: what waits in a configuration directory's spool, and whether it can be read. */
export function registerSpoolCommand(client: Command): void {
  client
    .command('spool')
    .description('show what waits to be delivered in a configuration directory (-c)')
    .option('--check', 'exit 1 where something is damaged')
    .option('--repair', 'take out what cannot be read; no client may be running')
    // The client's own option of this name takes it: both are given to the action as one.
    .option('--json', 'print JSON')
    .action(async (_options, self: Command) => {
      process.exitCode = await show(self.optsWithGlobals<SpoolOptions>());
    });
}

interface SpoolOptions {
  readonly config?: string;
  readonly check?: boolean;
  readonly repair?: boolean;
  readonly json: boolean;
}

/** @returns the exit code */
async function show({ config, check, repair, json }: SpoolOptions): Promise<number> {
  if (config === undefined)
    throw new D4Error('D4_USAGE', 'say which configuration directory: d4 client spool -c sensor');
  if (repair === true) {
    const { mended, report } = await repairSpool(config);
    process.stdout.write(json ? jsonText({ mended, ...report }) : mendedText(mended) + reportText(report));
    return report.damage.length > 0 ? 1 : 0;
  }
  const report = await inspectSpool(config);
  process.stdout.write(json ? jsonText(report) : reportText(report));
  return check === true && realDamage(report).length > 0 ? 1 : 0;
}

/** What a running client is writing just now looks torn, but is not damaged. */
function realDamage({ damage, inUse }: SpoolReport): readonly SpoolDamage[] {
  return inUse ? damage.filter(({ torn }) => !torn) : damage;
}

function jsonText(report: object): string {
  return `${JSON.stringify(report, undefined, 2)}\n`;
}

function mendedText(mended: readonly string[]): string {
  return mended.length === 0 ? 'nothing was to be mended\n' : mended.map((each) => `mended: ${each}\n`).join('');
}

function reportText(report: SpoolReport): string {
  const { streams, files, path, inUse, exists } = report;
  if (!exists) return `nothing waits: there is no ${path}\n`;
  const parts = [`${path}${inUse ? ' (in use by a running client)' : ''}\n`];
  if (streams.length === 0) parts.push('no stream waits\n');
  else parts.push(table(['STREAM', 'TYPE', 'SOURCE', 'WAITING', 'OFFSETS', 'LOST', 'ENDED'], streams.map(streamRow)));
  if (files.done + files.begun > 0) parts.push(`files: ${files.done} delivered, ${files.begun} begun\n`);
  for (const { path: where, what, torn } of realDamage(report)) {
    parts.push(`${torn ? 'torn' : 'damaged'}: ${where}: ${what}\n`);
  }
  return parts.join('');
}

function streamRow({ id, identity, waitingBytes, from, to, lost, end }: SpooledStreamReport): string[] {
  const lostBytes = lost.reduce((sum, range) => sum + range.to - range.from, 0);
  return [
    id,
    identity === undefined ? '?' : String(identity.type),
    plainLine(identity?.source ?? '?'),
    sizeText(waitingBytes),
    `${from}-${to}`,
    lostBytes === 0 ? '-' : sizeText(lostBytes),
    end === undefined ? 'no' : end.complete ? 'yes' : 'stopped',
  ];
}
