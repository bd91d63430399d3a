import type { SensorId } from '@d4ts/protocol';
import type { Registry, Sensor } from '../../registry/port.ts';

/** A watched sensor that has sent nothing for longer than expected. */
export interface SilentSensor {
  readonly sensor: Sensor;
  /** Its last verified frame; 0 where there never was one. ms since 1970 */
  readonly lastSeen: number;
}

/**
 * Which watched sensors are silent. While the server was down nothing could come, so an interval counts from its start
 * at the earliest.
 */
export class Silence {
  readonly #registry: Pick<Registry, 'sensors' | 'activity'>;
  readonly #startedAt: number;
  readonly #now: () => number;

  /** @param startedAt when the server was ready, ms since 1970 */
  constructor(registry: Pick<Registry, 'sensors' | 'activity'>, startedAt: number, now: () => number = Date.now) {
    this.#registry = registry;
    this.#startedAt = startedAt;
    this.#now = now;
  }

  /** Their uuids. */
  silent(): SensorId[] {
    return this.find().map(({ sensor }) => sensor.uuid);
  }

  find(): SilentSensor[] {
    const now = this.#now();
    const found: SilentSensor[] = [];
    for (const [, { value: sensor }] of this.#registry.sensors.entries()) {
      const { expectedIntervalSeconds } = sensor;
      if (expectedIntervalSeconds === undefined || sensor.state !== 'approved') continue;
      const lastSeen = this.#registry.activity.find(sensor.uuid)?.lastSeen ?? 0;
      const since = Math.max(lastSeen, sensor.createdAt, this.#startedAt);
      if (now - since > expectedIntervalSeconds * 1_000) found.push({ sensor, lastSeen });
    }
    return found;
  }
}
