import { existsSync } from 'node:fs';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ENTRY_HEADER_BYTES, type EntryHeader, encodeSegmentHeader, SEGMENT_HEADER_BYTES } from './entry-format.ts';
import { existingTopics } from './files.ts';
import { ENTRY_FLAG, ENTRY_KIND } from './port.ts';
import { isZero, lostAtEnd } from './recovery.ts';
import { loadIndex, openSegment, readFully, type Segment } from './segment.ts';
import type { SegmentIndex } from './segment-index.ts';
import { scanSegment } from './segment-scan.ts';
import { loadStreamTable, STREAM_TABLE_FILE } from './stream-table.ts';

/** Something in the journal that is not as it was written. */
export interface JournalDamage {
  readonly path: string;
  readonly what: string;
  /** What is gone; undefined where nothing is. */
  readonly lost?: string;
  /**
   * What mends it: `recovery` the next start (of a segment with an index only when that is taken away), `index` making
   * the index again, `header` writing the other copy of the header over it, `table` making the table again.
   */
  readonly mend: 'recovery' | 'index' | 'header' | 'table';
}

/** An announcement of a finished file, as it stands in the journal. */
export interface FoundAnnouncement {
  readonly topic: string;
  readonly sequence: number;
  /** JSON, as the archiver wrote it. */
  readonly body: string;
}

/** What a journal holds. */
export interface JournalCheck {
  readonly damage: JournalDamage[];
  /** What is as it should be, but worth saying. */
  readonly notes: { readonly path: string; readonly what: string }[];
  /** The first sequence of each topic that is not in it. */
  readonly ends: ReadonlyMap<string, number>;
  segments: number;
  entries: number;
  bytes: number;
}

interface Check extends JournalCheck {
  readonly ends: Map<string, number>;
  readonly onAnnouncement: (announcement: FoundAnnouncement) => void;
}

/** Of the sequence of a topic: what was found missing, and what the journal itself says to be missing. */
interface Holes {
  readonly found: { readonly from: number; readonly to: number; readonly damage: JournalDamage }[];
  readonly recorded: { readonly from: number; readonly to: number }[];
  /** First sequences of segments that were set aside as a whole. */
  readonly setAside: Set<number>;
}

const FILES = 'files/';

/**
 * Reads a whole journal that nobody has open: every entry's CRC and sequence, the fragments of long records, every index
 * against its segment. Changes nothing.
 * @param onAnnouncement is called for each announcement of a finished file
 * @throws {D4Error} D4_JOURNAL_VERSION; or the error of the file system
 */
export async function checkJournal(
  root: string,
  onAnnouncement: (announcement: FoundAnnouncement) => void,
): Promise<JournalCheck> {
  const check: Check = { damage: [], notes: [], ends: new Map(), segments: 0, entries: 0, bytes: 0, onAnnouncement };
  if (!existsSync(root)) return check;
  for (const topic of await existingTopics(root)) await checkTopic(join(root, topic), topic, check);
  return check;
}

/** Writes a segment's header anew, from the copy in it that can be read. */
export async function mendHeader(path: string): Promise<void> {
  const segment = await openSegment(path);
  if (segment === undefined) return;
  const file = await open(path, 'r+');
  try {
    await file.write(encodeSegmentHeader(segment.header), 0, SEGMENT_HEADER_BYTES, 0);
    await file.datasync();
  } finally {
    await file.close();
  }
}

