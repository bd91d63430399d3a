import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { ENTRY_FLAG, ENTRY_KIND, type EntryDraft, type StreamDefinition, type TopicLog } from './port.ts';
import type { FoundGap } from './recovery.ts';
import { NO_SENSOR, type OpenStream } from './segment-index.ts';

/** How long an acknowledged stream keeps its position while nothing of it comes, in ms (docs/journal.md, rule 13). */
const FORGET_MS = 90 * 24 * 60 * 60 * 1000;

/** What was found when a topic was opened. */
export interface Findings {
  readonly gaps: readonly FoundGap[];
  /** Sequences `[from, to)` of entries that are lost; `from` is `to` where none are. */
  readonly hole: { readonly from: number; readonly to: number };
  /** Streams that have not ended. */
  readonly open: readonly OpenStream[];
}

/** Writes down what was found, so that it is found only once (docs/journal.md, rules 12 and 28). */
export async function recordFindings(topic: TopicLog, { gaps, hole, open }: Findings, log: Logger): Promise<void> {
  const findings: object[] = [...gaps];
  if (hole.to > hole.from) {
    log.error({ topic: topic.topic, ...hole }, 'entries at the end of the journal are lost: a gap');
    findings.push({ fromSequence: hole.from, toSequence: hole.to });
  }
  // Announcements of files have no end (rule 29), and acknowledged streams one that their clients say (rule 13).
  const ended = topic.topic.startsWith('files/') ? [] : open.filter(({ last }) => last === undefined);
  const forgotten = open.filter(({ last }) => last !== undefined && Date.now() - last.time > FORGET_MS);
  const close = ({ definition, offset }: OpenStream, flag: number): Promise<void> =>
    topic.append(definition, offset, [draftOf(ENTRY_KIND.close, flag)]);
  await Promise.all([
    ...ended.map((stream) => close(stream, ENTRY_FLAG.crashed)),
    ...forgotten.map((stream) => close(stream, ENTRY_FLAG.aborted)),
    ...(findings.length > 0 ? [recordNotes(topic, findings)] : []),
  ]);
}

/** Writes notes of the server's own into a topic, each as a `gap`, in a stream of its own that belongs to no sensor. */
export function recordNotes(topic: TopicLog, notes: readonly object[]): Promise<void> {
  const stream: StreamDefinition = {
    id: randomBytes(16).toString('hex'),
    sensor: NO_SENSOR,
    topic: topic.topic,
    type: 0,
    preamble: Buffer.alloc(0),
  };
  const gaps = notes.map((note) => draftOf(ENTRY_KIND.gap, 0, JSON.stringify(note)));
  return topic.append(stream, 0, [...gaps, draftOf(ENTRY_KIND.close, 0)]);
}

function draftOf(kind: EntryDraft['kind'], flags: number, body = ''): EntryDraft {
  const piece = Buffer.from(body);
  return { kind, flags, pieces: [piece], bytes: piece.length, records: 0 };
}
