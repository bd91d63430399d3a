import { type FileHandle, open, readdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { loadIndex, openSegment, type Segment, saveIndex, scanSegment, setAside, syncFolder } from './segment.ts';
import type { Damage, OpenStream, SegmentIndex } from './segment-index.ts';

/** What recovery found to be missing: recorded in the journal as a `gap` entry (docs/journal.md, rule 12). */
export interface FoundGap {
  readonly segment: string;
  readonly from: number;
  readonly to: number;
  /** Where the damaged bytes were put, a file beside the segment. */
  readonly kept: string;
}

/** A topic as it was found on disk. */
export interface RecoveredTopic {
  readonly segments: Segment[];
  /** The last segment, if it can be written on: with its file and index. */
  readonly tail: { readonly segment: Segment; readonly file: FileHandle; readonly index: SegmentIndex } | undefined;
  /** Streams without a `close` entry (rule 28), by id. */
  readonly open: Map<string, OpenStream>;
  readonly gaps: FoundGap[];
  /** Bytes cut off the end: what a crash left half written. */
  readonly truncatedBytes: number;
}

/** Opens the segments in a topic's folder; scans those without a good index, mends the end of the last. */
export async function recoverTopic(folder: string, log: Logger): Promise<RecoveredTopic> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.seg')).sort();
  const gaps: FoundGap[] = [];
  const segments: Segment[] = [];
  for (const name of names) {
    const path = join(folder, name);
    const segment = await openSegment(path);
    if (segment === undefined) gaps.push(await setAsideWhole(path, log));
    else segments.push(segment);
  }

  let streams = new Map<string, OpenStream>();
  let tail: RecoveredTopic['tail'];
  let truncatedBytes = 0;
  for (const [i, segment] of segments.entries()) {
    const { size } = await stat(segment.path);
    const saved = await loadIndex(segment);
    if (saved !== undefined && saved.segmentBytes <= size) {
      segment.sealed = true;
      segment.committedBytes = saved.segmentBytes;
      segment.takeSummary(saved.index);
      streams = new Map(saved.open.map((stream) => [stream.definition.id, stream]));
      continue;
    }
    const next = segments[i + 1];
    const file = await open(segment.path, 'r+');
    const scan = await scanSegment(file, segment.header, segment.headerBytes, size, next?.firstSequence);
    updateStreams(streams, scan.index);
    segment.committedBytes = scan.end;
    segment.adopt(scan.index);
    for (const damage of scan.index.damage) gaps.push(await recordGap(segment, damage, log));
    if (next === undefined && scan.index.damage.length === 0) {
      if (scan.end < size) {
        truncatedBytes = size - scan.end;
        log.warn({ segment: segment.path, bytes: truncatedBytes }, 'cut off what a crash left half written');
        await file.truncate(scan.end);
        await file.sync();
      }
      tail = { segment, file, index: scan.index };
      continue;
    }
    await file.close();
    segment.sealed = true;
    await saveIndex(segment, scan.index, [...streams.values()]);
  }
  return { segments, tail, open: streams, gaps, truncatedBytes };
}

function updateStreams(streams: Map<string, OpenStream>, index: SegmentIndex): void {
  for (const stream of index.streams.values()) {
    const { definition, endOffset } = stream;
    if (stream.closed) streams.delete(definition.id);
    else streams.set(definition.id, { definition, offset: endOffset });
  }
}

async function recordGap(segment: Segment, damage: Damage, log: Logger): Promise<FoundGap> {
  const kept = await setAside(segment, damage.from, damage.to);
  const gap = { segment: segment.path, ...damage, kept };
  log.error(gap, 'damaged bytes in the journal: set aside, and recorded as a gap');
  return gap;
}

/** A segment whose own header is damaged cannot be read at all. */
async function setAsideWhole(path: string, log: Logger): Promise<FoundGap> {
  const { size } = await stat(path);
  const kept = `${path}.damaged`;
  await rename(path, kept);
  await syncFolder(join(path, '..'));
  const gap = { segment: path, from: 0, to: size, kept };
  log.error(gap, 'a segment of the journal has no readable header: set aside, and recorded as a gap');
  return gap;
}
