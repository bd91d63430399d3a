import { type FileHandle, mkdir, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { D4Error, runningCrc } from '@d4ts/protocol';
import { syncFolder } from './durable-file.ts';
import { LostRanges } from './lost-ranges.ts';
import {
  type Chunk,
  type ChunkPlace,
  encodeChunkHeader,
  encodeSegmentHeader,
  readSegment,
  type SegmentContent,
} from './segment-format.ts';
import { type SpoolSpace, segmentBytesFor } from './spool-space.ts';
import type { StreamIdentity } from './stream-identity.ts';
import {
  type Rebirth,
  START_MARK,
  type StreamEnd,
  type StreamMark,
  type StreamRecord,
  writeStreamRecord,
} from './stream-record.ts';

/** The file with what is known of a stream besides its bytes. */
export const RECORD_FILE = 'stream.json';
const SEGMENT_NAME = /^(\d{20})\.seg$/;
/** Errors that mean that there is no more room, whatever the spool's own limit. */
const FULL_CODES: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

interface Segment {
  readonly path: string;
  /** Stream offset of its first byte. */
  readonly from: number;
  /** Stream offset behind its last byte; of a segment that has not been read yet, the next one's first. */
  to: number;
  /** Of the file. */
  bytes: number;
}

/** What can be read at an offset. */
export type SpoolRead =
  | {
      readonly kind: 'data';
      readonly bytes: Buffer;
      /** CRC-32 of the stream up to the first of them. */
      readonly crc: number;
    }
  /** Nothing up to `to`: damaged, or never written; a record begins there, where anything does. */
  | { readonly kind: 'missing'; readonly to: number };

/**
 * One stream's part of a spool, in a folder of its own: segments, and a record. Nothing is written before there is
 * something to keep. Calls that change it run one after the other.
 *
 * Durability: `sync` makes all that was appended durable; a segment is synced before the next one is begun.
 */
export class SpooledStream {
  readonly folder: string;
  readonly identity: StreamIdentity;
  /** Ranges that are given up. */
  readonly lost: LostRanges;
  readonly #space: SpoolSpace;
  readonly #segmentBytes: number;
  readonly #segments: Segment[];
  #tail: FileHandle | undefined;
  #synced: number;
  #unsynced = false;
  #made: boolean;
  #mark: StreamMark;
  #acknowledged: number;
  #sent = 0;
  #end: StreamEnd | undefined;
  #preamble: Buffer;
  #rebirth: Rebirth | undefined;
  #busy: Promise<unknown> = Promise.resolve();
  #cached: { path: string; bytes: Buffer; content: SegmentContent } | undefined;

  constructor(folder: string, space: SpoolSpace, record: StreamRecord, segments?: Segment[]) {
    this.folder = folder;
    this.identity = record.identity;
    this.#space = space;
    this.#segmentBytes = segmentBytesFor(space.limit);
    this.#segments = segments ?? [];
    this.#made = segments !== undefined;
    this.lost = new LostRanges(record.lost);
    this.#acknowledged = record.mark.offset;
    this.#mark = record.mark;
    this.#end = record.end;
    this.#preamble = record.preamble;
    this.#rebirth = record.rebirth;
    this.#synced = this.#segments.at(-1)?.to ?? 0;
  }

  /** Stream offset of the first byte that is kept; undefined where there is none. */
  get start(): number | undefined {
    return this.#segments[0]?.from;
  }

  /** Whether nothing of it is kept but its name: it is the server that has to end it. */
  get isNameOnly(): boolean {
    return this.#segments.length === 0 && this.lost.all.length === 0 && this.#end === undefined;
  }

  /** Stream offset behind the last byte that is kept; 0 where there is none. */
  get keptTo(): number {
    return this.#segments.at(-1)?.to ?? 0;
  }

  /** Stream offset up to which everything that was appended is durable. */
  get syncedTo(): number {
    return this.#synced;
  }

  /** Of its files. */
  get fileBytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  get mark(): StreamMark {
    return this.#mark;
  }

  get preamble(): Buffer {
    return this.#preamble;
  }

  get rebirth(): Rebirth | undefined {
    return this.#rebirth;
  }

  /** How the stream ends, where that is known. */
  get end(): StreamEnd | undefined {
    return this.#end;
  }

  /**
   * Appends to the files, without making it durable.
   * @param chunk behind all others
   * @throws {D4Error} D4_SPOOL_FULL; or the error of the file system. Nothing was appended then
   */
  append(chunk: Chunk): Promise<void> {
    return this.#exclusively(async () => {
      try {
        await this.#append(chunk);
      } catch (error) {
        if (!FULL_CODES.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
        throw new D4Error('D4_SPOOL_FULL', `${dirname(this.folder)} is full: ${(error as Error).message}`, error);
      }
    });
  }

  /** Makes everything that was appended durable. @throws where that failed: then call `abandonUnsynced` */
  sync(): Promise<void> {
    return this.#exclusively(() => this.#sync());
  }

  /** After a failed write or sync: gives up what is not durable, to be appended again, to another file. */
  abandonUnsynced(): Promise<void> {
    return this.#exclusively(async () => {
      await this.#closeTail();
      const suspect = this.#segments.at(-1);
      if (suspect === undefined || !this.#unsynced) return;
      this.#unsynced = false;
      if (suspect.from >= this.#synced) await this.#remove(this.#segments.length - 1);
      else suspect.to = this.#synced;
    });
  }

  /** Segments begin with a record, so that whole records are dropped; but a record may be larger than a segment. */
  #beginsSegment({ startsRecord }: Chunk): boolean {
    const tail = this.#segments.at(-1);
    if (this.#tail === undefined || tail === undefined) return true;
    return tail.bytes >= (startsRecord ? this.#segmentBytes : 2 * this.#segmentBytes);
  }

  async #append(chunk: Chunk): Promise<void> {
    const { offset, data } = chunk;
    const parts = [encodeChunkHeader(this.identity.id, chunk), data];
    const fresh = this.#beginsSegment(chunk);
    if (fresh) {
      await this.#sync();
      parts.unshift(encodeSegmentHeader(this.identity));
    }
    const bytes = Buffer.concat(parts);
    if (!this.#space.take(bytes.length)) {
      throw new D4Error('D4_SPOOL_FULL', `${dirname(this.folder)} has reached its limit of ${this.#space.limit} bytes`);
    }
    const before = this.#segments.length;
    try {
      if (fresh) await this.#begin(offset);
      await this.#write(bytes);
    } catch (error) {
      this.#space.give(bytes.length);
      if (fresh) await this.#closeTail();
      if (this.#segments.length > before) await this.#remove(before).catch(() => {});
      throw error;
    }
    const tail = this.#segments.at(-1) as Segment;
    tail.bytes += bytes.length;
    tail.to = offset + data.length;
    this.#unsynced = true;
  }

  async #begin(offset: number): Promise<void> {
    await this.#closeTail();
    await this.#make();
    const path = join(this.folder, `${String(offset).padStart(20, '0')}.seg`);
    this.#tail = await open(path, 'w', 0o600);
    this.#segments.push({ path, from: offset, to: offset, bytes: 0 });
    this.#synced = offset;
    await syncFolder(this.folder);
  }

  async #write(bytes: Buffer): Promise<void> {
    const file = this.#tail as FileHandle;
    const { bytes: begin } = this.#segments.at(-1) as Segment;
    try {
      for (let at = 0; at < bytes.length; ) {
        at += (await file.write(bytes, at, bytes.length - at, begin + at)).bytesWritten;
      }
    } catch (error) {
      await file.truncate(begin).catch(() => {});
      throw error;
    }
  }

  async #sync(): Promise<void> {
    if (!this.#unsynced || this.#tail === undefined) return;
    await this.#tail.datasync();
    this.#synced = this.keptTo;
    this.#unsynced = false;
  }

  /** Creates the folder, so that a client that is killed leaves the stream's name behind. */
  make(): Promise<void> {
    return this.#exclusively(() => this.#make());
  }

  async #make(): Promise<void> {
    if (this.#made) return;
    await mkdir(this.folder, { mode: 0o700 }).catch((error) => {
      if (error.code !== 'EEXIST') throw error;
    });
    await this.#writeRecord();
    await syncFolder(dirname(this.folder));
    this.#made = true;
  }

  /** The bytes that a reader must have seen first. */
  begin(preamble: Buffer): Promise<void> {
    return this.#exclusively(async () => {
      this.#preamble = preamble;
      if (this.#made) await this.#writeRecord();
    });
  }

  /** From now on it is another stream for the server, durably. */
  reborn(rebirth: Rebirth): Promise<void> {
    return this.#exclusively(async () => {
      this.#rebirth = rebirth;
      if (this.#made) await this.#writeRecord();
    });
  }

  /** The input is over: so it is said after a restart too. */
  finish(end: StreamEnd): Promise<void> {
    return this.#exclusively(async () => {
      this.#end = end;
      if (this.#made) await this.#writeRecord();
    });
  }

  /**
   * The bytes at an offset, at most `maxBytes` and at least one; or how far there are none. Behind the last byte it is
   * missing up to `offset` itself.
   */
  async read(offset: number, maxBytes: number): Promise<SpoolRead> {
    for (const segment of [...this.#segments]) {
      if (segment.to <= offset) continue;
      const loaded = await this.#load(segment);
      const place = loaded === undefined ? undefined : placeAt(loaded.content.chunks, offset);
      if (loaded === undefined || place === undefined) continue;
      if (place.offset > offset) return { kind: 'missing', to: place.offset };
      const before = loaded.bytes.subarray(place.at, place.at + (offset - place.offset));
      const bytes = bytesFrom(loaded.bytes, loaded.content.chunks, offset, maxBytes);
      return { kind: 'data', bytes, crc: crc32(before, place.crc) };
    }
    return { kind: 'missing', to: Math.max(offset, this.keptTo) };
  }

  /** CRC-32 of the stream up to `offset`; undefined where it is not known here. */
  async crcAt(offset: number): Promise<number | undefined> {
    if (offset === this.#mark.offset) return this.#mark.crc;
    const found = await this.read(offset, 1);
    if (found.kind === 'data') return found.crc;
    // At the end of what is kept: from the last byte before it.
    const last = await this.read(offset - 1, 1);
    return last.kind === 'data' ? runningCrc(last.crc, last.bytes) : undefined;
  }

  async #load(segment: Segment): Promise<{ bytes: Buffer; content: SegmentContent } | undefined> {
    if (this.#cached?.path === segment.path && this.#cached.bytes.length >= segment.bytes) return this.#cached;
    try {
      const bytes = await readFile(segment.path);
      const content = readSegment(bytes, this.identity.id, segment.path);
      this.#cached = { path: segment.path, bytes, content };
      return this.#cached;
    } catch (error) {
      if (error instanceof D4Error) throw error;
      // It was removed meanwhile, or the disk fails: what the next segment does not have is missing.
      return undefined;
    }
  }

  /** Whether a file holds nothing but what lies before `offset`: `release` would remove it. */
  holdsOnlyBefore(offset: number): boolean {
    return this.#segments[0] !== undefined && this.#segments[0].to <= offset;
  }

  /** What lies before `offset` has been acknowledged, and is not lost when it is dropped. */
  knowAcknowledged(offset: number): void {
    this.#acknowledged = offset;
  }

  /** What lies before the mark has been acknowledged: written down with what is written next. */
  note(mark: StreamMark): void {
    this.#acknowledged = mark.offset;
    this.#mark = mark;
  }

  /** What lies before `offset` has been acknowledged: removes the files that hold nothing else. */
  release(offset: number, mark: StreamMark): Promise<void> {
    this.#acknowledged = offset;
    this.#mark = mark;
    return this.#exclusively(async () => {
      this.lost.forgetBefore(offset);
      await this.#writeRecord();
      while (this.#segments[0] !== undefined && this.#segments[0].to <= offset) {
        if (this.#segments.length === 1) await this.#closeTail();
        await this.#remove(0);
      }
    });
  }

  /** What lies before `offset` was sent: the server may have it, and then goes on where the client has to know the CRC. */
  knowSent(offset: number): void {
    this.#sent = Math.max(this.#sent, offset);
  }

  /**
   * Removes the oldest file of which nothing was sent, else the oldest, and remembers what of it was not acknowledged.
   * @returns the bytes of the stream lost
   */
  dropOldest(): Promise<number> {
    return this.#exclusively(async () => {
      const index = Math.max(
        0,
        this.#segments.findIndex(({ from }) => from >= this.#sent),
      );
      const oldest = this.#segments[index];
      if (oldest === undefined) return 0;
      // With the bytes goes what a server that goes on behind them has to be told.
      const crc = await this.crcAt(this.#acknowledged);
      if (crc !== undefined) this.#mark = { offset: this.#acknowledged, crc };
      const from = Math.max(oldest.from, this.#acknowledged);
      if (from < oldest.to) {
        this.lost.add({ from, to: oldest.to, cause: 'spool-full' });
        // On a full disk this may fail: then a client that is killed calls the range damaged.
        await this.#writeRecord().catch(() => {});
      }
      if (index === this.#segments.length - 1) await this.#closeTail();
      await this.#remove(index);
      return Math.max(0, oldest.to - from);
    });
  }

  /** Writes down what is known, makes everything durable, and lets go of the files, which stay. */
  close(): Promise<void> {
    return this.#exclusively(async () => {
      await this.#sync();
      if (this.#made) await this.#writeRecord();
      await this.#closeTail();
    });
  }

  /** Removes the folder: everything has been acknowledged. */
  remove(): Promise<void> {
    return this.#exclusively(async () => {
      await this.#closeTail();
      for (const { bytes } of this.#segments.splice(0)) this.#space.give(bytes);
      if (!this.#made) return;
      this.#made = false;
      await rm(this.folder, { recursive: true, force: true });
      await syncFolder(dirname(this.folder));
    });
  }

  async #closeTail(): Promise<void> {
    const tail = this.#tail;
    this.#tail = undefined;
    await tail?.close();
  }

  async #remove(index: number): Promise<void> {
    const [segment] = this.#segments.splice(index, 1);
    if (segment === undefined) return;
    await rm(segment.path, { force: true });
    this.#space.give(segment.bytes);
  }

  #writeRecord(): Promise<void> {
    const record = {
      identity: this.identity,
      preamble: this.#preamble,
      mark: this.#mark,
      lost: this.lost.all,
      ...(this.#rebirth === undefined ? {} : { rebirth: this.#rebirth }),
      ...(this.#end === undefined ? {} : { end: this.#end }),
    };
    return writeStreamRecord(join(this.folder, RECORD_FILE), record);
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#busy.then(work);
    this.#busy = done.catch(() => {});
    return done;
  }
}

