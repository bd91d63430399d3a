import { D4Error } from '@d4ts/protocol';
import type { Format } from '../formats/port.ts';
import type { Entry, StreamDefinition } from '../journal/port.ts';
import type { Announcement } from './announcement.ts';
import { nextMidnight } from './names.ts';
import type { PartFile } from './part-file.ts';
import type { Progress } from './progress.ts';

const NO_BYTES = Buffer.alloc(0);

/** A file that is being written, and which part of its stream it holds. */
export interface OpenFile {
  readonly file: PartFile;
  /** Its path below the root, without extension. */
  readonly base: string;
  readonly kind: 'stream' | 'rejected';
  readonly firstSequence: number;
  /** ms since 1970, as are the others. */
  readonly firstTime: number;
  lastTime: number;
  /** When its period, or its day, is over. */
  readonly endsAt: number;
  /** Bytes of the stream. */
  readonly from: number;
  to: number;
  /** Of these, the ones that are in the file: less what was left out of the stream, and records that are elsewhere. */
  streamBytes: number;
}

/** A fragment of a record, kept until the record is whole. */
interface Fragment {
  readonly sequence: number;
  readonly time: number;
  readonly bytes: Buffer;
}

/** What the archiver knows of one stream. */
export class ArchivedStream {
  readonly id: string;
  /** Bytes before this are in announced files; those of records that make no files, up to `rejectedTo`. */
  archivedTo = 0;
  rejectedTo = 0;
  open: OpenFile | undefined;
  fragments: Fragment[] = [];
  /** Whether the entry looked at last does not end a record. */
  isWithinRecord = false;
  /** A `cut` is on its way. */
  cutWanted = false;
  /** The sequence of its `close`. */
  closedAt: number | undefined;
  /** What is to be done on disk for it, in order. */
  work: Promise<void> = Promise.resolve();
  #definition: StreamDefinition | undefined;
  /** What a reader must have seen before byte `#preambleAt`. */
  #preamble: Buffer = NO_BYTES;
  #preambleAt: number | undefined;
  /** The same, as of `archivedTo` or earlier. */
  #savedPreamble: Buffer = NO_BYTES;
  #savedPreambleAt: number | undefined;

  constructor(id: string) {
    this.id = id;
  }

  static restored(saved: Progress['streams'][number]): ArchivedStream {
    const stream = new ArchivedStream(saved.id);
    stream.archivedTo = saved.archivedTo;
    stream.rejectedTo = saved.rejectedTo;
    if (saved.preamble === undefined) return stream;
    stream.#preamble = Buffer.from(saved.preamble.bytes, 'base64');
    stream.#preambleAt = saved.preamble.at;
    stream.archivedPreamble(saved.preamble.at, stream.#preamble);
    return stream;
  }

  /** Whether an entry of it was read. */
  get seen(): boolean {
    return this.#definition !== undefined;
  }

  get definition(): StreamDefinition {
    if (this.#definition === undefined) throw new D4Error('D4_ARCHIVE', `no entry of stream ${this.id} was read`);
    return this.#definition;
  }

  get preamble(): Buffer {
    return this.#preamble;
  }

  /** Bytes in memory. */
  get buffered(): number {
    return this.open?.file.buffered ?? 0;
  }

  /** Notes an entry that was read. */
  see(entry: Entry): void {
    this.#definition ??= entry.stream;
    if (this.#preambleAt !== undefined) return;
    this.#preamble = entry.stream.preamble;
    this.#preambleAt = entry.offset;
  }

  /** Goes behind an entry, whose bytes may have changed what a reader must have seen. */
  pass(entry: Entry, format: Format): void {
    if (format.preambleAfter === undefined || entry.offset < (this.#preambleAt ?? 0)) return;
    this.#preamble = format.preambleAfter(this.#preamble, entry.bytes);
    this.#preambleAt = entry.offset + entry.bytes.length;
  }

  begin(file: PartFile, of: { base: string; kind: OpenFile['kind']; periodMs: number }, entry: Entry): OpenFile {
    const { sequence: firstSequence, time: firstTime, offset: from } = entry;
    const endsAt = Math.min(firstTime + of.periodMs, nextMidnight(firstTime));
    const { base, kind } = of;
    this.cutWanted = false;
    this.open = {
      file,
      base,
      kind,
      firstSequence,
      firstTime,
      lastTime: firstTime,
      endsAt,
      from,
      to: from,
      streamBytes: 0,
    };
    return this.open;
  }

  /** Notes a committed announcement. */
  announced({ kind, to }: Announcement): void {
    if (kind === 'rejected') this.rejectedTo = Math.max(this.rejectedTo, to);
    else this.archivedTo = Math.max(this.archivedTo, to);
  }

  /** Notes the preamble as of an archived byte. */
  archivedPreamble(at: number, preamble: Buffer): void {
    this.#savedPreambleAt = at;
    this.#savedPreamble = preamble;
  }

  /** What it has in memory or in an unfinished file: from which entry on. */
  holds(): { sequence: number; time: number }[] {
    const [fragment] = this.fragments;
    const open = this.open === undefined ? [] : [{ sequence: this.open.firstSequence, time: this.open.firstTime }];
    return fragment === undefined ? open : [...open, fragment];
  }

  /** What is saved of it: nothing while nothing is archived. */
  saved(): Progress['streams'] {
    if (this.archivedTo === 0 && this.rejectedTo === 0) return [];
    const { id, archivedTo, rejectedTo } = this;
    const at = this.#savedPreambleAt;
    if (at === undefined) return [{ id, archivedTo, rejectedTo }];
    return [{ id, archivedTo, rejectedTo, preamble: { at, bytes: this.#savedPreamble.toString('base64') } }];
  }
}
