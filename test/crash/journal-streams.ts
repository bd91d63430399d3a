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
  readonly bytes: Buffer;
  /** How many gaps are in it. */
  readonly gaps: number;
}

/**
 * All streams of a topic in the journal of a home whose server is stopped, in order of their first entry.
 * @throws AssertionError where bytes of a stream without gaps are missing, or there twice
 */
export async function journalStreams(home: string, topicName: string): Promise<JournalStream[]> {
  const journal = await openFileJournal({ root: join(home, 'journal'), policy: 'os', log: pino({ level: 'silent' }) });
  const found = new Map<string, { pieces: Buffer[]; length: number; gaps: number }>();
  try {
    const topic = await journal.open(topicName);
    for (let sequence = topic.firstSequence; sequence < topic.endSequence; ) {
      for (const entry of await topic.read(sequence, 1024 * 1024)) {
        sequence = entry.sequence + 1;
        const stream = found.get(entry.stream.id) ?? { pieces: [], length: 0, gaps: 0 };
        found.set(entry.stream.id, stream);
        if (entry.kind === GAP) stream.gaps++;
        if (entry.kind !== DATA) continue;
        if (stream.gaps === 0) assert.equal(entry.offset, stream.length, 'bytes are missing, or twice');
        stream.pieces.push(Buffer.from(entry.bytes));
        stream.length += entry.bytes.length;
      }
    }
  } finally {
    await journal.close();
  }
  return [...found].map(([id, { pieces, gaps }]) => ({ id, gaps, bytes: Buffer.concat(pieces) }));
}
