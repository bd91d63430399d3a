import type { Writable } from 'node:stream';
import { D4Error, plainLines } from '@d4ts/protocol';
import { Pipeline } from './pipeline.ts';
import type { OpenTarget, RecordFilter } from './port.ts';
import { type QueueAddress, QueueSource } from './queue-source.ts';

const REPORT_MS = 5_000;

/** What a command that exports a queue is told. */
export interface ExportOptions extends QueueAddress {
  /** For messages: `udp` in `d4 export udp: …`. */
  readonly name: string;
  readonly verbose: boolean;
  /** Only records for which it is true are exported. */
  readonly filter?: RecordFilter | undefined;
}

/**
 * Takes records from a queue to a target until the signal says stop; then what is not delivered is given back.
 * @param stderr gets warnings, and with `verbose` a line of counts every 5 s and at the end
 * @returns the exit code: 0 after the signal, 1 where it failed
 */
export async function runExport(
  options: ExportOptions,
  open: OpenTarget,
  signal: AbortSignal,
  stderr: Writable,
): Promise<number> {
  const say = (text: string) => void stderr.write(`d4 export ${options.name}: ${plainLines(text)}\n`);
  let timer: NodeJS.Timeout | undefined;
  let code = 0;
  let pipeline: Pipeline | undefined;
  try {
    const source = new QueueSource(options, say);
    pipeline = new Pipeline({ source, open, filter: options.filter, warn: say });
    if (options.verbose) timer = reportRegularly(pipeline, source, say);
    await pipeline.run(signal, (target) => say(`exporting ${source.name} to ${target.where}`));
    if (options.verbose && source.givenBack > 0) say(`${source.givenBack} records given back`);
  } catch (error) {
    say(messageOf(error));
    code = 1;
  }
  clearInterval(timer);
  if (options.verbose && pipeline !== undefined) say(pipeline.counts());
  return code;
}

function reportRegularly(pipeline: Pipeline, source: QueueSource, say: (text: string) => void): NodeJS.Timeout {
  let before = pipeline.delivered;
  let at = performance.now();
  return setInterval(() => {
    const now = performance.now();
    const rate = Math.round(((pipeline.delivered - before) * 1000) / (now - at));
    before = pipeline.delivered;
    at = now;
    void source.waiting().then((waiting) => {
      const lag = waiting === undefined ? '' : `, ${waiting} wait`;
      say(`${pipeline.counts()}, ${rate}/s${lag}`);
    });
  }, REPORT_MS);
}

function messageOf(error: unknown): string {
  if (error instanceof D4Error) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
