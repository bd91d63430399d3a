import { randomBytes } from 'node:crypto';
import { newSensorId } from '@d4ts/protocol';
import { ENTRY_KIND, type Entry, type EntryDraft, type StreamDefinition, type TopicLog } from './port.ts';

/** For tests: a stream that nobody has written to. */
export function newStream(topic: string, fields: Partial<StreamDefinition> = {}): StreamDefinition {
  const id = randomBytes(16).toString('hex');
  return { id, sensor: newSensorId(), topic, type: 3, preamble: Buffer.alloc(0), ...fields };
}

/** For tests: an entry of lines; each `\n` ends an item. */
export function lines(text: string | Buffer): EntryDraft {
  const bytes = Buffer.from(text);
  const records = bytes.reduce((count, byte) => count + (byte === 0x0a ? 1 : 0), 0);
  return { kind: ENTRY_KIND.data, flags: 0, pieces: [bytes], bytes: bytes.length, records };
}

/** For tests: an entry without bytes and items. */
export function mark(kind: EntryDraft['kind'], flags = 0): EntryDraft {
  return { kind, flags, pieces: [], bytes: 0, records: 0 };
}

/** For tests: all committed entries from a sequence on, read in blocks. */
export async function readAll(log: TopicLog, from = 0, maxBytes = 64 * 1024): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (let sequence = from; ; ) {
    const block = await log.read(sequence, maxBytes);
    const last = block.at(-1);
    if (last === undefined) return entries;
    entries.push(...block);
    sequence = last.sequence + 1;
  }
}

/** For tests: the data of each stream, put together in the order of the entries, by stream id. */
export function bytesByStream(entries: readonly Entry[]): Map<string, Buffer> {
  const pieces = new Map<string, Buffer[]>();
  for (const { kind, stream, bytes } of entries) {
    if (kind !== ENTRY_KIND.data) continue;
    const known = pieces.get(stream.id) ?? [];
    known.push(bytes);
    pieces.set(stream.id, known);
  }
  return new Map([...pieces].map(([id, parts]) => [id, Buffer.concat(parts)]));
}

/** For tests: the entries of one kind. */
export function ofKind(entries: readonly Entry[], kind: EntryDraft['kind']): Entry[] {
  return entries.filter((entry) => entry.kind === kind);
}

/** For tests: the items of all data entries of lines, in order. */
export function itemsOf(entries: readonly Entry[]): string[] {
  return ofKind(entries, ENTRY_KIND.data).flatMap((entry) => entry.bytes.toString('utf8').split('\n').slice(0, -1));
}
