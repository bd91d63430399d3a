import type { Sensor } from './port.ts';

/** A key that holds. */
export interface SensorKey {
  /** latin1 text of the key's bytes */
  readonly key: string;
  /** Whether it was replaced, and holds for a while only. */
  readonly isPrevious: boolean;
}

/** The keys that hold for a sensor: its own, and during a replacement the one before. @param now ms since 1970 */
export function keysOf(sensor: Pick<Sensor, 'key' | 'previousKey' | 'previousKeyUntil'>, now: number): SensorKey[] {
  const { key, previousKey, previousKeyUntil = 0 } = sensor;
  const current = { key, isPrevious: false };
  return previousKey === undefined || previousKeyUntil <= now
    ? [current]
    : [current, { key: previousKey, isPrevious: true }];
}
