import type { SensorId } from '@d4ts/protocol';

/** The shortest and longest time that a sensor must be heard before it is said to be back, in ms. */
const SHORTEST_HOLD_MS = 60_000;
const LONGEST_HOLD_MS = 6 * 3_600_000;
/** Who was not silent for so long begins anew. */
const CALM_MS = 24 * 3_600_000;
/** Doubles the time so often at the most. */
const MAX_FLAPS = 16;

/** What was said last of a sensor, and since when it is otherwise. */
export interface ReportedSensor {
  /** Said to be silent, and not said to be back. */
  reported: boolean;
  /** Since when it is heard again; undefined while it is silent. */
  heardSince: number | undefined;
  /** How often it fell silent in the last day. */
  flaps: number;
  lastSilentAt: number;
}

/**
 * Decides what is news. A sensor is said to be silent once; it is said to be back when it was heard for its expected
 * interval without a break (a minute at least), and for twice as long each time it falls silent again within a day. Pure.
 */
export class FlapSuppression {
  readonly #sensors: Map<SensorId, ReportedSensor>;

  constructor(saved: Iterable<[SensorId, ReportedSensor]> = []) {
    this.#sensors = new Map(saved);
  }

  /**
   * @param silent those that are silent now
   * @param intervalOf the expected interval in ms; undefined for a sensor that is not watched (any more)
   * @returns who has become silent, and who is back
   */
  update(
    silent: ReadonlySet<SensorId>,
    intervalOf: (sensor: SensorId) => number | undefined,
    now: number,
  ): { fallen: SensorId[]; back: SensorId[] } {
    const fallen: SensorId[] = [];
    const back: SensorId[] = [];
    for (const sensor of silent) {
      const known = this.#sensors.get(sensor);
      if (known !== undefined && known.heardSince === undefined) continue;
      const flaps = known === undefined || now - known.lastSilentAt > CALM_MS ? 0 : known.flaps + 1;
      if (known?.reported !== true) fallen.push(sensor);
      this.#sensors.set(sensor, { reported: true, heardSince: undefined, flaps, lastSilentAt: now });
    }
    for (const [sensor, state] of this.#sensors) {
      if (silent.has(sensor)) continue;
      const interval = intervalOf(sensor);
      if (interval === undefined) {
        this.#sensors.delete(sensor);
        continue;
      }
      state.heardSince ??= now;
      const hold = Math.min(
        Math.max(interval, SHORTEST_HOLD_MS) * 2 ** Math.min(state.flaps, MAX_FLAPS),
        LONGEST_HOLD_MS,
      );
      if (state.reported && now - state.heardSince >= hold) {
        state.reported = false;
        back.push(sensor);
      }
      if (!state.reported && now - state.lastSilentAt > CALM_MS) this.#sensors.delete(sensor);
    }
    return { fallen, back };
  }

  /** To be saved. */
  entries(): [SensorId, ReportedSensor][] {
    return [...this.#sensors];
  }
}
