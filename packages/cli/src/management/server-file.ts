import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { D4Error } from '@d4ts/protocol';
import type { ServerFile } from '@d4ts/server';

/** What the commands need of `<home>/server.json`. */
export type ServerFacts = Pick<ServerFile, 'url' | 'certificateSha256' | 'token'>;

/**
 * Reads what a running server has written in its home. By hand: loading the server's schemas for these three texts
 * would make every command take twice as long.
 * @throws {D4Error} D4_SERVER_NOT_RUNNING where there is no such file, D4_SERVER_FILE
 */
export function readServerFacts(home: string): ServerFacts {
  const file = join(home, 'server.json');
  let content: Partial<Record<keyof ServerFacts, unknown>> | null;
  try {
    content = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) {
      throw notRunning(home, file);
    }
    const message = error instanceof Error ? error.message : String(error);
    throw new D4Error('D4_SERVER_FILE', `${file} cannot be read: ${message}`, error);
  }
  const { url, certificateSha256, token } = content ?? {};
  if (typeof url === 'string' && URL.canParse(url) && isSha256(certificateSha256) && typeof token === 'string') {
    return { url, certificateSha256, token };
  }
  throw new D4Error('D4_SERVER_FILE', `${file} is not what a server of this version writes; is the server older?`);
}

function isSha256(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}

function notRunning(home: string, file: string): D4Error {
  return new D4Error(
    'D4_SERVER_NOT_RUNNING',
    `no server runs on ${home}: there is no ${file}. Start one with "d4 server --home ${home}", or say where it is with --home, or with --url and --token`,
  );
}
