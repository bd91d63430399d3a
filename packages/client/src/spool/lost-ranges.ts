/** Why bytes that the client had are gone: the spool was full, or what it kept is damaged. */
export type LostCause = 'spool-full' | 'spool-damaged';

/** Bytes of a stream that the client had and has no more. */
export interface LostRange {
  /** Stream offsets. */
  readonly from: number;
  readonly to: number;
  readonly cause: LostCause;
}

/** The lost ranges of a stream that the server may not know of yet. They never overlap. */
export class LostRanges {
  #ranges: LostRange[] = [];

  constructor(ranges: readonly LostRange[] = []) {
    for (const range of [...ranges].sort((a, b) => a.from - b.from)) this.add(range);
  }

  get all(): readonly LostRange[] {
    return this.#ranges;
  }

  /** The range that holds `offset`. */
  at(offset: number): LostRange | undefined {
    return this.#ranges.find(({ from, to }) => from <= offset && offset < to);
  }

  /** Adds what of a range is not known yet; ranges of one cause that touch become one. */
  add(range: LostRange): void {
    let { from } = range;
    const added: LostRange[] = [];
    for (const known of this.#ranges.filter(({ from, to }) => from < range.to && to > range.from)) {
      if (from < known.from) added.push({ ...range, from, to: known.from });
      from = Math.max(from, known.to);
    }
    if (from < range.to) added.push({ ...range, from });
    const sorted = [...this.#ranges, ...added].sort((a, b) => a.from - b.from);
    this.#ranges = [];
    for (const each of sorted) {
      const last = this.#ranges.at(-1);
      if (last?.to === each.from && last.cause === each.cause) this.#ranges.splice(-1, 1, { ...last, to: each.to });
      else this.#ranges.push(each);
    }
  }

  /** Forgets what lies before `offset`. */
  forgetBefore(offset: number): void {
    this.#ranges = this.#ranges.filter(({ to }) => to > offset);
  }
}
