import type { SensorId } from '@d4ts/protocol';
import type { Activity, SensorActivity, TopicActivity } from '../registry/port.ts';

/** What a session has counted since its start. */
export interface SessionCounts {
  readonly frames: number;
  readonly streamFrames: number;
  readonly streamBytes: number;
  readonly records: number;
  readonly skippedBytes: number;
  readonly cutRecords: number;
}

const NOTHING: SessionCounts = {
  frames: 0,
  streamFrames: 0,
  streamBytes: 0,
  records: 0,
  skippedBytes: 0,
  cutRecords: 0,
};

/** Carries one session's counts over into its sensor's activity. */
export class ActivityMeter {
  readonly #activity: Activity;
  readonly #sensor: SensorId;
  readonly #struct: SensorActivity;
  #topic: TopicActivity | undefined;
  #counted = NOTHING;

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
      topics[topic] = {
        frames: 0,
        bytes: 0,
        records: 0,
        sessions: 0,
        skippedBytes: 0,
        cutRecords: 0,
        firstSeen: now,
        lastSeen: now,
      };
    }
    this.#topic = topics[topic];
    if (this.#topic !== undefined) this.#topic.sessions += 1;
    this.#activity.touch(this.#sensor);
  }

  /** Adds what is new. */
  update(counts: SessionCounts, now: number): void {
    const before = this.#counted;
    const { frames, streamFrames, records, skippedBytes } = counts;
    if (frames === before.frames && records === before.records && skippedBytes === before.skippedBytes) return;
    if (frames !== before.frames) this.#struct.lastSeen = now;
    const topic = this.#topic;
    if (topic !== undefined) {
      if (streamFrames !== before.streamFrames) topic.lastSeen = now;
      topic.frames += streamFrames - before.streamFrames;
      topic.bytes += counts.streamBytes - before.streamBytes;
      topic.records += records - before.records;
      topic.skippedBytes += skippedBytes - before.skippedBytes;
      topic.cutRecords += counts.cutRecords - before.cutRecords;
    }
    this.#counted = counts;
    this.#activity.touch(this.#sensor);
  }
}
