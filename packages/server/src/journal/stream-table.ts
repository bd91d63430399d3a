import { readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { syncFolder, writeDurably } from './segment.ts';
import { type OpenStream, type OpenStreamText, openStreamFrom, openStreamText } from './segment-index.ts';

/** In the folder of a topic. */
export const STREAM_TABLE_FILE = 'streams.tbl';
const CRC_BYTES = 4;

/** The streams that were open when a segment was sealed. */
export interface StreamTable {
  /** The sequence after that segment's last. */
  readonly endSequence: number;
  readonly open: readonly OpenStream[];
}

/**
 * Saves the open streams beside the segments: retention may remove the segment with the last entry of a stream that goes
 * on after weeks, and the index that knows it (docs/journal.md, rule 13).
 */
export async function saveStreamTable(folder: string, { endSequence, open }: StreamTable): Promise<void> {
  const text = Buffer.from(JSON.stringify({ endSequence, open: open.map(openStreamText) }));
  const crc = Buffer.alloc(CRC_BYTES);
  crc.writeUInt32LE(crc32(text));
  const temporary = join(folder, `${STREAM_TABLE_FILE}.new`);
  await writeDurably(temporary, Buffer.concat([crc, text]));
  await rename(temporary, join(folder, STREAM_TABLE_FILE));
  await syncFolder(folder);
}

/** Reads what was saved last. @returns undefined where there is nothing, or it is damaged */
export async function loadStreamTable(folder: string): Promise<StreamTable | undefined> {
  const bytes = await readFile(join(folder, STREAM_TABLE_FILE)).catch(() => undefined);
  if (bytes === undefined || bytes.length < CRC_BYTES) return undefined;
  const text = bytes.subarray(CRC_BYTES);
  if (crc32(text) !== bytes.readUInt32LE(0)) return undefined;
  const table = JSON.parse(text.toString('utf8')) as { endSequence: number; open: OpenStreamText[] };
  return { endSequence: table.endSequence, open: table.open.map(openStreamFrom) };
}
