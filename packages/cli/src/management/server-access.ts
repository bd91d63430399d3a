import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { D4Error } from '@d4ts/protocol';
import type { Command } from 'commander';
import { readServerFacts } from './server-file.ts';

/** What every management command takes beside its own options. */
export interface AccessOptions {
  readonly home?: string;
  readonly url?: string;
  readonly token?: string;
  readonly ca?: string;
  readonly json?: boolean;
}

/** Where a server is, how it proves itself, and with what the command is let in. */
export interface ServerAccess {
  readonly url: URL;
  /** Undefined where none was given; `/healthz` needs none. */
  readonly token: string | undefined;
  /** SHA-256 of exactly this certificate; or else a CA's certificate (PEM); or else the system's CAs. */
  readonly trust: { readonly certificateSha256: string } | { readonly ca: string } | 'system';
  /** Where the facts came from, for messages: the server's home. */
  readonly home?: string;
}

/** Adds `--home`, `--url`, `--token`, `--ca`, `--json` to a command. */
export function addAccessOptions(command: Command): Command {
  return command
    .option('--home <DIR>', 'the home of the server on this machine (default: ./data, or D4_HOME)')
    .option('--url <URL>', 'the HTTP interface of a server elsewhere, such as https://d4.example.org:7000')
    .option('--token <TOKEN>', 'a token of that server; better in D4_TOKEN: others on the machine can read arguments')
    .option('--ca <FILE>', "the certificate (PEM) that signed that server's, if not one that this machine trusts")
    .option('--json', 'print JSON');
}

/**
 * Finds the server: by `--url`, or by what the running server has written in its home.
 * @throws {D4Error} D4_USAGE, D4_SERVER_NOT_RUNNING, D4_SERVER_FILE
 */
export function serverAccess(options: AccessOptions, environment: NodeJS.ProcessEnv): ServerAccess {
  if (options.url === undefined) return accessByHome(options, environment);
  if (options.home !== undefined) throw new D4Error('D4_USAGE', 'give either --home or --url, not both');
  const trust = options.ca === undefined ? 'system' : { ca: readAuthority(options.ca) };
  return { url: httpsUrl(options.url), token: options.token ?? (environment.D4_TOKEN || undefined), trust };
}

function accessByHome({ home: given, token, ca }: AccessOptions, environment: NodeJS.ProcessEnv): ServerAccess {
  if (ca !== undefined) throw new D4Error('D4_USAGE', '--ca goes with --url; by its home, a server is known already');
  const home = resolve(given ?? (environment.D4_HOME || './data'));
  const file = readServerFacts(home);
  const trust = { certificateSha256: file.certificateSha256 };
  return { url: new URL(file.url), token: token ?? file.token, trust, home };
}

function httpsUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'https:' && url.pathname === '/' && url.search === '' && url.hash === '') return url;
  throw new D4Error('D4_USAGE', `--url ${text}: expected https://HOST:PORT`);
}

function readAuthority(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new D4Error(
      'D4_USAGE',
      `--ca ${file} cannot be read: ${error instanceof Error ? error.message : error}`,
      error,
    );
  }
}
