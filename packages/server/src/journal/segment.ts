import { randomBytes } from 'node:crypto';
import { closeSync, fsync, openSync } from 'node:fs';
import { type FileHandle, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { D4Error } from '@d4ts/protocol';
import { decodeSegmentHeader, encodeSegmentHeader, SEGMENT_HEADER_BYTES, type SegmentHeader } from './entry-format.ts';
import {
  decodeIndex,
  decodeSummary,
  decodeTally,
  encodeIndex,
  type OpenStream,
  type SavedIndex,
  type SegmentIndex,
  type SegmentSummary,
  SUMMARY_READ_BYTES,
  type Tally,
  tallyEnd,
} from './segment-index.ts';
import { scanSegment } from './segment-scan.ts';

const sync = promisify(fsync);

/** What a segment's totals are made from: its index, or the summary in its index file. */
type Totals = Pick<SegmentIndex, 'endSequence' | 'records' | 'entries' | 'firstTime' | 'lastTime'>;

/** A segment file of a topic: its header, what it holds, and how far it is committed. */
export class Segment {
  readonly path: string;
  readonly header: SegmentHeader;
  /** Length of the committed part, in bytes: readers stop here. */
  committedBytes: number = SEGMENT_HEADER_BYTES;
  /** First sequence that is not committed here. */
  endSequence: number;
  records = 0;
  /** Of its last entry, ms since 1970. */
  lastTime = 0;
  /** Items of the topic before this segment; set when it is put in its place. */
  ordinal = 0;
  sealed = false;
  #index: SegmentIndex | undefined;
  #loading: Promise<SegmentIndex> | undefined;
  #reader: Promise<FileHandle> | undefined;
  #readers = 0;
  #kept = false;
  #removed = false;

  constructor(path: string, header: SegmentHeader) {
    this.path = path;
    this.header = header;
    this.endSequence = header.firstSequence;
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
    this.takeTotals(index);
  }

  /** Copies the totals that stay in memory when the index does not. */
  takeTotals(totals: Totals): void {
    this.endSequence = totals.endSequence;
    this.records = totals.records;
    if (totals.entries > 0) this.lastTime = totals.lastTime;
  }

  /** The index: from memory, from its file, or made again from the segment (rule 3). */
  async index(): Promise<SegmentIndex> {
    if (this.#index !== undefined) return this.#index;
    this.#loading ??= this.#load().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #load(): Promise<SegmentIndex> {
    const saved = await loadIndex(this);
    const index =
      saved?.index ?? (await this.withReader((file) => scanSegment(file, this.header, this.committedBytes))).index;
    if (this.#kept) this.#index = index;
    return index;
  }

  /** Items of each sensor: from the index where that is in memory, else from the front of its file. */
  async tally(): Promise<Tally> {
    const saved = this.#index === undefined ? await loadTally(this) : undefined;
    return saved ?? (await this.index()).tally();
  }

  /** Keeps the read descriptor and the index at hand, until `forget`. */
  keep(): void {
    this.#kept = true;
  }

  /** Drops the index from memory, where it can be loaded again, and closes the read descriptor when nobody reads. */
  async forget(): Promise<void> {
    if (this.sealed) this.#index = undefined;
    this.#kept = false;
    await this.#closeIfIdle();
  }

  /**
   * Runs `work` with the file open for reading; the file is not removed before that has ended (rule 18).
   * @throws {D4Error} D4_JOURNAL_GONE where the segment was removed before
   */
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
      await this.#closeIfIdle();
    }
  }

  /** Unlinks the files as soon as the last reader is done. */
  async remove(): Promise<void> {
    this.#removed = true;
    this.#kept = false;
    await this.#closeIfIdle();
  }

  async #closeIfIdle(): Promise<void> {
    if (this.#readers > 0 || this.#kept) return;
    const reader = this.#reader;
    this.#reader = undefined;
    await (await reader?.catch(() => undefined))?.close();
    if (!this.#removed) return;
    await rm(this.indexPath, { force: true });
    await rm(this.path, { force: true });
  }
}

/** Makes a new segment file with its header, durably, its folder included (rule 11). */
export async function createSegment(
  folder: string,
  fields: { topic: string; firstSequence: number; createdAt: number },
): Promise<Segment> {
  const header: SegmentHeader = { ...fields, salt: randomBytes(4).readUInt32LE(0) };
  const path = join(folder, `${String(fields.firstSequence).padStart(16, '0')}.seg`);
  // A file of this name holds nothing that was ever committed: its first entry would have had this sequence.
  await writeDurably(path, encodeSegmentHeader(header));
  await syncFolder(folder);
  return new Segment(path, header);
}

/** Reads a segment's header. @returns undefined where it is damaged */
export async function openSegment(path: string): Promise<Segment | undefined> {
  const header = decodeSegmentHeader(await readFront(path, SEGMENT_HEADER_BYTES));
  return header === undefined ? undefined : new Segment(path, header);
}

/** The totals in the saved index of a segment, if they are whole and of this segment. */
export async function loadSummary(segment: Segment): Promise<SegmentSummary | undefined> {
  const bytes = await readFront(segment.indexPath, SUMMARY_READ_BYTES).catch(() => undefined);
  const summary = bytes === undefined ? undefined : decodeSummary(bytes);
  return describes(summary, segment) ? summary : undefined;
}

/** The saved tally of a segment, if it is whole and of this segment. */
async function loadTally(segment: Segment): Promise<Tally | undefined> {
  let front = await readFront(segment.indexPath, SUMMARY_READ_BYTES).catch(() => undefined);
  if (front === undefined || !describes(decodeSummary(front), segment)) return undefined;
  const end = tallyEnd(front);
  if (end > front.length) front = await readFront(segment.indexPath, end).catch(() => undefined);
  return front === undefined ? undefined : decodeTally(front);
}

/** The saved index of a segment, if it is whole and of this segment. */
export async function loadIndex(segment: Segment): Promise<SavedIndex | undefined> {
  const bytes = await readFile(segment.indexPath).catch(() => undefined);
  const saved = bytes === undefined ? undefined : decodeIndex(bytes);
  return describes(saved?.summary, segment) ? saved : undefined;
}

function describes(summary: SegmentSummary | undefined, segment: Segment): boolean {
  return summary?.salt === segment.header.salt && summary.firstSequence === segment.firstSequence;
}

/** Saves a sealed segment's index, by a rename. */
export async function saveIndex(segment: Segment, index: SegmentIndex, streams: readonly OpenStream[]): Promise<void> {
  const facts = { salt: segment.header.salt, segmentBytes: segment.committedBytes };
  const temporary = `${segment.indexPath}.new`;
  await writeDurably(temporary, encodeIndex(index, facts, streams));
  await rename(temporary, segment.indexPath);
  await syncFolder(dirname(segment.path));
}

/** Writes a whole file and syncs it, but not its folder. */
export async function writeDurably(path: string, bytes: Buffer): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes names of created and renamed files in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  // Whoever has just changed a folder opens it without waiting for the disk; a thread would cost more than that.
  const handle = openSync(folder, 'r');
  try {
    await sync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Reads up to `bytes.length` bytes from a position on. @returns how many there were */
export async function readFully(file: FileHandle, bytes: Buffer, position: number): Promise<number> {
  let filled = 0;
  while (filled < bytes.length) {
    const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}

async function readFront(path: string, length: number): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    // What a damaged file says of its own length may be anything.
    const bytes = Buffer.alloc(Math.min(length, (await file.stat()).size));
    return bytes.subarray(0, await readFully(file, bytes, 0));
  } finally {
    await file.close();
  }
}
