import { isUtf8 } from 'node:buffer';
import type { SensorId } from '@d4ts/protocol';
import type { Format } from '../../formats/port.ts';
import {
  type Commit,
  ENTRY_FLAG,
  ENTRY_KIND,
  type EntryDraft,
  type Journal,
  type Topic,
  type TopicLog,
} from '../../journal/port.ts';
import { pcapLine, pcapngLine } from './capture-records.ts';

/** Records shown in a second, and bytes looked at; what is more is skipped and counted. */
const RECORDS_PER_SECOND = 50;
const BYTES_PER_SECOND = 2 * 1024 * 1024;
/** Of a record so much is shown, in bytes. */
const SHOWN_BYTES = 4 * 1024;
const SECOND_MS = 1_000;
const FRAGMENT = ENTRY_FLAG.first | ENTRY_FLAG.middle | ENTRY_FLAG.last;

/** A record, as it is shown. */
export interface TailRecord {
  readonly topic: Topic;
  /** It was committed, ms since 1970. */
  readonly at: number;
  /** `text`: a line; `json`: a line that is JSON; `packet`: a summary of a packet; `bytes`: the beginning, hexadecimal. */
  readonly kind: 'text' | 'json' | 'packet' | 'bytes';
  readonly text: string;
  /** Of the whole record. */
  readonly bytes: number;
  readonly isCut: boolean;
  /** When a packet was captured, ms since 1970. */
  readonly capturedAt?: number;
}

export interface TailOptions {
  readonly journal: Journal;
  readonly formats: (topic: Topic) => Format;
  readonly sensor: SensorId;
  /** Only this one; all if not given. */
  readonly topic?: Topic | undefined;
  /** Only records in which this stands; upper and lower case are the same. */
  readonly filter?: string | undefined;
  readonly onRecord: (record: TailRecord) => void;
  /** Records that were not shown, each second in which there were any. */
  readonly onSkipped: (count: number) => void;
}

/** Shows what a sensor sends as it is committed, in bounds. Nothing is read from disk, and nobody waits for it. */
export class RecordTail {
  readonly #options: TailOptions;
  readonly #filter: string | undefined;
  readonly #stops: (() => void)[] = [];
  readonly #timer: NodeJS.Timeout;
  #records = RECORDS_PER_SECOND;
  #bytes = BYTES_PER_SECOND;
  #skipped = 0;

  constructor(options: TailOptions) {
    this.#options = options;
    this.#filter = options.filter?.toLowerCase();
    const { journal } = options;
    for (const topic of journal.topics()) this.#follow(journal.get(topic));
    this.#stops.push(journal.onOpen((log) => this.#follow(log)));
    this.#timer = setInterval(() => this.#second(), SECOND_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
    for (const stop of this.#stops) stop();
  }

  #second(): void {
    this.#records = RECORDS_PER_SECOND;
    this.#bytes = BYTES_PER_SECOND;
    if (this.#skipped === 0) return;
    this.#options.onSkipped(this.#skipped);
    this.#skipped = 0;
  }

  #follow(log: TopicLog | undefined): void {
    const { topic: wanted } = this.#options;
    if (log === undefined || log.topic.startsWith('files/')) return;
    if (wanted !== undefined && log.topic !== wanted) return;
    this.#stops.push(log.onCommit((commit) => this.#committed(log.topic, commit)));
  }

  #committed(topic: Topic, { appends, time }: Commit): void {
    const { sensor, formats } = this.#options;
    for (const { stream, drafts } of appends) {
      if (stream.sensor !== sensor) continue;
      const format = formats(topic);
      let { preamble } = stream;
      for (const draft of drafts) {
        if (draft.kind === ENTRY_KIND.data) preamble = this.#take({ topic, at: time, format }, draft, preamble);
      }
    }
  }

  /** @returns what a reader must have seen after it */
  #take(of: { topic: Topic; at: number; format: Format }, draft: EntryDraft, preamble: Buffer): Buffer {
    const { format } = of;
    if (this.#records <= 0 || draft.bytes > this.#bytes) {
      this.#skipped += draft.records;
      // What is skipped may have had the preamble in it; the next append says it again.
      return preamble;
    }
    this.#bytes -= draft.bytes;
    const bytes = Buffer.concat(draft.pieces);
    if ((draft.flags & FRAGMENT) !== 0) {
      if ((draft.flags & ENTRY_FLAG.first) !== 0) this.#show(of, bytes, preamble, true);
      return preamble;
    }
    let known = preamble;
    let shown = 0;
    for (let at = 0; at < bytes.length && shown < draft.records + 1; ) {
      const end = format.recordEnd(bytes, at, known);
      const itemEnd = format.itemEnd(bytes, at, end, known);
      if (itemEnd > at) {
        shown += 1;
        if (this.#records <= 0) {
          this.#skipped += Math.max(0, draft.records - shown + 1);
          return known;
        }
        this.#show(of, bytes.subarray(at, itemEnd), known, false);
      }
      known = format.preambleAfter?.(known, bytes.subarray(at, end)) ?? known;
      at = end;
    }
    return known;
  }

  #show(
    { topic, at, format }: { topic: Topic; at: number; format: Format },
    record: Buffer,
    preamble: Buffer,
    isCut: boolean,
  ): void {
    const shown = shownRecord(format, record, preamble);
    if (this.#filter !== undefined && !shown.text.toLowerCase().includes(this.#filter)) return;
    this.#records -= 1;
    this.#options.onRecord({ topic, at, bytes: record.length, ...shown, isCut: shown.isCut || isCut });
  }
}

type Shown = Pick<TailRecord, 'kind' | 'text' | 'isCut' | 'capturedAt'>;

function shownRecord(format: Format, record: Buffer, preamble: Buffer): Shown {
  if (format.name === 'pcap' || format.name === 'pcapng') {
    const line = format.name === 'pcap' ? pcapLine(record, preamble) : pcapngLine(record, preamble);
    if (line !== undefined) {
      const capturedAt = line.time === undefined ? {} : { capturedAt: line.time };
      return { kind: 'packet', text: line.text, isCut: false, ...capturedAt };
    }
  }
  const isCut = record.length > SHOWN_BYTES;
  const start = record.subarray(0, SHOWN_BYTES);
  const text = textOf(start, isCut);
  if (text === undefined)
    return { kind: 'bytes', text: start.subarray(0, 64).toString('hex'), isCut: record.length > 64 };
  return { kind: !isCut && isJson(text) ? 'json' : 'text', text, isCut };
}

/** Undefined for bytes that are no text. */
function textOf(bytes: Buffer, isCut: boolean): string | undefined {
  // A character may have been cut.
  for (let less = 0; less <= (isCut ? 3 : 0); less += 1) {
    const part = bytes.subarray(0, bytes.length - less);
    if (isUtf8(part)) return part.includes(0) ? undefined : part.toString('utf8');
  }
  return undefined;
}

function isJson(text: string): boolean {
  if (!/^\s*[{[]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
