import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import type { ClientEnvironment } from './environment.ts';
import { type ClientOptions, DEFAULT_OPTIONS } from './options.ts';
import { runClient } from './run-client.ts';

/** For tests: the key and the uuid that a client under test has. */
export const TEST_KEY = 'private key to change';
export const TEST_UUID = '6f8a3b52-1c4d-4e7f-9a21-5d0c7be41f93';

/** For tests: a client that runs within the test's process, with its own streams. */
export interface ClientUnderTest {
  readonly stdin: PassThrough;
  /** What it wrote to the standard error so far. */
  stderr(): string;
  /** As SIGTERM does. */
  stop(): void;
  /** Its configuration directory. */
  readonly directory: string;
  readonly exit: Promise<number>;
  /** Resolves when the standard error has a match. */
  says(pattern: RegExp): Promise<void>;
}

/** For tests: what differs from a plain client that sends lines from its standard input over TCP. */
export interface ClientChanges {
  readonly files?: Readonly<Record<string, string | Buffer>>;
  readonly options?: Partial<ClientOptions>;
  readonly environment?: Partial<ClientEnvironment>;
  /** A directory that is there and stays; `files` are written into it. */
  readonly directory?: string;
}

/** For tests: starts a client; its directory goes when it has ended. */
export function startClient(destination: string, changes: ClientChanges = {}): ClientUnderTest {
  const directory = changes.directory ?? mkdtempSync(join(tmpdir(), 'd4-client-'));
  const files = { key: TEST_KEY, uuid: TEST_UUID, type: '3', destination, ...changes.files };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
  const stdin = new PassThrough();
  const stop = new AbortController();
  let said = '';
  const waiting = new Set<() => void>();
  const write = (text: string) => {
    said += text;
    for (const look of waiting) look();
  };
  const options = { ...DEFAULT_OPTIONS, config: directory, tls: false, retryMs: 20, pollMs: 10, ...changes.options };
  const exit = runClient(options, {
    stdin,
    stderr: { write },
    signal: stop.signal,
    settleMs: 50,
    ...changes.environment,
  }).finally(() => {
    if (changes.directory === undefined) rmSync(directory, { recursive: true });
  });
  return {
    stdin,
    stderr: () => said,
    stop: () => stop.abort(),
    directory,
    exit,
    says: (pattern) =>
      new Promise((resolve) => {
        const look = () => {
          if (!pattern.test(said)) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
  };
}
