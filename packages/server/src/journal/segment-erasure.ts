import { open } from 'node:fs/promises';
import type { SensorId } from '@d4ts/protocol';
import {
  checkEntry,
  ENTRY_HEADER_BYTES,
  type EntryHeader,
  nextMagic,
  SEGMENT_HEADER_BYTES,
  sealEntry,
} from './entry-format.ts';
import { ENTRY_KIND, type SensorContents, type StreamDefinition } from './port.ts';
import { loadIndex, readFully, type Segment, saveIndex } from './segment.ts';
import { definitionText, type OpenStream, type SegmentIndex } from './segment-index.ts';

const NO_BYTES = Buffer.alloc(0);

/**
 * Overwrites in place what a sensor has sent, in one sealed segment: each of its `data` entries becomes a `gap` of the
 * same length, sequence and number of items, and its `define` entries lose meta header and preamble. So positions,
 * ordinals and indexes stay right, and readers, the archive and recovery take what is left for what it is: a part of
 * the stream that is gone. Doing it again does nothing.
 * @returns what was erased now
 */
export async function eraseFromSegment(segment: Segment, sensor: SensorId): Promise<SensorContents> {
  const saved = await loadIndex(segment);
  const index = saved?.index ?? (await segment.index());
  const isIn = [...index.streams.values()].some(({ definition }) => definition.sensor === sensor);
  const isOpen = saved?.open.some(({ definition }) => definition.sensor === sensor) ?? false;
  const erased = isIn ? await overwrite(segment, index, sensor) : { records: 0, bytes: 0 };
  if (saved !== undefined && (isIn || isOpen))
    await saveIndex(segment, without(index, sensor), bare(saved.open, sensor));
  return erased;
}

async function overwrite(segment: Segment, index: SegmentIndex, sensor: SensorId): Promise<SensorContents> {
  const erased = { records: 0, bytes: 0 };
  const { salt } = segment.header;
  const file = await open(segment.path, 'r+');
  try {
    const bytes = Buffer.allocUnsafeSlow(segment.committedBytes);
    const end = await readFully(file, bytes, 0);
    for (let at = SEGMENT_HEADER_BYTES; at < end; ) {
      const place = { salt, position: at };
      const check = checkEntry(bytes, at, end, place);
      if (typeof check === 'string') {
        at = nextMagic(bytes, at + 1, end);
        continue;
      }
      const { found: header } = check;
      const next = at + ENTRY_HEADER_BYTES + header.length;
      const definition = index.streams.get(header.stream)?.definition;
      if (definition?.sensor === sensor) {
        const body = bytes.subarray(at + ENTRY_HEADER_BYTES, next);
        const left = header.kind === ENTRY_KIND.data ? gapFor(header, body) : undefined;
        const defined =
          header.kind === ENTRY_KIND.define && fill(body, JSON.stringify(definitionText(bareOf(definition))));
        if (left !== undefined) {
          erased.records += header.records;
          erased.bytes += header.length;
        }
        if (left !== undefined || defined) {
          sealEntry(bytes, at, left ?? header, place);
          const whole = bytes.subarray(at, next);
          await file.write(whole, 0, whole.length, at);
        }
      }
      at = next;
    }
    await file.datasync();
    return erased;
  } finally {
    await file.close();
  }
}

/** What takes the place of data (docs/journal.md, rule 31): it still counts as so many items. */
function gapFor(header: EntryHeader, body: Buffer): EntryHeader {
  const to = header.offset + header.length;
  fill(body, JSON.stringify({ from: header.offset, to, why: 'erased' }));
  return { ...header, kind: ENTRY_KIND.gap, flags: 0, offset: to };
}

/** Fills an entry's body with JSON and spaces; where it has no room, with JSON that says nothing. @returns whether it has changed */
function fill(body: Buffer, text: string): boolean {
  const filled = Buffer.alloc(body.length, ' ');
  filled.write([text, '{}', '0'].find((json) => Buffer.byteLength(json) <= body.length) ?? '');
  if (filled.equals(body)) return false;
  filled.copy(body);
  return true;
}

function bareOf({ metaHeader: _, ...definition }: StreamDefinition): StreamDefinition {
  return { ...definition, preamble: NO_BYTES };
}

function without(index: SegmentIndex, sensor: SensorId): SegmentIndex {
  for (const [number, stream] of index.streams) {
    if (stream.definition.sensor !== sensor) continue;
    index.streams.set(number, { ...stream, definition: bareOf(stream.definition), bytes: 0 });
  }
  return index;
}

function bare(open: readonly OpenStream[], sensor: SensorId): OpenStream[] {
  return open.map((stream) =>
    stream.definition.sensor === sensor ? { ...stream, definition: bareOf(stream.definition) } : stream,
  );
}
