import type { RefusalCode, SensorId } from '@d4ts/protocol';
import type { Sensor } from '../registry/port.ts';
import type { ApiContext } from './api-context.ts';
import { SENSOR_STATES, type SensorState } from './sensor-state.ts';
import { SensorViews } from './sensor-view.ts';

/** A sensor's state, and in `refused` the reason. */
export interface StateOf {
  readonly state: SensorState;
  readonly refusedFor?: RefusalCode;
}

/** A sensor's state that is another one than before; undefined before it was registered, and after it was removed. */
export interface StateChange {
  readonly uuid: SensorId;
  readonly before: StateOf | undefined;
  readonly after: StateOf | undefined;
}

/** The states of all sensors, and who is in each. */
export class SensorStates {
  readonly #states = new Map<SensorId, StateOf>();
  readonly #members = new Map(SENSOR_STATES.map((state) => [state, new Set<SensorId>()]));
  readonly #unproven = new Set<SensorId>();

  get size(): number {
    return this.#states.size;
  }

  /** Registered by themselves, with the default key. */
  get unproven(): readonly SensorId[] {
    return [...this.#unproven];
  }

  /** The sensors in a state. */
  in(state: SensorState): readonly SensorId[] {
    return [...(this.#members.get(state) ?? [])];
  }

  /** How many sensors are in each state; every state is named. */
  counts(): Record<SensorState, number> {
    const counts = [...this.#members].map(([state, { size }]) => [state, size]);
    return Object.fromEntries(counts) as Record<SensorState, number>;
  }

  /** Notes how a sensor is now; undefined where there is none. @returns the change, if it is one */
  note(uuid: SensorId, sensor: Sensor | undefined, after: StateOf | undefined): StateChange | undefined {
    const before = this.#states.get(uuid);
    if (sensor?.unproven === true) this.#unproven.add(uuid);
    else this.#unproven.delete(uuid);
    if (before?.state === after?.state && before?.refusedFor === after?.refusedFor) return undefined;
    if (before !== undefined) this.#members.get(before.state)?.delete(uuid);
    if (after === undefined) {
      this.#states.delete(uuid);
    } else {
      this.#states.set(uuid, after);
      this.#members.get(after.state)?.add(uuid);
    }
    return { uuid, before, after };
  }
}

/** The state of every sensor, as it is now. */
export function statesOf(context: ApiContext): SensorStates {
  const views = new SensorViews(context);
  const states = new SensorStates();
  for (const [, { value }] of context.registry.sensors.entries()) states.note(value.uuid, value, views.state(value));
  return states;
}

/**
 * Follows the states of all sensors. It looks at those alone that can have another state than before: who is connected or
 * was, whose document or block was changed, and all of them where somebody was refused.
 */
export class StateWatch {
  readonly states: SensorStates;
  readonly #context: ApiContext;
  readonly #touched = new Set<string>();
  readonly #stops: readonly (() => void)[];
  #connected: ReadonlySet<SensorId> = new Set();
  #refusals: number;

  constructor(context: ApiContext) {
    this.#context = context;
    const { sensors, blocks } = context.registry;
    const touch = ({ key }: { key: string }): void => void this.#touched.add(key);
    this.#stops = [sensors.watch(touch), blocks.watch(touch)];
    this.#refusals = this.#refused();
    this.states = statesOf(context);
    this.#connected = new SensorViews(context).connected();
  }

  /** What has changed since it was last called. */
  look(): StateChange[] {
    const { sensors } = this.#context.registry;
    const views = new SensorViews(this.#context);
    const connected = views.connected();
    const refusals = this.#refused();
    const all = refusals === this.#refusals ? [] : [...sensors.entries()].map(([key]) => key);
    const looked = new Set<string>([...connected, ...this.#connected, ...this.#touched, ...all]);
    this.#touched.clear();
    this.#connected = connected;
    this.#refusals = refusals;
    return [...looked].flatMap((key) => {
      const sensor = sensors.get(key)?.value;
      return this.states.note(key as SensorId, sensor, sensor && views.state(sensor)) ?? [];
    });
  }

  close(): void {
    for (const stop of this.#stops) stop();
  }

  #refused(): number {
    return Object.values(this.#context.registry.activity.refusalTotals()).reduce((sum, times) => sum + times, 0);
  }
}
