import type { SensorId } from '@d4ts/protocol';
import type { Logger } from 'pino';
import type { Registry } from '../registry/port.ts';

/** A preamble that changes again and again is saved so often at the most, in ms. */
const SAVE_MS = 1_000;

interface Noted {
  preamble: Buffer;
  savedAt: number;
  isSaved: boolean;
}

/**
 * What the streams of each sensor and topic had as preamble last, durable: a later stream may go on without it
 * (docs/journal.md, rule 35).
 */
export class EarlierPreambles {
  readonly #registry: Pick<Registry, 'loadProgress' | 'saveProgress'>;
  readonly #log: Logger;
  /** Those that changed lately, by role. */
  readonly #noted = new Map<string, Noted>();

  constructor(registry: Pick<Registry, 'loadProgress' | 'saveProgress'>, log: Logger) {
    this.#registry = registry;
    this.#log = log;
  }

  /** The preamble of an earlier stream, if there was one. */
  of(sensor: SensorId, topic: string): Buffer | undefined {
    const role = roleOf(sensor, topic);
    const noted = this.#noted.get(role);
    if (noted !== undefined) return noted.preamble;
    const text = this.#registry.loadProgress(role) ?? '';
    return text === '' ? undefined : Buffer.from(text, 'base64');
  }

  /** A stream has another preamble now. @param now monotonic, ms */
  note(sensor: SensorId, topic: string, preamble: Buffer, now: number): void {
    if (preamble.length === 0 || this.of(sensor, topic)?.equals(preamble)) return;
    const role = roleOf(sensor, topic);
    const noted = this.#noted.get(role) ?? { preamble, savedAt: Number.NEGATIVE_INFINITY, isSaved: false };
    noted.preamble = preamble;
    noted.isSaved = false;
    this.#noted.set(role, noted);
    if (now - noted.savedAt >= SAVE_MS) this.#save(role, noted, now);
  }

  /** Saves what was too early to be saved, and forgets what is as it was saved. */
  tick(now: number): void {
    for (const [role, noted] of this.#noted) {
      if (now - noted.savedAt < SAVE_MS) continue;
      if (noted.isSaved) this.#noted.delete(role);
      else this.#save(role, noted, now);
    }
  }

  /** Saves the rest. */
  stop(): void {
    this.tick(Number.POSITIVE_INFINITY);
  }

  /** Forgets those of a sensor that is no longer registered. */
  forget(sensor: SensorId, topics: Iterable<string>): void {
    for (const topic of topics) {
      const role = roleOf(sensor, topic);
      const isKnown = this.#noted.delete(role) || (this.#registry.loadProgress(role) ?? '') !== '';
      if (isKnown) void this.#write(role, '');
    }
  }

  #save(role: string, noted: Noted, now: number): void {
    noted.savedAt = now;
    noted.isSaved = true;
    void this.#write(role, noted.preamble.toString('base64')).then((written) => {
      if (!written) noted.isSaved = false;
    });
  }

  async #write(role: string, text: string): Promise<boolean> {
    try {
      await this.#registry.saveProgress(role, text);
      return true;
    } catch (error) {
      this.#log.error({ err: error, role }, "a stream's preamble cannot be saved: trying again");
      return false;
    }
  }
}

function roleOf(sensor: SensorId, topic: string): string {
  return `preamble ${topic} ${sensor}`;
}
