import { D4Error, type SensorId } from '@d4ts/protocol';
import type { Logger } from 'pino';
import type { Collection, Sensor } from '../registry/port.ts';

const HOUR_MS = 60 * 60 * 1000;

/** How many sensors may register themselves. */
export interface EnrolmentLimits {
  readonly enrolledPerHour: number;
  readonly enrolled: number;
}

/** Registers sensors that prove the default key in shared-secret mode: approved, but marked unproven; capped. */
export class Enrolment {
  readonly #sensors: Collection<Sensor>;
  readonly #key: string;
  readonly #limits: EnrolmentLimits;
  readonly #log: Logger;
  /** Sensors that are being written. */
  readonly #underWay = new Set<SensorId>();
  /** When the last ones came, oldest first; monotonic, ms. */
  #recent: number[] = [];

  constructor(sensors: Collection<Sensor>, key: string, limits: EnrolmentLimits, log: Logger) {
    this.#sensors = sensors;
    this.#key = key;
    this.#limits = limits;
    this.#log = log;
  }

  /**
   * Registers a sensor, unless there are too many.
   * @param now monotonic, ms
   * @returns whether it may send
   */
  enrol(id: SensorId, address: string, now: number): boolean {
    if (this.#underWay.has(id) || this.#sensors.get(id) !== undefined) return true;
    this.#recent = this.#recent.filter((at) => now - at < HOUR_MS);
    if (this.#recent.length >= this.#limits.enrolledPerHour || this.#count() >= this.#limits.enrolled) return false;
    this.#recent.push(now);
    void this.#register(id, address);
    return true;
  }

  #count(): number {
    let count = this.#underWay.size;
    for (const [, { value }] of this.#sensors.entries()) if (value.unproven) count += 1;
    return count;
  }

  async #register(id: SensorId, address: string): Promise<void> {
    const sensor: Sensor = {
      uuid: id,
      key: this.#key,
      state: 'approved',
      description: '',
      mail: '',
      thirdParty: false,
      unproven: true,
      createdAt: Date.now(),
    };
    this.#underWay.add(id);
    try {
      await this.#sensors.put(id, sensor, { name: 'server', address }, 0);
      this.#log.info({ sensor: id, address }, 'a sensor has registered itself with the default key');
    } catch (error) {
      const known = error instanceof D4Error && error.code === 'D4_CONFLICT';
      if (!known) this.#log.error({ err: error, sensor: id, address }, 'cannot register a sensor');
    } finally {
      this.#underWay.delete(id);
    }
  }
}
