import { D4Error } from '@d4ts/protocol';

interface Waiting {
  readonly begin: () => void;
  readonly refuse: (error: D4Error) => void;
}

/** Bounds how much work is under way at a time; what waits is done in order of arrival. */
export class Slots {
  readonly #limit: number;
  #running = 0;
  #refusedFor: string | undefined;
  #waiting: Waiting[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Refuses what waits and all that comes, for this reason, until it is called again with undefined. */
  refuse(reason: string | undefined): void {
    this.#refusedFor = reason;
    if (reason === undefined) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { refuse } of waiting) refuse(new D4Error('D4_DISK_FULL', reason));
  }

  /** Runs `work` as soon as there is a slot. @throws D4Error `D4_DISK_FULL` where nothing is begun */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#refusedFor !== undefined) throw new D4Error('D4_DISK_FULL', this.#refusedFor);
    if (this.#running < this.#limit) this.#running += 1;
    else await new Promise<void>((begin, refuse) => this.#waiting.push({ begin, refuse }));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next.begin();
    }
  }
}