/** A new stream's part of a spool; nothing of it is on disk yet. */
export function newSpooledStream(folder: string, space: SpoolSpace, identity: StreamIdentity): SpooledStream {
  return new SpooledStream(folder, space, { identity, preamble: Buffer.alloc(0), mark: START_MARK, lost: [] });
}

/** The segment files of a stream's folder, by offset. `to` is an estimate: the next one's `from`, its own for the last. */
export async function listSegments(folder: string): Promise<Segment[]> {
  const found: Segment[] = [];
  for (const name of (await readdir(folder)).sort()) {
    const match = SEGMENT_NAME.exec(name);
    if (match === null) continue;
    const path = join(folder, name);
    const from = Number(match[1]);
    const size = await stat(path).then(
      ({ size }) => size,
      () => 0,
    );
    const before = found.at(-1);
    if (before !== undefined) before.to = from;
    found.push({ path, from, to: from, bytes: size });
  }
  return found;
}

/** The chunk that holds `offset`, or else the first one behind it that begins with a record. */
function placeAt(chunks: readonly ChunkPlace[], offset: number): ChunkPlace | undefined {
  for (let index = firstBehind(chunks, offset); index < chunks.length; index++) {
    const chunk = chunks[index] as ChunkPlace;
    if (chunk.offset <= offset || chunk.startsRecord) return chunk;
  }
  return undefined;
}

/** The index of the first chunk that ends behind `offset`. */
function firstBehind(chunks: readonly ChunkPlace[], offset: number): number {
  let low = 0;
  let high = chunks.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const { offset: from, length } = chunks[middle] as ChunkPlace;
    if (from + length > offset) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The data from `offset` on, which a chunk holds, as far as the chunks follow each other; at most `maxBytes`. */
function bytesFrom(segment: Buffer, chunks: readonly ChunkPlace[], offset: number, maxBytes: number): Buffer {
  const pieces: Buffer[] = [];
  let at = offset;
  for (let index = firstBehind(chunks, offset); at < offset + maxBytes && index < chunks.length; index++) {
    const chunk = chunks[index] as ChunkPlace;
    if (chunk.offset > at) break;
    const skipped = at - chunk.offset;
    const length = Math.min(chunk.length - skipped, offset + maxBytes - at);
    pieces.push(segment.subarray(chunk.at + skipped, chunk.at + skipped + length));
    at += length;
  }
  return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces);
}
