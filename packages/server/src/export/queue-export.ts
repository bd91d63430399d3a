import type { Writable } from 'node:stream';
import { D4Error } from '@d4ts/protocol';
import type { ExporterSecrets, ExporterTarget } from '../registry/exporter.ts';
import { runExport } from './export-run.ts';
import { OutputTarget } from './output-target.ts';
import type { OpenTarget, RecordFilter } from './port.ts';
import type { QueueAddress } from './queue-source.ts';
import { StdoutOutput } from './stdout-output.ts';
import { targetOpener } from './targets.ts';

/** Where a command exports to: as an exporter in the server, or to its own standard output. */
export type CommandTarget = ExporterTarget | { readonly kind: 'stdout'; readonly files?: boolean };

/** What `d4 export` is told. */
export interface QueueExport extends QueueAddress {
  readonly target: CommandTarget;
  readonly secrets?: ExporterSecrets;
  readonly verbose: boolean;
  /** Only records for which it is true are exported. */
  readonly filter?: RecordFilter;
}

/**
 * Exports a queue until the signal says stop; then what is not delivered is given back.
 * @returns the exit code: 0 after the signal, 1 where it failed, 2 where the settings do not go together
 */
export async function runQueueExport(
  { target, secrets = {}, ...options }: QueueExport,
  signal: AbortSignal,
  { stdout, stderr }: { readonly stdout: Writable; readonly stderr: Writable },
): Promise<number> {
  let open: OpenTarget;
  try {
    open =
      target.kind === 'stdout'
        ? async (events) => new OutputTarget(() => new StdoutOutput(stdout), target.files === true, events)
        : targetOpener(target, secrets, { type: options.type, self: undefined });
  } catch (error) {
    if (!(error instanceof D4Error)) throw error;
    stderr.write(`d4 export ${target.kind}: ${error.message}\n`);
    return 2;
  }
  return runExport({ ...options, name: target.kind }, open, signal, stderr);
}
