import type { SensorId } from '@d4ts/protocol';
import type { Activity, SensorActivity, TopicActivity } from '../registry/port.ts';

/** What a session has counted since its start. */
export interface SessionCounts {
  readonly frames: number;
  readonly streamFrames: number;
  readonly streamBytes: number;
  readonly records: number;
}

/** Carries one session's counts over into its sensor's activity. */
export class ActivityMeter {
  readonly #activity: Activity;
  readonly #sensor: SensorId;
  readonly #struct: SensorActivity;
  #topic: TopicActivity | undefined;
  #frames = 0;
  #streamFrames = 0;
  #streamBytes = 0;
  #records = 0;

  /** @param now wall clock, ms */
  constructor(activity: Activity, sensor: SensorId, address: string, now: number) {
    this.#activity = activity;
    this.#sensor = sensor;
    this.#struct = activity.sensor(sensor);
    if (this.#struct.firstSeen === 0) this.#struct.firstSeen = now;
    this.#struct.lastSeen = now;
    this.#struct.lastAddress = address;
    activity.touch(sensor);
  }

  /** The session's topic is known. */
  begin(topic: string, now: number): void {
    const { topics } = this.#struct;
    if (!Object.hasOwn(topics, topic)) {
      topics[topic] = { frames: 0, bytes: 0, records: 0, sessions: 0, firstSeen: now, lastSeen: now };
    }
    this.#topic = topics[topic];
    if (this.#topic !== undefined) this.#topic.sessions += 1;
    this.#activity.touch(this.#sensor);
  }

  /** Adds what is new. */
  update(counts: SessionCounts, now: number): void {
    if (counts.frames === this.#frames && counts.records === this.#records) return;
    if (counts.frames !== this.#frames) this.#struct.lastSeen = now;
    const topic = this.#topic;
    if (topic !== undefined) {
      if (counts.streamFrames !== this.#streamFrames) topic.lastSeen = now;
      topic.frames += counts.streamFrames - this.#streamFrames;
      topic.bytes += counts.streamBytes - this.#streamBytes;
      topic.records += counts.records - this.#records;
    }
    this.#frames = counts.frames;
    this.#streamFrames = counts.streamFrames;
    this.#streamBytes = counts.streamBytes;
    this.#records = counts.records;
    this.#activity.touch(this.#sensor);
  }
}
