/** An item that was pushed from outside, and its place: after everything that was committed at that moment. */
export interface SideItem {
  /** The first sequence that was not committed then. */
  readonly sequence: number;
  /** How many items of the queue's source lie before that place. */
  readonly ordinal: number;
  readonly item: Buffer;
  /** The item in base64, as it is saved. */
  readonly saved: string;
}

/**
 * A queue's items from outside, the oldest first, each between the items of the journal that came before and after it
 * (docs/journal.md, rule 24). Places are counted from the oldest item of the queue, given-back ones apart.
 */
export class SideList {
  #items: SideItem[] = [];
  #bytes = 0;

  get length(): number {
    return this.#items.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The oldest one. */
  get first(): SideItem | undefined {
    return this.#items[0];
  }

  get items(): readonly SideItem[] {
    return this.#items;
  }

  push(item: SideItem): void {
    this.#items.push(item);
    this.#bytes += item.item.length;
  }

  /** Takes the oldest `count`. */
  shift(count: number): void {
    for (const { item } of this.#items.splice(0, count)) this.#bytes -= item.length;
  }

  /**
   * How many of them are among the oldest `count` of the queue's items.
   * @param ordinal of the journal's next item
   */
  within(count: number, ordinal: number): number {
    let low = 0;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const place = Math.max(0, (this.#items[middle] as SideItem).ordinal - ordinal) + middle;
      if (place < count) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
