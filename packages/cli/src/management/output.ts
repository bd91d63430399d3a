import { once } from 'node:events';
import { escapeUnprintable } from '@d4ts/protocol';

/** Writes to standard output, and waits while its reader is slow. */
export async function print(text: string | Uint8Array): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain');
}

/** Prints a value as JSON. */
export function printJson(value: unknown): Promise<void> {
  return print(`${jsonText(value)}\n`);
}

/** A value as JSON that is safe to print on a terminal: the same value, some characters written as `\uNNNN`. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value, undefined, 2).split('\n').map(escapeUnprintable).join('\n');
}
