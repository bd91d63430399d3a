import type { SensorId } from '@d4ts/protocol';
import type { Activity } from '../../registry/port.ts';
import { type Pair, RateWindow } from './window.ts';

/** A queue's counters, as far as rates need them. */
export interface RatedQueue {
  readonly uuid: string;
  readonly topic: string;
  readonly length: number;
  readonly taken: number;
  readonly dropped: number;
  readonly flushed: number;
}

/** Items of a queue each second: that came, and that left it, however. */
export interface QueueRate {
  readonly in: number;
  readonly out: number;
}

interface Followed {
  frames: number;
  bytes: number;
  /** Undefined while nothing came for an hour. */
  window: RateWindow | undefined;
}

interface FollowedQueue {
  length: number;
  left: number;
  readonly in: RateWindow;
  readonly out: RateWindow;
}

const NOTHING: Pair = { frames: 0, bytes: 0 };
/** How often windows of what has been idle for an hour are let go, in seconds. */
const FORGET_SECONDS = 600;

/**
 * How much comes now, and came in each minute of the last hour: of each sensor and topic, of each topic, of all, and of
 * each queue. Made from counters that others keep, once each second, whoever looks.
 */
export class Rates {
  readonly #activity: Activity;
  readonly #sensors = new Map<SensorId, Map<string, Followed>>();
  readonly #topics = new Map<string, RateWindow>();
  readonly #total = new RateWindow();
  readonly #queues = new Map<string, FollowedQueue>();
  /** Sensors of which frames came in the window. */
  readonly #active = new Map<SensorId, number>();
  #second: number;
  #forgotAt: number;

  /** @param now ms since 1970; what was counted before does not count */
  constructor(activity: Activity, now: number) {
    this.#activity = activity;
    this.#second = Math.floor(now / 1_000);
    this.#forgotAt = this.#second;
    for (const [sensor, { topics }] of activity.entries()) {
      for (const topic in topics) {
        const { frames = 0, bytes = 0 } = topics[topic] ?? {};
        this.#follow(sensor, topic, frames, bytes);
      }
    }
  }

  /** Takes over what came since it was last called; to be called each second. @param now ms since 1970 */
  tick(now: number, queues: readonly RatedQueue[]): void {
    const second = Math.floor(now / 1_000);
    this.#second = second;
    for (const [sensor, { topics }] of this.#activity.entries()) {
      for (const topic in topics) {
        const counts = topics[topic];
        if (counts !== undefined) this.#take(sensor, topic, counts.frames, counts.bytes);
      }
    }
    for (const queue of queues) this.#takeQueue(queue);
    if (second - this.#forgotAt >= FORGET_SECONDS) this.#forget(queues);
  }

  /** The second (since 1970) that `now` values are as of. */
  get second(): number {
    return this.#second;
  }

  get total(): Pair {
    return this.#total.rate(this.#second);
  }

  get totalMinutes(): { frames: number[]; bytes: number[] } {
    return this.#total.minutes(this.#second);
  }

  /** Topics of which something came in the last hour. */
  topics(): [topic: string, rate: Pair][] {
    return [...this.#topics].map(([topic, window]) => [topic, window.rate(this.#second)]);
  }

  /** Sensors that are sending, with all their topics together. */
  active(): [sensor: SensorId, rate: Pair][] {
    const sensors: [SensorId, Pair][] = [];
    for (const sensor of this.#active.keys()) {
      const rate = this.sensor(sensor);
      if (rate.frames === 0 && rate.bytes === 0) this.#active.delete(sensor);
      else sensors.push([sensor, rate]);
    }
    return sensors;
  }

  /** All topics of a sensor together. */
  sensor(sensor: SensorId): Pair {
    let frames = 0;
    let bytes = 0;
    for (const { window } of this.#sensors.get(sensor)?.values() ?? []) {
      const rate = window?.rate(this.#second) ?? NOTHING;
      frames += rate.frames;
      bytes += rate.bytes;
    }
    return { frames, bytes };
  }

  /** Each topic of a sensor: now, and the last hour by minute. */
  sensorTopics(sensor: SensorId): { topic: string; now: Pair; minutes: { frames: number[]; bytes: number[] } }[] {
    return [...(this.#sensors.get(sensor) ?? [])].flatMap(([topic, { window }]) =>
      window === undefined ? [] : [{ topic, now: window.rate(this.#second), minutes: window.minutes(this.#second) }],
    );
  }

  /** Bytes of each of the last 60 minutes, all topics together; undefined where there were none. */
  sparkline(sensor: SensorId): number[] | undefined {
    const all = this.sensorTopics(sensor).map(({ minutes }) => minutes.bytes);
    const [first] = all;
    const sums = first?.map((_, minute) => all.reduce((sum, bytes) => sum + (bytes[minute] ?? 0), 0));
    return sums?.some((bytes) => bytes > 0) === true ? sums : undefined;
  }

  queue(uuid: string): QueueRate {
    const queue = this.#queues.get(uuid);
    if (queue === undefined) return { in: 0, out: 0 };
    return { in: queue.in.rate(this.#second).frames, out: queue.out.rate(this.#second).frames };
  }

  #follow(sensor: SensorId, topic: string, frames: number, bytes: number): Followed {
    const topics = this.#sensors.get(sensor) ?? new Map<string, Followed>();
    this.#sensors.set(sensor, topics);
    const followed: Followed = { frames, bytes, window: undefined };
    topics.set(topic, followed);
    return followed;
  }

  #take(sensor: SensorId, topic: string, frames: number, bytes: number): void {
    const followed = this.#sensors.get(sensor)?.get(topic) ?? this.#follow(sensor, topic, 0, 0);
    const more = frames - followed.frames;
    const moreBytes = bytes - followed.bytes;
    if (more === 0 && moreBytes === 0) return;
    followed.frames = frames;
    followed.bytes = bytes;
    // A sensor that was removed begins anew.
    if (more < 0 || moreBytes < 0) return;
    followed.window ??= new RateWindow();
    followed.window.add(more, moreBytes, this.#second);
    this.#active.set(sensor, this.#second);
    this.#total.add(more, moreBytes, this.#second);
    const all = this.#topics.get(topic) ?? new RateWindow();
    this.#topics.set(topic, all);
    all.add(more, moreBytes, this.#second);
  }

  #takeQueue({ uuid, length, taken, dropped, flushed }: RatedQueue): void {
    const left = taken + dropped + flushed;
    const known = this.#queues.get(uuid);
    if (known === undefined) {
      this.#queues.set(uuid, { length, left, in: new RateWindow(), out: new RateWindow() });
      return;
    }
    const out = left - known.left;
    const came = length - known.length + out;
    known.length = length;
    known.left = left;
    // Items that were given back make `taken` smaller.
    if (out > 0) known.out.add(out, 0, this.#second);
    if (came > 0) known.in.add(came, 0, this.#second);
  }

  /** Lets go of sensors and queues that were removed, and of what was idle for an hour. */
  #forget(queues: readonly RatedQueue[]): void {
    this.#forgotAt = this.#second;
    for (const [sensor, topics] of this.#sensors) {
      if (this.#activity.find(sensor) === undefined) this.#sensors.delete(sensor);
      for (const each of topics.values()) if (each.window?.isIdle(this.#second) === true) each.window = undefined;
    }
    const uuids = new Set(queues.map(({ uuid }) => uuid));
    for (const uuid of this.#queues.keys()) if (!uuids.has(uuid)) this.#queues.delete(uuid);
    for (const [topic, window] of this.#topics) if (window.isIdle(this.#second)) this.#topics.delete(topic);
  }
}
