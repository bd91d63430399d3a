import type { RefusalCode, SensorId } from '@d4ts/protocol';
import type { Activity, SensorActivity, TopicActivity } from '../../registry/port.ts';
import { type Ledger, NO_SENSOR, NO_TOPIC } from './ledger.ts';

/**
 * Takes over what the registry's counters have grown by. They only grow, and are saved each second for themselves: so
 * what a crash takes from the ledger is taken over at the next start. Where they are smaller than before, they begin anew
 * (the sensor was removed, or the counters were older than the ledger).
 */
export class ActivityCounts {
  readonly #ledger: Ledger;
  readonly #activity: Activity;
  readonly #now: () => number;
  /** Refusals that are in the ledger: of sensors, and of all that came. */
  readonly #refusals = new Map<SensorId, Refusals>();
  #totals: Refusals;

  constructor(ledger: Ledger, activity: Activity, now: () => number = Date.now) {
    this.#ledger = ledger;
    this.#activity = activity;
    this.#now = now;
    // Counts of refusals by reason are not compared over restarts: the last second of a killed server is lost.
    for (const [sensor, { refusals }] of activity.entries()) this.#refusals.set(sensor, countsOf(refusals));
    this.#totals = activity.refusalTotals();
    if (ledger.lastEnd === 'first') this.#beginHere();
    ledger.beforeSaving(() => this.takeOver());
  }

  takeOver(): void {
    const now = this.#now();
    const totals = this.#activity.refusalTotals();
    const unproved = difference(totals, this.#totals);
    this.#totals = totals;
    for (const [sensor, activity] of this.#activity.entries()) {
      for (const topic in activity.topics) {
        const counts = activity.topics[topic];
        if (counts !== undefined) this.#takeTopic(sensor, topic, counts, now);
      }
      const more = this.#takeRefusals(sensor, activity);
      for (const [code, count] of more) unproved.set(code, (unproved.get(code) ?? 0) - count);
      this.#addRefusals(sensor, more, now);
    }
    this.#addRefusals(NO_SENSOR, unproved, now);
  }

  /** A new ledger does not know when what was counted before it came. */
  #beginHere(): void {
    for (const [sensor, { topics }] of this.#activity.entries()) {
      for (const [topic, { frames, bytes, sessions }] of Object.entries(topics)) {
        const series = this.#ledger.series(sensor, topic);
        Object.assign(series.seen, { frames, bytes, sessions });
        this.#ledger.touched(series);
      }
    }
  }

  #takeTopic(sensor: SensorId, topic: string, counts: TopicActivity, now: number): void {
    const { frames, bytes, sessions, lastSeen } = counts;
    const series = this.#ledger.series(sensor, topic);
    const { seen } = series;
    if (frames === seen.frames && bytes === seen.bytes && sessions === seen.sessions) return;
    // After a restart: when it came, as well as that is known.
    const time = lastSeen > 0 ? Math.min(lastSeen, now) : now;
    this.#ledger.add(sensor, topic, 'frames', Math.max(0, frames - seen.frames), time);
    this.#ledger.add(sensor, topic, 'bytes', Math.max(0, bytes - seen.bytes), time);
    this.#ledger.add(sensor, topic, 'sessions', Math.max(0, sessions - seen.sessions), time);
    seen.frames = frames;
    seen.bytes = bytes;
    seen.sessions = sessions;
    this.#ledger.touched(series);
  }

  /** @returns how many refusals of the sensor are new, by reason */
  #takeRefusals(sensor: SensorId, { refusals }: SensorActivity): ReadonlyMap<string, number> {
    let isEmpty = true;
    for (const _ in refusals) isEmpty = false;
    if (isEmpty) return NOTHING;
    const counts = countsOf(refusals);
    const more = difference(counts, this.#refusals.get(sensor) ?? {});
    if (more.size > 0) this.#refusals.set(sensor, counts);
    return more;
  }

  #addRefusals(sensor: SensorId | typeof NO_SENSOR, more: ReadonlyMap<string, number>, now: number): void {
    for (const [reason, count] of more) {
      if (count <= 0) continue;
      this.#ledger.add(sensor, NO_TOPIC, 'refused', count, now);
      this.#ledger.addReason(sensor, NO_TOPIC, { kind: 'refused', reason, count, bytes: 0 }, now);
    }
  }
}

const NOTHING: ReadonlyMap<string, number> = new Map();

type Refusals = Partial<Record<RefusalCode, number>>;

function countsOf(refusals: SensorActivity['refusals']): Refusals {
  const counts: Refusals = {};
  for (const code in refusals) counts[code as RefusalCode] = refusals[code as RefusalCode]?.count ?? 0;
  return counts;
}

/** By reason, where it is not the same; fewer than before is a new beginning. */
function difference(now: Refusals, before: Refusals): Map<string, number> {
  const more = new Map<string, number>();
  for (const code in now) {
    const known = code as RefusalCode;
    const change = (now[known] ?? 0) - (before[known] ?? 0);
    if (change !== 0) more.set(code, change < 0 ? (now[known] ?? 0) : change);
  }
  return more;
}
