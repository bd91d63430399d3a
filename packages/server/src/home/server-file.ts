import { hash, timingSafeEqual } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { D4Error } from '@d4ts/protocol';
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { writeFileDurably } from '../registry/durable-file.ts';
import { homePaths } from './home.ts';

/**
 * `<home>/server.json` (0600): what the commands on the server's machine need to reach the running server. It is
 * written when all sockets listen and removed at a clean stop.
 */
export const ServerFileSchema = Type.Object({
  pid: Type.Integer({ minimum: 1 }),
  version: Type.String(),
  /** Absolute path of the home. */
  home: Type.String(),
  /** ms since 1970 */
  startedAt: Type.Number(),
  /** Real addresses as HOST:PORT. */
  listen: Type.String(),
  web: Type.String(),
  redis: Type.String(),
  /** The HTTP interface from this machine, without a final slash: `https://127.0.0.1:7000`. */
  url: Type.String(),
  /** The certificate to pin for both TLS ports, PEM. */
  ca: Type.String(),
  /** SHA-256 of the server's certificate (DER), lower-case hexadecimal. */
  certificateSha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  /** The local administrator's token: fresh for each start. */
  token: Type.String({ minLength: 1 }),
});

/** What `server.json` says. */
export type ServerFile = Static<typeof ServerFileSchema>;

/** Writes `<home>/server.json`, as a whole or not at all. */
export function writeServerFile(home: string, content: ServerFile): void {
  writeFileDurably(homePaths(home).serverJson, `${JSON.stringify(content, undefined, 2)}\n`, 0o600);
}

/** Removes `<home>/server.json`. */
export function removeServerFile(home: string): void {
  rmSync(homePaths(home).serverJson, { force: true });
}

/**
 * Reads `<home>/server.json`.
 * @returns undefined where there is none: no server runs on this home
 * @throws {D4Error} D4_SERVER_FILE where it cannot be read or is not one
 */
export function readServerFile(home: string): ServerFile | undefined {
  const file = homePaths(home).serverJson;
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    const message = error instanceof Error ? error.message : String(error);
    throw new D4Error('D4_SERVER_FILE', `${file} cannot be read: ${message}`, error);
  }
  if (Compile(ServerFileSchema).Check(content)) return content;
  throw new D4Error(
    'D4_SERVER_FILE',
    `${file} is not the file of a running server of this version; is the server older?`,
  );
}

/** Makes a comparison with one token, in constant time, that does not keep the token itself. */
export function tokenComparison(token: string): (other: string) => boolean {
  const expected = hash('sha256', token, 'buffer');
  return (other) => timingSafeEqual(hash('sha256', other, 'buffer'), expected);
}
