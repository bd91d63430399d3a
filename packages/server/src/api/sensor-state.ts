import type { RefusalCode } from '@d4ts/protocol';
import { bytesOfDay } from '../registry/activity.ts';
import type { Sensor, SensorActivity } from '../registry/port.ts';

/**
 * The one word for how a sensor is, by precedence: the first that holds. The same everywhere: lists, counts, pages,
 * commands.
 */
export const SENSOR_STATES = [
  /** Its uuid is blocked. */
  'blocked',
  'revoked',
  'pending',
  /** Two sessions of one type are both active (docs/journal.md, rule 33). */
  'cloned',
  /** Connected, but not read until the day (UTC) is over or it may send more: it has sent all that it may. */
  'over-quota',
  /** Connected, and a frame came within the last minute. */
  'receiving',
  /** Connected, but silent for longer. */
  'quiet',
  /** Not connected, and the last that was seen of it was a verified refusal. */
  'refused',
  'disconnected',
] as const;
export type SensorState = (typeof SENSOR_STATES)[number];

/** A connected sensor is `receiving` for so long after a frame, in ms. */
export const RECEIVING_MS = 60_000;

/** What the state follows from. */
export interface SensorFacts {
  readonly registration: Sensor['state'];
  readonly blocked: boolean;
  readonly suspectedClone: boolean;
  /** Time of the newest frame of its live sessions, ms since 1970; undefined without a session. */
  readonly lastFrameAt: number | undefined;
  readonly activity: SensorActivity | undefined;
  /** What it may send on a day, in bytes; undefined where that is not limited. */
  readonly maxBytesPerDay: number | undefined;
}

/** The state, and in `refused` the reason. */
export function sensorState(facts: SensorFacts, now: number): { state: SensorState; refusedFor?: RefusalCode } {
  if (facts.blocked) return { state: 'blocked' };
  if (facts.registration !== 'approved') return { state: facts.registration };
  if (facts.suspectedClone) return { state: 'cloned' };
  if (facts.lastFrameAt !== undefined) {
    const { activity, maxBytesPerDay = Number.POSITIVE_INFINITY } = facts;
    if (activity !== undefined && bytesOfDay(activity, now) >= maxBytesPerDay) return { state: 'over-quota' };
    return { state: now - facts.lastFrameAt <= RECEIVING_MS ? 'receiving' : 'quiet' };
  }
  const refusal = latestRefusal(facts.activity);
  return refusal === undefined ? { state: 'disconnected' } : { state: 'refused', refusedFor: refusal };
}

/** The reason of the latest verified refusal, if nothing good came after it. */
function latestRefusal(activity: SensorActivity | undefined): RefusalCode | undefined {
  let latest: RefusalCode | undefined;
  let latestAt = activity?.lastSeen ?? 0;
  for (const [code, refusal] of Object.entries(activity?.refusals ?? {}) as [RefusalCode, { lastAt: number }][]) {
    if (refusal.lastAt < latestAt) continue;
    latest = code;
    latestAt = refusal.lastAt;
  }
  return latest;
}

/** How many sensors are in each state; every state is named. */
export function countByState(states: Iterable<SensorState>): Record<SensorState, number> {
  const counts = Object.fromEntries(SENSOR_STATES.map((state) => [state, 0])) as Record<SensorState, number>;
  for (const state of states) counts[state]++;
  return counts;
}
