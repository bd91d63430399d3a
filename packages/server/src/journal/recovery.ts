import { type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Logger } from 'pino';
import { ENTRY_HEADER_BYTES, SEGMENT_HEADER_BYTES } from './entry-format.ts';
import {
  loadIndex,
  loadSummary,
  openSegment,
  readFully,
  type Segment,
  saveIndex,
  syncFolder,
  writeDurably,
} from './segment.ts';
import type { OpenStream, SegmentIndex, StreamIndex } from './segment-index.ts';
import { type Damage, type SegmentScan, scanSegment } from './segment-scan.ts';
import { loadStreamTable } from './stream-table.ts';

const DAMAGED = '.damaged';

/** What recovery found to be missing: recorded in the journal as a `gap` entry (docs/journal.md, rule 12). */
export interface FoundGap {
  /** The segment's file, by name. */
  readonly segment: string;
  /** Bytes `[from, to)` of it. */
  readonly from: number;
  readonly to: number;
  /** The file in the same folder that the damaged bytes were put into. */
  readonly kept: string;
}

/** A topic as it was found on disk. */
export interface RecoveredTopic {
  readonly segments: Segment[];
  /** The last segment, if it can be written on, with its index. */
  readonly tail: { readonly segment: Segment; readonly index: SegmentIndex } | undefined;
  /** Streams without a `close` entry (rule 28), by id. */
  readonly open: Map<string, OpenStream>;
  readonly gaps: FoundGap[];
  /** No entry had this sequence or a later one. */
  readonly endSequence: number;
  /** To be called when the gaps have been recorded: from then on they are not found again. */
  settle(): Promise<void>;
}

type StreamTable = Map<string, OpenStream>;

/** Opens the segments in a topic's folder; scans those without a good index, mends the end of the last. */
export async function recoverTopic(folder: string, log: Logger): Promise<RecoveredTopic> {
  const gaps: FoundGap[] = [];
  const settling: (() => Promise<void>)[] = [];
  const { segments, unreadable } = await openSegments(folder);
  for (const path of unreadable) {
    const gap = { segment: basename(path), from: 0, to: (await stat(path)).size, kept: `${basename(path)}${DAMAGED}` };
    log.error({ folder, ...gap }, 'a segment of the journal has no readable header: set aside, and recorded as a gap');
    gaps.push(gap);
    settling.push(() => rename(path, `${path}${DAMAGED}`));
  }

  const saved = await loadStreamTable(folder);
  const isFollowed = saved !== undefined && saved.endSequence <= (segments[0]?.firstSequence ?? saved.endSequence);
  // Of older segments, if there are some, the indexes know.
  let streams = async (): Promise<StreamTable> => (isFollowed ? savedTable(saved) : undefined) ?? new Map();
  let tail: RecoveredTopic['tail'];
  for (const [i, segment] of segments.entries()) {
    const { size } = await stat(segment.path);
    const before = streams;
    const summary = await loadSummary(segment);
    if (summary !== undefined && summary.segmentBytes <= size) {
      segment.sealed = true;
      segment.committedBytes = summary.segmentBytes;
      segment.takeTotals(summary);
      streams = async () => savedTable(await loadIndex(segment)) ?? updated(await before(), await segment.index());
      continue;
    }
    const next = segments[i + 1];
    const file = await open(segment.path, 'r+');
    const scan = await scanSegment(file, segment.header, size, next?.firstSequence);
    // What is told to be acknowledged from now on must not be in the system's memory alone (rule 10).
    await file.datasync();
    const table = updated(await before(), scan.index, scan.acknowledged);
    streams = async () => table;
    segment.committedBytes = scan.end;
    segment.adopt(scan.index);
    const lastLost = await lostAtEnd(file, scan, size, next?.firstSequence);
    const damaged = lastLost === undefined ? scan.damage : [...scan.damage, lastLost];
    for (const damage of damaged) gaps.push(await setAside(segment, file, damage, log));
    if (next === undefined && scan.index.entries === 0) {
      await file.close();
      await rm(segment.path);
      segments.pop();
    } else if (next === undefined && scan.damage.length === 0) {
      if (scan.end < size) {
        // The writer fills its last block with zeros.
        if (!(await isZero(file, scan.end, size))) {
          log.warn({ segment: segment.path, bytes: size - scan.end }, 'cut off what a crash left half written');
        }
        await file.truncate(scan.end);
        await file.sync();
      }
      await file.close();
      tail = { segment, index: scan.index };
    } else {
      await file.close();
      segment.sealed = true;
      const open = [...table.values()];
      settling.push(async () => {
        await saveIndex(segment, scan.index, open);
        await segment.forget();
      });
    }
  }
  return {
    segments,
    tail,
    open: await streams(),
    gaps,
    endSequence: Math.max(segments.at(-1)?.endSequence ?? 1, ...(await Promise.all(unreadable.map(sequenceBound)))),
    settle: async () => {
      for (const step of settling) await step();
      if (settling.length > 0) await syncFolder(folder);
    },
  };
}

