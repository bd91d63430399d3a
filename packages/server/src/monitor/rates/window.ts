/** "Now" is the mean of so many whole seconds. */
const WINDOW_SECONDS = 5;
export const MINUTES = 60;

/** Frames and bytes, or what else comes in two counts. */
export interface Pair {
  readonly frames: number;
  readonly bytes: number;
}

/**
 * What came in the last seconds and in each of the last 60 minutes. Nothing has to be done while nothing comes: slots
 * know which second and minute they are of.
 */
export class RateWindow {
  readonly #seconds = new Float64Array(WINDOW_SECONDS * 3);
  readonly #minutes = new Float64Array(MINUTES * 3);

  /** Adds what came in a second. @param second since 1970 */
  add(frames: number, bytes: number, second: number): void {
    put(this.#seconds, second, WINDOW_SECONDS, frames, bytes);
    put(this.#minutes, Math.floor(second / 60), MINUTES, frames, bytes);
  }

  /** For each second, of the whole seconds up to and with this one. */
  rate(second: number): Pair {
    let frames = 0;
    let bytes = 0;
    for (let slot = 0; slot < WINDOW_SECONDS * 3; slot += 3) {
      const at = this.#seconds[slot] ?? 0;
      if (at <= second - WINDOW_SECONDS || at > second) continue;
      frames += this.#seconds[slot + 1] ?? 0;
      bytes += this.#seconds[slot + 2] ?? 0;
    }
    return { frames: frames / WINDOW_SECONDS, bytes: bytes / WINDOW_SECONDS };
  }

  /** Each of the 60 minutes up to and with that of `second`, the oldest first. */
  minutes(second: number): { frames: number[]; bytes: number[] } {
    const last = Math.floor(second / 60);
    const frames: number[] = [];
    const bytes: number[] = [];
    for (let minute = last - MINUTES + 1; minute <= last; minute += 1) {
      const slot = (minute % MINUTES) * 3;
      const isHeld = this.#minutes[slot] === minute;
      frames.push(isHeld ? (this.#minutes[slot + 1] ?? 0) : 0);
      bytes.push(isHeld ? (this.#minutes[slot + 2] ?? 0) : 0);
    }
    return { frames, bytes };
  }

  /** Whether nothing came in the last 60 minutes. */
  isIdle(second: number): boolean {
    const last = Math.floor(second / 60);
    for (let slot = 0; slot < MINUTES; slot += 1) if ((this.#minutes[slot * 3] ?? 0) > last - MINUTES) return false;
    return true;
  }
}

function put(slots: Float64Array, at: number, length: number, frames: number, bytes: number): void {
  const slot = (at % length) * 3;
  if (slots[slot] !== at) {
    slots[slot] = at;
    slots[slot + 1] = 0;
    slots[slot + 2] = 0;
  }
  slots[slot + 1] = (slots[slot + 1] ?? 0) + frames;
  slots[slot + 2] = (slots[slot + 2] ?? 0) + bytes;
}
