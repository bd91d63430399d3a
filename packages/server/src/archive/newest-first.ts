import type { Entry } from '../journal/port.ts';

/** Entries that are looked for at a time, at first and at least. */
const LEAST_WINDOW = 64;
/** Entries held at most: where more were found at a time, fewer are looked for. */
const MAX_HELD = 1_024;
const READ_BYTES = 64 * 1024;

/** Reads entries forward, from a sequence on; no more than about `maxBytes`. */
export type ForwardReader = (sequence: number, maxBytes: number) => Promise<Entry[]>;

/**
 * Reads entries backward, through a reader that goes forward and may leave most of them out: the windows in which it
 * looks grow where there is nothing, and shrink where there is much.
 */
export class NewestFirst {
  readonly #read: ForwardReader;
  /** The lowest sequence that is wanted. */
  readonly #lowest: number;
  /** Entries from here on were given out, or are in `#block`. */
  #before: number;
  #window = LEAST_WINDOW;
  /** In ascending order. */
  #block: Entry[] = [];

  /** @param range sequences: `lowest` and those above it, `before` not */
  constructor(read: ForwardReader, range: { readonly lowest: number; readonly before: number }) {
    this.#read = read;
    this.#lowest = range.lowest;
    this.#before = range.before;
  }

  /** The next entry, which stays until it is taken; undefined at the end. */
  async peek(): Promise<Entry | undefined> {
    while (this.#block.length === 0 && this.#before > this.#lowest) await this.#fill();
    return this.#block.at(-1);
  }

  /** Goes behind the entry that `peek` gave. */
  take(): void {
    this.#block.pop();
  }

  async #fill(): Promise<void> {
    const start = Math.max(this.#lowest, this.#before - this.#window);
    const found = await this.#between(start, this.#before);
    if (found === undefined) {
      this.#window = Math.max(LEAST_WINDOW, Math.floor(this.#window / 16));
      return;
    }
    if (found.length < LEAST_WINDOW) this.#window *= 2;
    this.#before = start;
    this.#block = found;
  }

  /** Entries of a range; undefined where they are too many, and the range can be smaller. */
  async #between(start: number, end: number): Promise<Entry[] | undefined> {
    const found: Entry[] = [];
    for (let at = start; at < end; ) {
      const entries = await this.#read(at, READ_BYTES);
      const last = entries.at(-1);
      if (last === undefined) break;
      for (const entry of entries) if (entry.sequence < end) found.push(entry);
      if (found.length > MAX_HELD && this.#window > LEAST_WINDOW) return undefined;
      at = last.sequence + 1;
    }
    return found;
  }
}
