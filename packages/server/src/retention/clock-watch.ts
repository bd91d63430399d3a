/** A jump of more than this makes ages mean nothing (docs/journal.md, rule 18). */
const JUMP_MS = 60 * 60 * 1000;

/** What of the watch is kept over a restart. */
export interface ClockPause {
  /** By how much the clock has jumped, in ms; negative: back. */
  readonly jumpMs: number;
  /** When, by the clock after the jump, ms since 1970. */
  readonly at: number;
}

/**
 * Compares the wall clock with one that does not jump, nor stand still while the machine sleeps. After a jump of more
 * than an hour, age rules pause until the clock is back where it was, or somebody says that it is right.
 */
export class ClockWatch {
  #offset: number | undefined;
  #pause: ClockPause | undefined;

  /** @param pause of before a restart */
  constructor(pause: ClockPause | undefined) {
    this.#pause = pause;
  }

  get pause(): ClockPause | undefined {
    return this.#pause;
  }

  /**
   * Looks at both clocks.
   * @param wall ms since 1970
   * @param steady ms from any moment
   * @returns whether the pause has changed
   */
  look(wall: number, steady: number): boolean {
    const offset = wall - steady;
    const jumpMs = offset - (this.#offset ?? offset);
    this.#offset = offset;
    if (Math.abs(jumpMs) <= JUMP_MS) return false;
    const all = (this.#pause?.jumpMs ?? 0) + jumpMs;
    this.#pause = Math.abs(all) <= JUMP_MS ? undefined : { jumpMs: all, at: wall };
    return true;
  }

  /** The clock is right as it is. @returns whether that changes anything */
  accept(): boolean {
    const paused = this.#pause !== undefined;
    this.#pause = undefined;
    return paused;
  }
}