async function checkTopic(folder: string, topic: string, check: Check): Promise<void> {
  const names = (await readdir(folder)).sort();
  const segments: Segment[] = [];
  for (const name of names.filter((each) => each.endsWith('.seg'))) {
    const path = join(folder, name);
    const { size } = await stat(path);
    const segment = await openSegment(path);
    if (size <= SEGMENT_HEADER_BYTES) {
      check.notes.push({ path, what: 'has no entry yet: a crash came first; the next start removes it' });
    } else if (segment === undefined) {
      const what = 'neither copy of its header can be read';
      check.damage.push({ path, what, lost: `all ${size} bytes of it`, mend: 'recovery' });
    } else if (segment.header.topic !== topic || segment.firstSequence !== Number.parseInt(name, 10)) {
      const what = `says that it is of topic ${segment.header.topic}, from sequence ${segment.firstSequence}: it was moved here`;
      check.notes.push({ path, what });
      segments.push(segment);
    } else segments.push(segment);
  }
  const holes: Holes = { found: [], recorded: [], setAside: new Set() };
  let end: number | undefined;
  for (const [i, segment] of segments.entries()) {
    if (end !== undefined && segment.firstSequence > end) {
      const [from, to] = [end, segment.firstSequence];
      const what = `the entries before it, sequences ${from} to ${to - 1}, are in no segment, and nothing says why`;
      const lost = to - from === 1 ? '1 entry' : `${to - from} entries`;
      holes.found.push({ from, to, damage: { path: segment.path, what, lost, mend: 'recovery' } });
    }
    end = await checkSegment(segment, segments[i + 1], topic, check, holes);
    check.ends.set(topic, end);
  }
  for (const { from, to, damage } of holes.found) {
    const isRecorded = holes.recorded.some((range) => range.from <= from && range.to >= to);
    if (!holes.setAside.has(from) && !isRecorded) check.damage.push(damage);
  }
  const table = join(folder, STREAM_TABLE_FILE);
  if (names.includes(STREAM_TABLE_FILE) && (await loadStreamTable(folder)) === undefined) {
    const what =
      'the table of streams that go on cannot be read: segments and indexes say the same, as long as they are kept';
    check.damage.push({ path: table, what, mend: 'table' });
  }
  for (const name of names.filter((each) => each.endsWith('.damaged'))) {
    check.notes.push({
      path: join(folder, name),
      what: 'bytes that were set aside at an earlier start, and are counted',
    });
  }
}

/** @returns the sequence after its last entry */
async function checkSegment(
  segment: Segment,
  next: Segment | undefined,
  topic: string,
  check: Check,
  holes: Holes,
): Promise<number> {
  const { path, header } = segment;
  const { size } = await stat(path);
  const trail = new EntryTrail(segment, topic, holes, check.onAnnouncement);
  const file = await open(path, 'r');
  try {
    const scan = await scanSegment(file, header, size, next?.firstSequence, (entry, body, position) =>
      trail.take(entry, body, position),
    );
    check.segments += 1;
    check.entries += scan.index.entries;
    check.bytes += size;
    if (!(await areHeadersEqual(file))) {
      check.damage.push({ path, what: 'one of the two copies of its header is damaged', mend: 'header' });
    }
    const lastLost = await lostAtEnd(file, scan, size, next?.firstSequence);
    for (const damage of lastLost === undefined ? scan.damage : [...scan.damage, lastLost]) {
      const { from, to } = damage;
      if (existsSync(`${path.replace(/\.seg$/, '')}-${from}.damaged`)) continue;
      const lost = trail.missingAt(from, to, next?.firstSequence);
      const found: JournalDamage = { path, what: `bytes ${from} to ${to} are no entry`, lost, mend: 'recovery' };
      // What was lost at the end of the journal is recorded behind it.
      const isAtEnd = damage === lastLost && next !== undefined;
      if (isAtEnd) holes.found.push({ from: scan.index.endSequence, to: next.firstSequence, damage: found });
      else check.damage.push(found);
    }
    for (const what of trail.fragments) {
      check.notes.push({ path, what });
    }
    if (scan.end < size && next === undefined && !(await isZero(file, scan.end, size))) {
      const what = `${size - scan.end} bytes behind its last entry are none: what a crash has left half written, or the last entries, damaged`;
      check.notes.push({ path, what });
    }
    await checkIndex(segment, next, scan.index, size, check);
    // Where its end is damaged, that is why sequences are missing before the next one.
    return lastLost === undefined ? scan.index.endSequence : (next?.firstSequence ?? scan.index.endSequence);
  } finally {
    await file.close();
  }
}

/** An index against what its segment really holds. */
async function checkIndex(
  segment: Segment,
  next: Segment | undefined,
  found: SegmentIndex,
  size: number,
  check: Check,
): Promise<void> {
  const path = segment.indexPath;
  if (!existsSync(path)) {
    if (next !== undefined) check.notes.push({ path, what: 'is missing: it is made at the next start' });
    return;
  }
  const saved = await loadIndex(segment);
  const damaged = (what: string): void => void check.damage.push({ path, what, mend: 'index' });
  if (saved === undefined) damaged('cannot be read, or is that of another segment');
  else if (saved.summary.segmentBytes > size) damaged('says that its segment is longer than it is');
  else if (!isSame(saved.index, found)) {
    // Where entries of the segment are damaged, it still tells of them.
    const isHurt = check.damage.some((each) => each.path === segment.path && each.mend === 'recovery');
    if (!isHurt) damaged('does not say what its segment holds');
  }
}

