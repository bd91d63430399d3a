import assert from 'node:assert/strict';
import { join } from 'node:path';
import { openFileJournal } from '@d4ts/server/journal';
import pino from 'pino';

/** The kinds of entries that are looked at (journal rule 5). */
const DATA = 2;
const GAP = 5;

/** What a home's journal has of one stream. */
export interface JournalStream {
  readonly id: string;
  /** The offset of its first byte: over 0 where retention has removed what was before. */
  readonly from: number;
  readonly bytes: Buffer;
  /** Ranges that never came, by offset, and why. */
  readonly gaps: readonly { readonly from: number; readonly to: number; readonly why: string }[];
}

/**
 * All streams of a topic in the journal of a home whose server is stopped, in order of their first entry.
 * @throws AssertionError where bytes of a stream are missing that are in no gap, or there twice
 */
export async function journalStreams(home: string, topicName: string): Promise<JournalStream[]> {
  const journal = await openFileJournal({ root: join(home, 'journal'), policy: 'os', log: pino({ level: 'silent' }) });
  const found = new Map<
    string,
    { from: number; at: number; pieces: Buffer[]; gaps: JournalStream['gaps'][number][] }
  >();
  try {
    const topic = await journal.open(topicName);
    for (let sequence = topic.firstSequence; sequence < topic.endSequence; ) {
      for (const { sequence: at, stream: definition, kind, offset, bytes } of await topic.read(sequence, 1024 * 1024)) {
        sequence = at + 1;
        if (kind !== DATA && kind !== GAP) continue;
        const gap = kind === GAP ? (JSON.parse(bytes.toString()) as JournalStream['gaps'][number]) : undefined;
        const from = gap?.from ?? offset;
        const stream = found.get(definition.id) ?? { from, at: from, pieces: [], gaps: [] };
        found.set(definition.id, stream);
        assert.equal(from, stream.at, `stream ${definition.id}: bytes are missing, or twice`);
        if (gap === undefined) stream.pieces.push(Buffer.from(bytes));
        else stream.gaps.push(gap);
        stream.at = gap?.to ?? from + bytes.length;
      }
    }
  } finally {
    await journal.close();
  }
  return [...found].map(([id, { from, pieces, gaps }]) => ({ id, from, gaps, bytes: Buffer.concat(pieces) }));
}
