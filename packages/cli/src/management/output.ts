import { once } from 'node:events';

/** Writes to standard output, and waits while its reader is slow. */
export async function print(text: string | Uint8Array): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain');
}

/** What JSON leaves as it is though a terminal could obey it, or turn the direction of text by it. */
const UNSAFE_IN_JSON = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Prints a value as JSON. */
export function printJson(value: unknown): Promise<void> {
  return print(`${jsonText(value)}\n`);
}

/** A value as JSON that is safe to print on a terminal: the same value, some characters written as `\uNNNN`. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value, undefined, 2).replaceAll(UNSAFE_IN_JSON, (character) =>
    Array.from({ length: character.length }, (_, at) => escaped(character.charCodeAt(at))).join(''),
  );
}

function escaped(code: number): string {
  return `\\u${code.toString(16).padStart(4, '0')}`;
}
