import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';

/** The launcher of the d4 command. */
const D4 = join(import.meta.dirname, '..', '..', 'cli', 'bin', 'd4.js');

/** What a running server writes to `<home>/server.json`. */
export interface ServerInfo {
  readonly pid: number;
  readonly version: string;
  readonly home: string;
  /** ms since 1970 */
  readonly startedAt: number;
  /** Real addresses, HOST:PORT. */
  readonly listen: string;
  readonly web: string;
  readonly redis: string;
  /** `https://HOST:PORT` */
  readonly url: string;
  /** What clients pin, PEM. */
  readonly ca: string;
  /** SHA-256 of the server's certificate, hexadecimal. */
  readonly certificateSha256: string;
  readonly token: string;
}

/** How a process ended. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A real `d4 server`, ready to serve. */
export interface ServerProcess extends AsyncDisposable {
  readonly pid: number;
  readonly home: string;
  readonly info: ServerInfo;
  /** What it has printed so far on standard output, and on standard error: the log, JSON lines. */
  stdout(): string;
  log(): string;
  /** Resolved when the process has ended, for whatever reason. */
  readonly ended: Promise<ProcessEnd>;
  signal(signal: NodeJS.Signals): void;
  /** SIGTERM, and waits for the end. The home stays. */
  stop(): Promise<ProcessEnd>;
  /** `kill -9`, and waits for the end. The home stays. */
  kill9(): Promise<ProcessEnd>;
  /** Ends the process if it lives, and removes the home if `launchServer` made it. Also by `await using`. */
  dispose(): Promise<void>;
}

const PORT_PATIENCE_MS = 5_000;
const PORT_RETRY_MS = 200;

interface LaunchOptions {
  readonly home?: string;
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly through?: readonly string[];
}

/**
 * Starts `d4 server` as a process of its own, on free loopback ports, and waits until it is ready.
 * @param options.home a temporary one if not given
 * @param options.args further flags; they win over the launcher's
 * @param options.environment further variables; `D4_` variables of this process are not passed on
 * @param options.through a command that becomes the server in the end, in a view of the file system that may be its own
 * @throws Error with what it printed, where it ends before it is ready
 */
export async function launchServer(options: LaunchOptions = {}): Promise<ServerProcess> {
  // Where a port is given again after a kill, a connection of another test may have it as its own for a moment.
  for (const until = performance.now() + PORT_PATIENCE_MS; ; await setTimeout(PORT_RETRY_MS)) {
    try {
      return await launchOnce(options);
    } catch (error) {
      const mayPass = options.args?.includes('--listen') === true && /the port is in use/.test(String(error));
      if (!mayPass || performance.now() > until) throw error;
    }
  }
}

async function launchOnce(options: LaunchOptions): Promise<ServerProcess> {
  const made = options.home === undefined ? mkdtempSync(join(tmpdir(), 'd4-server-')) : undefined;
  const home = options.home ?? made ?? '';
  const removeHome = (): void => {
    if (made !== undefined) rmSync(made, { recursive: true, force: true, maxRetries: 3 });
  };
  const ports = ['listen', 'web', 'redis'].flatMap((name) => [`--${name}`, '127.0.0.1:0']);
  const words = ['server', '--home', home, ...ports, ...(options.args ?? [])];
  const child = startD4(words, options.environment, undefined, options.through);
  const ended = endOf(child);
  const printed = { stdout: '', stderr: '' };
  const ready = Promise.withResolvers<void>();
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    printed.stdout += chunk;
    if (/^d4 server .* is ready/m.test(printed.stdout)) ready.resolve();
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    printed.stderr += chunk;
  });
  const failed = ended.then(({ code, signal }) => {
    throw new Error(`d4 server ended with ${code ?? signal} before it was ready:\n${printed.stdout}${printed.stderr}`);
  });
  try {
    await Promise.race([ready.promise, failed]);
  } catch (error) {
    removeHome();
    throw error;
  }

  const end = (signal: NodeJS.Signals): Promise<ProcessEnd> => {
    child.kill(signal);
    return ended;
  };
  const dispose = async (): Promise<void> => {
    await end('SIGKILL');
    removeHome();
  };
  const seenFrom = options.through === undefined ? '/' : `/proc/${child.pid}/root`;
  const info: ServerInfo = JSON.parse(readFileSync(join(seenFrom, home, 'server.json'), 'utf8'));
  return {
    pid: info.pid,
    home,
    info,
    stdout: () => printed.stdout,
    log: () => printed.stderr,
    ended,
    signal: (signal) => void child.kill(signal),
    stop: () => end('SIGTERM'),
    kill9: () => end('SIGKILL'),
    dispose,
    [Symbol.asyncDispose]: dispose,
  };
}

/** What a command printed, and how it ended. */
export interface CommandResult extends ProcessEnd {
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs `d4` with these words as a process of its own, to its end.
 * @param options.input what it reads on standard input; nothing if not given
 */
export async function runD4(
  args: readonly string[],
  options: { environment?: Readonly<Record<string, string>>; input?: string | Buffer; directory?: string } = {},
): Promise<CommandResult> {
  const child = startD4(args, options.environment, options.directory);
  const ended = endOf(child);
  // A command that ends without reading its input is no error of the test.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input);
  const [stdout, stderr, end] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { stdout, stderr, ...end };
}

/**
 * Starts `d4` with these words as a process of its own; all its streams are pipes.
 * @param environment further variables; `D4_` variables of this process are not passed on
 * @param directory its working directory
 * @param through a command that runs what follows it
 */
export function startD4(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  directory?: string,
  through: readonly string[] = [],
): ChildProcessWithoutNullStreams {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('D4_'));
  const [command = process.execPath, ...words] = [...through, process.execPath, D4, ...args];
  return spawn(command, words, {
    stdio: 'pipe',
    env: { ...Object.fromEntries(inherited), ...environment },
    ...(directory === undefined ? {} : { cwd: directory }),
  });
}

async function endOf(child: ChildProcessWithoutNullStreams): Promise<ProcessEnd> {
  const [code, signal] = await once(child, 'close');
  return { code, signal };
}
