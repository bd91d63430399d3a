import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { D4Error } from '@d4ts/protocol';

/**
 * Reads a secret from a file, or from standard input for `-`, without the newline at its end.
 * @param option for messages
 * @throws {D4Error} D4_USAGE
 */
export async function secretFrom(option: string, file: string): Promise<string> {
  try {
    const content = file === '-' ? await text(process.stdin) : readFileSync(file, 'utf8');
    return content.replace(/\r?\n$/, '');
  } catch (error) {
    throw new D4Error('D4_USAGE', `${option} ${file}: ${error instanceof Error ? error.message : error}`, error);
  }
}
