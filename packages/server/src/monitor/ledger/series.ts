import { AT, DAY_MS, HOUR_MS, hourOf, MEASURES, type Measure, type ReasonCount, type ReasonKind } from './measures.ts';

const HOURS_PER_DAY = DAY_MS / HOUR_MS;

/** What an hour has added to a series and is not saved yet. */
export interface PendingHour {
  readonly hour: number;
  readonly values: Float64Array<ArrayBuffer>;
  /** By kind and reason. */
  readonly reasons: Map<string, ReasonCount>;
}

/** A series at one moment, on its way into the database. */
export interface SeriesSnapshot {
  readonly series: Series;
  readonly totals: Float64Array<ArrayBuffer>;
  readonly seen: Seen;
  readonly hours: readonly PendingHour[];
}

/** What the registry's counters said when they were last taken over. */
export interface Seen {
  frames: number;
  bytes: number;
  sessions: number;
}

/** One sensor's counts of one topic: in all, of today, and what is not saved yet. */
export class Series {
  readonly sensor: string;
  readonly topic: string;
  /** In the database; undefined until it is saved for the first time. */
  id: number | undefined;
  /** Of all time. */
  readonly totals: Float64Array<ArrayBuffer> = new Float64Array(MEASURES.length);
  readonly seen: Seen = { frames: 0, bytes: 0, sessions: 0 };
  /** Streams that have begun and not ended. */
  open = 0;
  #pending: PendingHour[] = [];
  /** What is saved of the last hour that was. */
  savedHour: { readonly hour: number; readonly counts: readonly number[] } | undefined;
  #today = { day: 0, frames: 0, bytes: 0 };

  constructor(sensor: string, topic: string) {
    this.sensor = sensor;
    this.topic = topic;
  }

  /** @param time ms since 1970 */
  add(measure: Measure, value: number, time: number): void {
    if (value === 0) return;
    const index = AT[measure];
    const { values } = this.#hour(hourOf(time));
    values[index] = (values[index] ?? 0) + value;
    this.totals[index] = (this.totals[index] ?? 0) + value;
    if (measure === 'frames' || measure === 'bytes') this.addToday(measure, value, time);
  }

  addReason(kind: ReasonKind, reason: string, count: number, bytes: number, time: number): void {
    this.#addTo(this.#hour(hourOf(time)), { kind, reason, count, bytes });
  }

  addToday(measure: 'frames' | 'bytes', value: number, time: number): void {
    const day = Math.floor(hourOf(time) / HOURS_PER_DAY);
    if (day > this.#today.day) this.#today = { day, frames: 0, bytes: 0 };
    if (day === this.#today.day) this.#today[measure] += value;
  }

  /** Verified frames and bytes of the day (UTC) of a time. */
  today(now: number): { frames: number; bytes: number } {
    const { day, frames, bytes } = this.#today;
    return day === Math.floor(hourOf(now) / HOURS_PER_DAY) ? { frames, bytes } : { frames: 0, bytes: 0 };
  }

  total(measure: Measure): number {
    return this.totals[AT[measure]] ?? 0;
  }

  /** What is to be saved; what comes from now on is for the next time. */
  takeSnapshot(): SeriesSnapshot {
    const hours = this.#pending;
    this.#pending = [];
    return { series: this, totals: this.totals.slice(), seen: { ...this.seen }, hours };
  }

  /** What was taken could not be saved. */
  putBack(hours: readonly PendingHour[]): void {
    for (const { hour, values, reasons } of hours) {
      const now = this.#hour(hour);
      for (const [at, value] of values.entries()) now.values[at] = (now.values[at] ?? 0) + value;
      for (const of of reasons.values()) this.#addTo(now, of);
    }
  }

  #addTo({ reasons }: PendingHour, { kind, reason, count, bytes }: ReasonCount): void {
    const key = `${kind} ${reason}`;
    const before = reasons.get(key);
    reasons.set(key, { kind, reason, count: (before?.count ?? 0) + count, bytes: (before?.bytes ?? 0) + bytes });
  }

  #hour(hour: number): PendingHour {
    const last = this.#pending.at(-1);
    if (last?.hour === hour) return last;
    const found = this.#pending.find((each) => each.hour === hour);
    if (found !== undefined) return found;
    const made = { hour, values: new Float64Array(MEASURES.length), reasons: new Map() };
    this.#pending.push(made);
    return made;
  }
}
