import type { SensorId } from '@d4ts/protocol';

/**
 * What later streams of a sensor and topic must know of the ones that have ended: whether those are in the journal yet
 * (docs/journal.md, rule 21), and whether the last one broke off in mid-record (rule 35).
 */
export class StreamEndings {
  readonly #unfinished = new Map<string, Promise<void>>();
  readonly #brokenOff = new Set<string>();

  /** A stream has ended; `finished` is resolved when it is committed. */
  ended(sensor: SensorId, topic: string, finished: Promise<void>): void {
    const key = `${sensor} ${topic}`;
    const before = this.#unfinished.get(key);
    const all = (before === undefined ? finished : Promise.all([before, finished]).then(() => undefined)).then(() => {
      if (this.#unfinished.get(key) === all) this.#unfinished.delete(key);
    });
    this.#unfinished.set(key, all);
  }

  /** Resolved when all streams that have ended are committed; undefined if they are. */
  unfinished(sensor: SensorId, topic: string): Promise<void> | undefined {
    return this.#unfinished.get(`${sensor} ${topic}`);
  }

  /** A stream that had records has ended, within one or not. */
  noteBreak(sensor: SensorId, topic: string, brokenOff: boolean): void {
    const key = `${sensor} ${topic}`;
    if (brokenOff) this.#brokenOff.add(key);
    else this.#brokenOff.delete(key);
  }

  /** Whether the last stream broke off; answered once. */
  takeBreak(sensor: SensorId, topic: string): boolean {
    return this.#brokenOff.delete(`${sensor} ${topic}`);
  }

  /** Forgets a sensor that is no longer registered. */
  forget(sensor: SensorId): void {
    for (const key of this.#brokenOff) if (key.startsWith(sensor)) this.#brokenOff.delete(key);
  }
}