function isSame(saved: SegmentIndex, found: SegmentIndex): boolean {
  if (saved.endSequence !== found.endSequence || saved.records !== found.records || saved.entries !== found.entries) {
    return false;
  }
  if (saved.streams.size !== found.streams.size) return false;
  for (const [number, { positions, sequences, items, definition }] of found.streams) {
    const other = saved.streams.get(number);
    if (other === undefined || other.definition.id !== definition.id) return false;
    if (!areEqual(positions, other.positions) || !areEqual(sequences, other.sequences)) return false;
    if (!areEqual(items, other.items)) return false;
  }
  return true;
}

function areEqual(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

/** Follows the entries of a segment: sequences that are missing, fragments without their others, announcements. */
class EntryTrail {
  readonly fragments: string[] = [];
  readonly #topic: string;
  readonly #holes: Holes;
  readonly #onAnnouncement: (announcement: FoundAnnouncement) => void;
  readonly #within = new Set<number>();
  /** Sequences that are missing, by the position of the entry behind them. */
  readonly #missing = new Map<number, { from: number; to: number }>();
  #expected: number;
  /** Of the last entry, in the file. */
  #end = SEGMENT_HEADER_BYTES;

  constructor(segment: Segment, topic: string, holes: Holes, onAnnouncement: Check['onAnnouncement']) {
    this.#topic = topic;
    this.#holes = holes;
    this.#onAnnouncement = onAnnouncement;
    this.#expected = segment.firstSequence;
  }

  take(header: EntryHeader, body: Buffer, position: number): void {
    const { sequence, kind, flags, stream } = header;
    if (sequence > this.#expected) {
      const hole = { from: this.#expected, to: sequence };
      this.#missing.set(position, hole);
    }
    this.#expected = sequence + 1;
    this.#end = position + ENTRY_HEADER_BYTES + header.length;
    if (kind === ENTRY_KIND.gap) this.#record(body);
    if (kind === ENTRY_KIND.file && this.#topic.startsWith(FILES)) {
      const topic = this.#topic.slice(FILES.length);
      this.#onAnnouncement({ topic, sequence, body: body.toString('utf8') });
    }
    if (kind !== ENTRY_KIND.data) return;
    const isInside = this.#within.has(stream);
    const goesOn = (flags & (ENTRY_FLAG.middle | ENTRY_FLAG.last)) !== 0;
    if (goesOn !== isInside)
      this.fragments.push(`the record of sequence ${sequence} lacks fragments: it is not handed out`);
    if ((flags & (ENTRY_FLAG.first | ENTRY_FLAG.middle)) !== 0) this.#within.add(stream);
    else this.#within.delete(stream);
  }

  /** What is missing where bytes are damaged, in words. @param nextSequence the first of the next segment */
  missingAt(from: number, to: number, nextSequence: number | undefined): string {
    const atEnd = nextSequence === undefined ? undefined : { from: this.#expected, to: nextSequence };
    const hole = this.#missing.get(to) ?? (from >= this.#end ? atEnd : undefined);
    if (hole === undefined) return `${to - from} bytes`;
    const count = hole.to - hole.from;
    return count === 1
      ? `1 entry, sequence ${hole.from}`
      : `${count} entries, sequences ${hole.from} to ${hole.to - 1}`;
  }

  /** A note of the server's own that entries at the end of the journal were lost. */
  #record(body: Buffer): void {
    if (body.length > 4096) return;
    try {
      const note: { fromSequence?: unknown; toSequence?: unknown; segment?: unknown } = JSON.parse(
        body.toString('utf8'),
      );
      const { fromSequence, toSequence, segment } = note;
      if (typeof fromSequence === 'number' && typeof toSequence === 'number') {
        this.#holes.recorded.push({ from: fromSequence, to: toSequence });
      }
      if (typeof segment === 'string') this.#holes.setAside.add(Number.parseInt(segment, 10));
    } catch {
      // Gaps of streams may hold anything.
    }
  }
}

async function areHeadersEqual(file: FileHandle): Promise<boolean> {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  await readFully(file, bytes, 0);
  const half = SEGMENT_HEADER_BYTES / 2;
  return bytes.subarray(0, half).equals(bytes.subarray(half));
}
