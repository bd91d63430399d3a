import { joinLines, lineEnds } from '../formats/line-run.ts';

const NEWLINE = 0x0a;
/** Single items are put together up to about this many bytes. */
const RUN_BYTES = 64 * 1024;

/** Items one behind the other, a newline behind each: several that have no newline in them, or one of any bytes. */
export interface ItemRun {
  readonly bytes: Buffer;
  readonly count: number;
}

/**
 * Items taken together, as they lie in the journal: whoever hands on lines need not look at each of them. Items by
 * themselves are made only where somebody asks for them.
 */
export class ItemRuns {
  readonly runs: readonly ItemRun[];
  readonly count: number;
  /** Of the items, without what is between them. */
  readonly bytes: number;
  #items: readonly Buffer[] | undefined;

  constructor(runs: readonly ItemRun[]) {
    this.runs = runs;
    this.count = runs.reduce((sum, { count }) => sum + count, 0);
    this.bytes = runs.reduce((sum, { bytes }) => sum + bytes.length, 0) - this.count;
  }

  /** Puts items together that stand by themselves. */
  static of(items: readonly Buffer[]): ItemRuns {
    const runs: ItemRun[] = [];
    let lines: Buffer[] = [];
    let bytes = 0;
    const end = () => {
      if (lines.length > 0) runs.push({ bytes: joinLines(lines), count: lines.length });
      lines = [];
      bytes = 0;
    };
    for (const item of items) {
      const isLine = !item.includes(NEWLINE);
      if (!isLine || bytes + item.length > RUN_BYTES) end();
      if (isLine) {
        lines.push(item);
        bytes += item.length + 1;
      } else runs.push({ bytes: joinLines([item]), count: 1 });
    }
    end();
    return new ItemRuns(runs);
  }

  get items(): readonly Buffer[] {
    this.#items ??= this.runs.flatMap(itemsOfRun);
    return this.#items;
  }
}

/** What was taken together from a queue: it is kept for a crash, and given back, as one. */
export type Taken = readonly Buffer[] | ItemRuns;

/** The items of what was taken, the oldest first. */
export function itemsOf(taken: Taken): readonly Buffer[] {
  return taken instanceof ItemRuns ? taken.items : taken;
}

/** Views of the items of a run. */
function itemsOfRun({ bytes, count }: ItemRun): Buffer[] {
  if (count === 1) return [bytes.subarray(0, -1)];
  let start = 0;
  return lineEnds(bytes).map((end) => {
    const item = bytes.subarray(start, end - 1);
    start = end;
    return item;
  });
}

/** Whether these records are lines of which none is empty, so that they are a run of items as they are. */
export function isRun(bytes: Buffer): boolean {
  return bytes[0] !== NEWLINE && bytes[bytes.length - 1] === NEWLINE && !bytes.includes('\n\n', 0, 'latin1');
}