/** How many pieces of a topic were ever set aside, and their bytes: the files that hold them. */
export async function countSetAside(folder: string): Promise<{ gaps: number; bytes: number }> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(DAMAGED));
  let bytes = 0;
  for (const name of names) bytes += (await stat(join(folder, name))).size;
  return { gaps: names.length, bytes };
}

/** In order of their sequences. What a crash left of a new segment that has no entry yet is deleted. */
async function openSegments(folder: string): Promise<{ segments: Segment[]; unreadable: string[] }> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.seg')).sort();
  const segments: Segment[] = [];
  const unreadable: string[] = [];
  for (const name of names) {
    const path = join(folder, name);
    const segment = await openSegment(path);
    if ((await stat(path)).size <= SEGMENT_HEADER_BYTES) await rm(path);
    else if (segment === undefined) unreadable.push(path);
    else segments.push(segment);
  }
  return { segments, unreadable };
}

function savedTable(saved: { readonly open: readonly OpenStream[] } | undefined): StreamTable | undefined {
  return saved === undefined ? undefined : new Map(saved.open.map((stream) => [stream.definition.id, stream]));
}

/** The open streams after a segment, from those before it. */
function updated(
  before: StreamTable,
  index: SegmentIndex,
  acknowledged: ReadonlyMap<string, OpenStream> = new Map(),
): StreamTable {
  const streams = new Map(before);
  for (const stream of index.streams.values()) {
    const { definition, endOffset } = stream;
    const { id } = definition;
    const known = streams.get(id);
    const ended = acknowledged.get(id);
    if (stream.closed) streams.delete(id);
    else if (ended !== undefined) streams.set(id, ended);
    else if (definition.acknowledged === undefined) streams.set(id, { definition, offset: endOffset });
    // A `cut` alone says nothing new of it.
    else if (known?.offset !== endOffset) streams.set(id, defined(stream));
  }
  return streams;
}

/** An acknowledged stream that is defined and goes no further, as far as entries were read. */
function defined({ definition, endOffset: offset, lastTime: time, bytes }: StreamIndex): OpenStream {
  const crc = bytes === 0 ? definition.acknowledged?.crc : undefined;
  return { definition, offset, last: { state: { crc, preamble: definition.preamble }, time } };
}

/**
 * The end of a segment, where its last entries are damaged: others follow in the next segment, but not at once.
 * @param nextSequence the first of the next segment; undefined where there is none
 */
export async function lostAtEnd(
  file: FileHandle,
  { index, end }: Pick<SegmentScan, 'index' | 'end'>,
  size: number,
  nextSequence: number | undefined,
): Promise<Damage | undefined> {
  if (nextSequence === undefined || index.endSequence >= nextSequence || end >= size) return undefined;
  return (await isZero(file, end, size)) ? undefined : { from: end, to: size };
}

/** Whether bytes `[from, to)` of a file are zeros: behind its last entry an open segment has them. */
export async function isZero(file: FileHandle, from: number, to: number): Promise<boolean> {
  const bytes = Buffer.alloc(to - from);
  await readFully(file, bytes, from);
  return bytes.every((byte) => byte === 0);
}

/** Keeps damaged bytes in a file beside their segment. */
async function setAside(segment: Segment, file: FileHandle, damage: Damage, log: Logger): Promise<FoundGap> {
  const kept = `${segment.path.replace(/\.seg$/, '')}-${damage.from}${DAMAGED}`;
  const bytes = Buffer.alloc(damage.to - damage.from);
  await readFully(file, bytes, damage.from);
  await writeDurably(kept, bytes);
  const gap = { segment: basename(segment.path), ...damage, kept: basename(kept) };
  log.error({ path: segment.path, ...gap }, 'damaged bytes in the journal: set aside, and recorded as a gap');
  return gap;
}

/** A sequence that no entry in an unreadable segment can have reached, from the file's name and length. */
async function sequenceBound(path: string): Promise<number> {
  const { size } = await stat(path);
  return Number.parseInt(basename(path), 10) + Math.ceil(size / ENTRY_HEADER_BYTES);
}
