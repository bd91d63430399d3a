import type { Writable } from 'node:stream';
import { D4Error } from '@d4ts/protocol';
import { type QueueAddress, QueueSource } from './queue-source.ts';

const REPORT_MS = 5_000;

/** Where an exporter delivers items. */
export interface ExportTarget {
  /**
   * Delivers one item, or counts it as one that never can be.
   * @returns false where the signal ended it before: the item is given back to its queue
   */
  send(item: Buffer, signal: AbortSignal): Promise<boolean>;
  /** What was done so far, for `-v`: `12 sent, 0 errors`. */
  counts(): string;
  /** Resolved when nothing is under way. */
  close(): Promise<void>;
}

/**
 * Takes items from a queue and delivers them one by one, in order, until the signal says stop; then what is held is
 * given back.
 * @param open makes the target; `warn` prints a line for the operator
 * @param stderr gets warnings, and with `verbose` a line of counts every 5 s and at the end
 * @returns the exit code: 0 after the signal, 1 where it failed
 */
export async function runExport(
  options: QueueAddress & { name: string; verbose: boolean },
  open: (warn: (text: string) => void) => Promise<ExportTarget>,
  signal: AbortSignal,
  stderr: Writable,
): Promise<number> {
  const say = (text: string) => void stderr.write(`d4 export ${options.name}: ${printable(text)}\n`);
  let source: QueueSource | undefined;
  let target: ExportTarget | undefined;
  let timer: NodeJS.Timeout | undefined;
  let held: Buffer[] = [];
  let delivered = 0;
  let code = 0;
  try {
    target = await open(say);
    source = new QueueSource(options, say);
    if (options.verbose) timer = reportRegularly(target, () => delivered, say);
    while (!signal.aborted) {
      held = await source.take(signal);
      let done = 0;
      while (done < held.length && !signal.aborted && (await target.send(held[done] as Buffer, signal))) done++;
      delivered += done;
      held = held.slice(done);
    }
  } catch (error) {
    say(messageOf(error));
    code = 1;
  }
  clearInterval(timer);
  try {
    await source?.giveBack(held);
    if (options.verbose && held.length > 0) say(`${held.length} records given back`);
  } catch (error) {
    say(messageOf(error));
    code = 1;
  }
  source?.close();
  await target?.close();
  if (options.verbose && target !== undefined) say(target.counts());
  return code;
}

function reportRegularly(target: ExportTarget, delivered: () => number, say: (text: string) => void): NodeJS.Timeout {
  let before = delivered();
  let at = performance.now();
  return setInterval(() => {
    const now = performance.now();
    const rate = Math.round(((delivered() - before) * 1000) / (now - at));
    before = delivered();
    at = now;
    say(`${target.counts()}, ${rate}/s`);
  }, REPORT_MS);
}

/** Without what a terminal could obey: errors of servers stand in messages. */
function printable(text: string): string {
  return text.replaceAll(/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
}

function messageOf(error: unknown): string {
  if (error instanceof D4Error) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
