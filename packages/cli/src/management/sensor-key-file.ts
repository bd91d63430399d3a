import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { D4Error } from '@d4ts/protocol';

/** Where a key comes from. */
export interface KeyOptions {
  readonly key?: string;
  readonly keyFile?: string;
}

/** The key as the HTTP interface takes it: text, or base64 for other bytes. @throws {D4Error} D4_USAGE */
export async function keyOf(
  key: string | undefined,
  file: string | undefined,
): Promise<{ key: string; keyEncoding?: 'base64' }> {
  if ((key === undefined) === (file === undefined))
    throw new D4Error('D4_USAGE', 'give the key with --key or with --key-file');
  if (file === undefined) return { key: key ?? '' };
  const bytes = withoutNewline(file === '-' ? await buffer(process.stdin) : readKeyFile(file));
  return isUtf8(bytes) ? { key: bytes.toString('utf8') } : { key: bytes.toString('base64'), keyEncoding: 'base64' };
}

function readKeyFile(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new D4Error('D4_USAGE', `--key-file ${file}: ${error instanceof Error ? error.message : error}`, error);
  }
}

/** Editors and echo end a file with a newline that is not of the key; the clients leave it out too. */
function withoutNewline(bytes: Buffer): Buffer {
  if (bytes.at(-1) !== 0x0a) return bytes;
  return bytes.subarray(0, bytes.at(-2) === 0x0d ? -2 : -1);
}
