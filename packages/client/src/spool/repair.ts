import { open, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { syncFolder } from './durable-file.ts';
import { FileLedger } from './file-ledger.ts';
import {
  damageOf,
  type FoundSegment,
  findStream,
  inspectSpool,
  LEDGER_FILE,
  lostOf,
  type SpoolReport,
} from './inspect.ts';
import { encodeChunkHeader, encodeSegmentHeader } from './segment-format.ts';
import { listStreamFolders, spoolPath } from './spool-folder.ts';
import { lockSpool } from './spool-lock.ts';
import { RECORD_FILE } from './spooled-stream.ts';
import type { StreamIdentity } from './stream-identity.ts';
import { START_MARK, writeStreamRecord } from './stream-record.ts';

/** What was mended, and what the spool holds now. */
export interface SpoolRepair {
  readonly mended: readonly string[];
  readonly report: SpoolReport;
}

/**
 * Mends a configuration directory's spool: what cannot be read is taken out of its files and remembered as lost, so that
 * the server is told of it; a stream's folder that nobody can read is set aside (`unreadable-…`). No byte that can be
 * read is lost, and a client starts without it just as well.
 * @throws {D4Error} D4_CONFIG where there is no such directory; D4_SPOOL_HELD where a client is running on it; D4_SPOOL_FORMAT; or the error of the file system
 */
export async function repairSpool(configDirectory: string): Promise<SpoolRepair> {
  const before = await inspectSpool(configDirectory);
  if (!before.exists) return { mended: [], report: before };
  const path = spoolPath(configDirectory);
  const lock = lockSpool(path);
  const mended: string[] = [];
  try {
    for (const { name, id } of await listStreamFolders(path))
      mended.push(...(await repairStream(join(path, name), id)));
    await FileLedger.open(join(path, LEDGER_FILE), (text) => mended.push(text));
  } finally {
    lock.release(false);
  }
  return { mended, report: await inspectSpool(configDirectory) };
}

async function repairStream(folder: string, id: string): Promise<string[]> {
  const found = await findStream(folder, id);
  const { identity, segments, record } = found;
  if (damageOf(found).length === 0) return [];
  if (identity === undefined) {
    const aside = join(dirname(folder), `unreadable-${basename(folder)}`);
    await rename(folder, aside);
    await syncFolder(dirname(folder));
    return [`${folder} was set aside as ${aside}`];
  }
  const mended: string[] = [];
  const known = typeof record === 'object' ? record : undefined;
  await writeStreamRecord(join(folder, RECORD_FILE), {
    preamble: Buffer.alloc(0),
    mark: START_MARK,
    ...known,
    identity,
    // Before its bytes are taken out: what is lost is known from then on.
    lost: known === undefined ? [] : lostOf(found),
  });
  if (known === undefined) mended.push(`${join(folder, RECORD_FILE)} was made anew`);
  for (const segment of segments) {
    if (segment.content.damage.length === 0 && segment.content.identity !== undefined) continue;
    await rewriteSegment(segment, identity);
    mended.push(`${segment.path}: what cannot be read was taken out`);
  }
  return mended;
}

async function rewriteSegment({ path, bytes, content }: FoundSegment, identity: StreamIdentity): Promise<void> {
  const parts = [encodeSegmentHeader(identity)];
  for (const { offset, length, at, crc, startsRecord } of content.chunks) {
    const data = bytes.subarray(at, at + length);
    parts.push(encodeChunkHeader(identity.id, { offset, data, crc, startsRecord }), data);
  }
  const part = `${path}.part`;
  const file = await open(part, 'w', 0o600);
  try {
    await file.writeFile(Buffer.concat(parts));
    await file.datasync();
  } finally {
    await file.close();
  }
  await rename(part, path);
  await syncFolder(dirname(path));
}
