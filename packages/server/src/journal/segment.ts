import { randomBytes } from 'node:crypto';
import { type FileHandle, open, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { D4Error } from '@d4ts/protocol';
import { decodeSegmentHeader, encodeSegmentHeader, type SegmentHeader } from './entry-format.ts';
import { ENTRY_KIND } from './port.ts';
import {
  decodeIndex,
  definitionFrom,
  encodeIndex,
  entrySpan,
  type OpenStream,
  type SavedIndex,
  SegmentIndex,
} from './segment-index.ts';
import { scanEntries } from './segment-scan.ts';

/** The longest segment header: fixed part, a topic's name, CRC. */
const HEADER_READ_BYTES = 512;

/** A segment file of a topic: its header, what it holds, and how far it is committed. */
export class Segment {
  readonly path: string;
  readonly header: SegmentHeader;
  readonly headerBytes: number;
  /** Length of the committed part, in bytes: readers stop here. */
  committedBytes: number;
  /** First sequence that is not committed here. */
  endSequence: number;
  records: number;
  firstTime: number;
  lastTime: number;
  damageBytes = 0;
  damageCount = 0;
  /** Items of the topic before this segment; set when it is put in its place. */
  ordinal = 0;
  sealed = false;
  #index: SegmentIndex | undefined;
  #reader: Promise<FileHandle> | undefined;
  #readers = 0;
  #removed = false;

  constructor(path: string, header: SegmentHeader, headerBytes: number) {
    this.path = path;
    this.header = header;
    this.headerBytes = headerBytes;
    this.committedBytes = headerBytes;
    this.endSequence = header.firstSequence;
    this.records = 0;
    this.firstTime = header.createdAt;
    this.lastTime = header.createdAt;
  }

  get firstSequence(): number {
    return this.header.firstSequence;
  }

  get indexPath(): string {
    return this.path.replace(/\.seg$/, '.idx');
  }

  /** Keeps an index in memory: always for the open segment. */
  adopt(index: SegmentIndex): void {
    this.#index = index;
    this.takeSummary(index);
  }

  /** Copies the totals that stay in memory when the index does not. */
  takeSummary(index: SegmentIndex): void {
    this.endSequence = index.endSequence;
    this.records = index.records;
    if (index.entries > 0) {
      this.firstTime = index.firstTime;
      this.lastTime = index.lastTime;
    }
    this.damageCount = index.damage.length;
    this.damageBytes = index.damage.reduce((sum, damage) => sum + damage.to - damage.from, 0);
  }

  /** Drops the index from memory; it is loaded again when needed. Only for sealed segments. */
  forgetIndex(): void {
    if (this.sealed) this.#index = undefined;
  }

  /** The index: from memory, from its file, or made again from the segment (rule 3). */
  async index(): Promise<SegmentIndex> {
    if (this.#index !== undefined) return this.#index;
    const saved = await loadIndex(this);
    const index = saved?.index ?? (await this.#rebuild());
    this.#index ??= index;
    return this.#index;
  }

  async #rebuild(): Promise<SegmentIndex> {
    return this.withReader((file) => scanSegment(file, this.header, this.headerBytes, this.committedBytes)).then(
      (scan) => scan.index,
    );
  }

  /** Runs `work` with the file open for reading; it is not removed before that has ended (rule 18). */
  async withReader<T>(work: (file: FileHandle) => Promise<T>): Promise<T> {
    if (this.#removed) throw new D4Error('D4_JOURNAL_GONE', `${this.path} was removed by retention`);
    this.#readers += 1;
    try {
      this.#reader ??= open(this.path, 'r').catch((error: unknown) => {
        this.#reader = undefined;
        throw error;
      });
      return await work(await this.#reader);
    } finally {
      this.#readers -= 1;
      if (this.#removed && this.#readers === 0) await this.#unlink();
    }
  }

  /** Closes the read descriptor, if nobody reads. */
  async releaseReader(): Promise<void> {
    if (this.#readers > 0 || this.#reader === undefined) return;
    const reader = this.#reader;
    this.#reader = undefined;
    const file = await reader.catch(() => undefined);
    await file?.close();
  }

  /** Unlinks the files as soon as the last reader is done. */
  async remove(): Promise<void> {
    this.#removed = true;
    if (this.#readers === 0) await this.#unlink();
  }

  async #unlink(): Promise<void> {
    await this.releaseReader();
    await rm(this.indexPath, { force: true });
    await rm(this.path, { force: true });
  }
}

/** What a scan of a whole segment finds. */
export interface SegmentScan {
  readonly index: SegmentIndex;
  /** End of the last valid entry, in bytes. */
  readonly end: number;
}

/**
 * Makes a segment's index from its bytes.
 * @param voidFrom entries from this sequence on do not count: the next segment has taken them over after a failed sync
 */
export async function scanSegment(
  file: FileHandle,
  header: SegmentHeader,
  headerBytes: number,
  size: number,
  voidFrom: number = Number.POSITIVE_INFINITY,
): Promise<SegmentScan> {
  const index = new SegmentIndex(header.firstSequence);
  let validEnd = headerBytes;
  const result = await scanEntries(file, headerBytes, size, header.salt, (entry, position, body) => {
    if (entry.sequence >= voidFrom || entry.sequence < header.firstSequence) return;
    const definition = entry.kind === ENTRY_KIND.define ? definitionFrom(JSON.parse(body.toString('utf8'))) : undefined;
    index.add(entry, position, definition);
    validEnd = position + entrySpan(entry);
  });
  index.damage.push(...result.damage);
  return { index, end: Math.min(validEnd, result.end) };
}

/** Makes a new segment file with its header, durably, its folder included (rule 11). */
export async function createSegment(
  folder: string,
  fields: { topic: string; firstSequence: number; createdAt: number },
): Promise<{ segment: Segment; file: FileHandle }> {
  const header: SegmentHeader = { ...fields, salt: randomBytes(4).readUInt32LE(0) };
  const path = join(folder, `${String(fields.firstSequence).padStart(16, '0')}.seg`);
  const bytes = encodeSegmentHeader(header);
  // A file of this name holds nothing that was ever committed: its first entry would have had this sequence.
  const file = await open(path, 'w+', 0o600);
  try {
    await file.write(bytes, 0, bytes.length, 0);
    await file.sync();
    await syncFolder(folder);
  } catch (error) {
    await file.close().catch(() => undefined);
    throw error;
  }
  return { segment: new Segment(path, header, bytes.length), file };
}

/** Reads a segment's header. @returns undefined where it is damaged */
export async function openSegment(path: string): Promise<Segment | undefined> {
  const file = await open(path, 'r');
  try {
    const bytes = Buffer.alloc(HEADER_READ_BYTES);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
    const decoded = decodeSegmentHeader(bytes.subarray(0, bytesRead));
    return decoded === undefined ? undefined : new Segment(path, decoded.header, decoded.length);
  } finally {
    await file.close();
  }
}

/** The saved index of a segment, if it is whole and describes this segment. */
export async function loadIndex(segment: Segment): Promise<SavedIndex | undefined> {
  const bytes = await readFile(segment.indexPath).catch(() => undefined);
  if (bytes === undefined) return undefined;
  const saved = decodeIndex(bytes);
  return saved?.index.firstSequence === segment.firstSequence ? saved : undefined;
}

/** Saves a sealed segment's index, by a rename. */
export async function saveIndex(segment: Segment, index: SegmentIndex, streams: readonly OpenStream[]): Promise<void> {
  const bytes = encodeIndex({ index, segmentBytes: segment.committedBytes, open: streams });
  const temporary = `${segment.indexPath}.new`;
  const file = await open(temporary, 'w', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, segment.indexPath);
  await syncFolder(dirname(segment.path));
}

/** Keeps the damaged bytes of a segment in a file beside it (rule 12). */
export async function setAside(segment: Segment, from: number, to: number): Promise<string> {
  const path = join(dirname(segment.path), `${basename(segment.path, '.seg')}-${from}.damaged`);
  const bytes = Buffer.alloc(to - from);
  await segment.withReader((file) => file.read(bytes, 0, bytes.length, from));
  const file = await open(path, 'w', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  return path;
}

/** Makes names of created and renamed files in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
