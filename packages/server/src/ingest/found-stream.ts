import type { Format } from '../formats/port.ts';
import { ENTRY_KIND, type Entry, type StreamPosition, type TopicLog } from '../journal/port.ts';
import type { ResumedStream } from './acknowledged-stream.ts';

const READ_BYTES = 4 * 1024 * 1024;

/**
 * What going on with a stream needs, out of the journal. Only where a crash came in between is anything read: the
 * entries that the preamble follows from, and the fragments of a record that has no last one.
 */
export async function resumedStream(
  log: Pick<TopicLog, 'select'>,
  position: StreamPosition,
  format: Format,
): Promise<ResumedStream> {
  const { offset, state, preambleFrom, fragmentFrom } = position;
  const needsPreamble = format.preambleAfter !== undefined && preambleFrom !== undefined;
  const since = needsPreamble ? preambleFrom : fragmentFrom;
  if (since === undefined) return { offset, state };
  let { preamble } = state;
  const fragments: Buffer[] = [];
  for await (const entry of entriesOf(log, position, since)) {
    if (fragmentFrom !== undefined && entry.sequence >= fragmentFrom) fragments.push(Buffer.from(entry.bytes));
    else preamble = format.preambleAfter?.(preamble, entry.bytes) ?? preamble;
  }
  const resumed = { offset, state: { ...state, preamble } };
  return fragments.length === 0 ? resumed : { ...resumed, fragments: Buffer.concat(fragments) };
}

/** The stream's entries of data from a sequence on. */
async function* entriesOf(
  log: Pick<TopicLog, 'select'>,
  { definition, offset }: StreamPosition,
  since: number,
): AsyncGenerator<Entry> {
  const selection = await log.select([definition.sensor]);
  try {
    for (let sequence = since; ; ) {
      const entries = await selection.read(sequence, READ_BYTES);
      for (const { entry } of entries) {
        sequence = entry.sequence + 1;
        if (entry.stream.id !== definition.id || entry.kind !== ENTRY_KIND.data) continue;
        yield entry;
        if (entry.offset + entry.bytes.length >= offset) return;
      }
      if (entries.length === 0) return;
    }
  } finally {
    selection.close();
  }
}
