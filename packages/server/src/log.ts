import { escapeUnprintable } from '@d4ts/protocol';
import { type Logger, pino } from 'pino';

/** Bytes of lines that wait for a reader who does not read; beyond them lines are dropped. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;

/** A log and how to end it. */
export interface OpenLog {
  readonly log: Logger;
  /** Writes what waits. */
  flush(): void;
}

/**
 * Opens the server's log on standard error. It never holds the server up: lines that nobody reads are dropped.
 * @param form `text` for people, `json` for programs
 */
export function openLog(options: { level: string; form: 'text' | 'json' }): OpenLog {
  const destination = pino.destination({ dest: 2, sync: false, maxLength: MAX_WAITING_BYTES });
  const written = options.form === 'json' ? logLine : logText;
  const target = { write: (line: string) => destination.write(written(line)) };
  const log = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    target,
  );
  return { log, flush: () => destination.flushSync() };
}

/** A JSON line of the log, in which characters that a terminal could take for a command are escaped as JSON does. */
export function logLine(line: string): string {
  return `${escapeUnprintable(line.trimEnd())}\n`;
}

/** A JSON line of the log as text for a terminal: `<time> INFO message name=value`. Nothing in it is a control code. */
export function logText(line: string): string {
  const { time, level, msg, ...facts }: Record<string, unknown> = JSON.parse(line);
  const words = Object.entries(facts).map(([name, value]) => `${name}=${factText(value)}`);
  const text = [String(time), String(level).toUpperCase().padEnd(5), msg ?? '', ...words].join(' ');
  return `${escapeUnprintable(text)}\n`;
}

function factText(value: unknown): string {
  if (typeof value === 'object' && value !== null && 'message' in value) return JSON.stringify(value.message);
  if (typeof value === 'string' && /^[\w.:@/[\]-]+$/.test(value)) return value;
  return JSON.stringify(value);
}
