/** Bounds how much work is under way at a time; what waits is done in order of arrival. */
export class Slots {
  readonly #limit: number;
  #running = 0;
  #held = false;
  readonly #waiting: (() => void)[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Begins nothing more, or lets what waits go on. */
  hold(held: boolean): void {
    this.#held = held;
    while (!held && this.#running < this.#limit) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#running += 1;
      next();
    }
  }

  /** Runs `work` as soon as there is a slot. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#held || this.#running >= this.#limit) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
    try {
      return await work();
    } finally {
      const next = this.#held ? undefined : this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
