/** A file for an archive. */
export interface TarFile {
  /** With its folder; at most 100 bytes. */
  readonly name: string;
  readonly content: Uint8Array;
  /** Permissions, for example 0o600. */
  readonly mode: number;
}

const BLOCK = 512;

/** Files in one archive (POSIX ustar). @param at their time of change, ms since 1970 */
export function tar(files: readonly TarFile[], at: number): Uint8Array<ArrayBuffer> {
  const blocks = files.map(({ content }) => BLOCK + Math.ceil(content.length / BLOCK) * BLOCK);
  const archive = new Uint8Array(blocks.reduce((sum, bytes) => sum + bytes, 2 * BLOCK));
  let place = 0;
  for (const [index, { name, content, mode }] of files.entries()) {
    archive.set(header(name, content.length, mode, at), place);
    archive.set(content, place + BLOCK);
    place += blocks[index] ?? 0;
  }
  return archive;
}

function header(name: string, size: number, mode: number, at: number): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const text = new TextEncoder();
  const put = (where: number, value: string) => block.set(text.encode(value), where);
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, '0')}\0`;
  put(0, name);
  put(100, octal(mode, 7));
  put(108, octal(0, 7));
  put(116, octal(0, 7));
  put(124, octal(size, 11));
  put(136, octal(Math.floor(at / 1_000), 11));
  put(148, ' '.repeat(8));
  put(156, '0');
  put(257, 'ustar\x0000');
  put(
    148,
    `${octal(
      block.reduce((sum, byte) => sum + byte, 0),
      6,
    )} `,
  );
  return block;
}
