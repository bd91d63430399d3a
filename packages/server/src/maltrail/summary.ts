import type { SensorId } from '@d4ts/protocol';
import { SEVERITIES, type Severity } from '../formats/maltrail-event.ts';
import type { ThreatStore } from './threat-store.ts';

const DAY_MS = 86_400_000;

/** Numbers of events, by severity. */
export type BySeverity = Record<Severity, number>;

/** What was found in some days (UTC). */
export interface Summary {
  /** ms since 1970: the beginning of the first day, and the end of the last. */
  readonly from: number;
  readonly to: number;
  readonly events: number;
  readonly bySeverity: BySeverity;
  /** Those with the most events first. */
  readonly byType: readonly { readonly type: string; readonly events: number }[];
  readonly bySensor: readonly { readonly sensor: SensorId; readonly events: number }[];
  /** In order; days without events are left out. */
  readonly byDay: readonly ({ readonly start: number; readonly events: number } & BySeverity)[];
}

/** Adds up the events of the days that a time range touches. @param from to ms since 1970 */
export function summaryOf(store: ThreatStore, from: number, to: number): Summary {
  const first = Math.floor(from / DAY_MS);
  const last = Math.max(first, Math.ceil(to / DAY_MS) - 1);
  const bySeverity = none();
  const types = new Map<string, number>();
  const sensors = new Map<SensorId, number>();
  const days = new Map<number, BySeverity>();
  for (const { day, sensor, severity, type, events } of store.days(first, last)) {
    const name = SEVERITIES[severity] ?? 'medium';
    bySeverity[name] += events;
    types.set(type, (types.get(type) ?? 0) + events);
    sensors.set(sensor, (sensors.get(sensor) ?? 0) + events);
    const ofDay = days.get(day) ?? none();
    ofDay[name] += events;
    days.set(day, ofDay);
  }
  return {
    from: first * DAY_MS,
    to: (last + 1) * DAY_MS,
    events: sum(bySeverity),
    bySeverity,
    byType: mostFirst(types).map(([type, events]) => ({ type, events })),
    bySensor: mostFirst(sensors).map(([sensor, events]) => ({ sensor, events })),
    byDay: [...days]
      .sort(([a], [b]) => a - b)
      .map(([day, counts]) => ({ start: day * DAY_MS, events: sum(counts), ...counts })),
  };
}

function none(): BySeverity {
  return { low: 0, medium: 0, high: 0 };
}

function sum({ low, medium, high }: BySeverity): number {
  return low + medium + high;
}

function mostFirst<K>(counts: ReadonlyMap<K, number>): [K, number][] {
  return [...counts].sort(([, a], [, b]) => b - a);
}
