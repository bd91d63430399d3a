/** Where records begin in the part of a stream that is in memory: some of the places, in order. */
export class BoundaryTrail {
  /** The stream's start is one. */
  #offsets: number[] = [0];

  /** Adds a place behind all others. */
  add(offset: number): void {
    if (offset > (this.#offsets.at(-1) ?? -1)) this.#offsets.push(offset);
  }

  has(offset: number): boolean {
    return this.#offsets[this.#countUpTo(offset) - 1] === offset;
  }

  /** The last place behind `after` and not behind `upTo`. */
  lastIn(after: number, upTo: number): number | undefined {
    const found = this.#offsets[this.#countUpTo(upTo) - 1];
    return found !== undefined && found > after ? found : undefined;
  }

  /** Forgets the places before `offset`. */
  forgetBefore(offset: number): void {
    const before = this.#countUpTo(offset - 1);
    // Not each time: moving the rest costs more than keeping it.
    if (before > 1024 || before > this.#offsets.length / 2) this.#offsets.splice(0, before);
  }

  #countUpTo(offset: number): number {
    let low = 0;
    let high = this.#offsets.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#offsets[middle] as number) <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
