import { crc32 } from 'node:zlib';

/**
 * A JSON value as one line with its CRC-32 in front (`1a2b3c4d {…}\n`): what the spool keeps besides the data is so
 * small and so seldom written that it may as well be read with `cat`.
 */
export function checkedLine(value: unknown): string {
  const text = JSON.stringify(value);
  return `${crcText(text)} ${text}\n`;
}

/** The value of a line; undefined where the line is torn or damaged. */
export function parseCheckedLine(line: string): unknown {
  const text = line.endsWith('\n') ? line.slice(0, -1) : line;
  if (text[8] !== ' ' || crcText(text.slice(9)) !== text.slice(0, 8)) return undefined;
  try {
    return JSON.parse(text.slice(9));
  } catch {
    return undefined;
  }
}

function crcText(text: string): string {
  return crc32(text).toString(16).padStart(8, '0');
}
