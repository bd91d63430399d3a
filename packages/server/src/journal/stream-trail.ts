import { crc32 } from 'node:zlib';
import type { EntryHeader } from './entry-format.ts';
import { ENTRY_FLAG, ENTRY_KIND, type StreamDefinition } from './port.ts';
import type { OpenStream } from './segment-index.ts';

/** What a segment says of an acknowledged stream's end. */
interface Trail {
  readonly definition: StreamDefinition;
  readonly definedAt: number;
  offset: number;
  crc: number | undefined;
  within: string | undefined;
  fragmentFrom: number | undefined;
  time: number;
  /** Whether more than a `cut` was seen. */
  hasMoved: boolean;
}

/**
 * Follows the acknowledged streams through the entries of a segment, to know where they stand behind the last one:
 * after a crash nobody has written that down (docs/journal.md, rule 13).
 */
export class StreamTrails {
  readonly #trails = new Map<number, Trail>();

  /** The next entry of the segment; a `define` with its definition. */
  take(header: EntryHeader, body: Buffer, definition: StreamDefinition | undefined): void {
    const { stream: number, sequence, offset, time } = header;
    if (definition !== undefined) {
      if (definition.acknowledged === undefined) return;
      const { crc } = definition.acknowledged;
      const start = { offset, crc, within: undefined, fragmentFrom: undefined, time, hasMoved: false };
      this.#trails.set(number, { definition, definedAt: sequence, ...start });
      return;
    }
    const trail = this.#trails.get(number);
    if (trail === undefined) return;
    trail.time = time;
    if (header.kind === ENTRY_KIND.data) this.#takeData(trail, header, body);
    else if (header.kind === ENTRY_KIND.gap) {
      const gap = gapIn(body);
      trail.crc = gap.crc;
      trail.within = gap.within;
      trail.fragmentFrom = undefined;
      trail.offset = offset;
      trail.hasMoved = true;
    }
  }

  #takeData(trail: Trail, { offset, flags, sequence }: EntryHeader, body: Buffer): void {
    // What is missing before it was damaged.
    const follows = offset === trail.offset;
    trail.crc = follows && trail.crc !== undefined ? crc32(body, trail.crc) : undefined;
    trail.within = undefined;
    if ((flags & ENTRY_FLAG.first) !== 0) trail.fragmentFrom = sequence;
    else if ((flags & ENTRY_FLAG.middle) === 0) trail.fragmentFrom = undefined;
    trail.offset = offset + body.length;
    trail.hasMoved = true;
  }

  /** The streams whose last entries are here, the later one where a stream was defined twice. */
  ends(): Map<string, OpenStream> {
    const ends = new Map<string, OpenStream>();
    for (const trail of this.#trails.values()) {
      if (!trail.hasMoved) continue;
      const { definition, definedAt, offset, crc, within, fragmentFrom, time } = trail;
      const state = { crc, within, preamble: definition.preamble };
      ends.set(definition.id, {
        definition,
        offset,
        last: { state, preambleFrom: definedAt, fragmentFrom, time },
      });
    }
    return ends;
  }
}

/** What a gap says beside its range; nothing where it was not written for an acknowledged stream. */
function gapIn(body: Buffer): { crc: number | undefined; within: string | undefined } {
  const gap = JSON.parse(body.toString('utf8')) as { crc?: unknown; within?: unknown };
  return {
    crc: typeof gap.crc === 'number' ? gap.crc : undefined,
    within: typeof gap.within === 'string' ? gap.within : undefined,
  };
}
