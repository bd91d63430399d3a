import {
  type FrameHeader,
  type HmacScratch,
  isVersion4,
  type RefusalCode,
  type SensorId,
  sensorIdBytes,
} from '@d4ts/protocol';
import type { Sensor } from '../registry/port.ts';
import { SensorKeys } from './sensor-keys.ts';

/** What admission asks the registry. Every answer holds for the moment only. */
export interface AdmissionFacts {
  sensor(id: SensorId): Sensor | undefined;
  isBlocked(id: SensorId): boolean;
  /** Whether a topic (a wire type's number or a meta type's name) is accepted. */
  accepts(topic: string): boolean;
}

/** How the server admits sensors. */
export interface AdmissionPolicy {
  readonly mode: 'registration' | 'shared-secret';
  /** latin1 text of the key's bytes; for sensors without a key of their own in shared-secret mode. */
  readonly defaultKey: string | undefined;
  readonly maxPayloadBytes: number;
  readonly scratch: HmacScratch;
}

/** A refusal, as the sensor's state or as something that was only claimed (design.md, Security). */
export interface Refusal {
  readonly code: RefusalCode;
  readonly sensor: SensorId | undefined;
  /** Whether a frame of this sensor was verified that shows the reason. */
  readonly verified: boolean;
  /** The wire type of the frame, where one was seen. */
  readonly type: number | undefined;
}

/** The sensor that a header names, if its frames' HMACs are right. */
export interface Candidate {
  readonly id: SensorId;
  readonly uuid: Buffer;
  /** Undefined for a sensor that would register itself. */
  readonly sensor: Sensor | undefined;
  readonly keys: SensorKeys;
  readonly maxPayloadBytes: number;
}

/** Judges headers and what stands behind them, in the order of admission. Pure: it reads the registry and nothing else. */
export class Admission {
  readonly facts: AdmissionFacts;
  readonly #policy: AdmissionPolicy;

  constructor(facts: AdmissionFacts, policy: AdmissionPolicy) {
    this.facts = facts;
    this.#policy = policy;
  }

  /** What can be said from a connection's first header alone, before any of its payload is held. */
  judgeHeader(header: FrameHeader): Candidate | Refusal {
    const id = header.sensor;
    const claimed = (code: RefusalCode): Refusal => ({ code, sensor: id, verified: false, type: header.type });
    if (!isVersion4(id)) return claimed('uuid-not-v4');
    if (this.facts.isBlocked(id)) return claimed('blocked-uuid');
    const candidate = this.candidate(id);
    if (candidate === undefined) return claimed('not-registered');
    if (header.size <= candidate.maxPayloadBytes) return candidate;
    // Too large to be held, and so never to be verified.
    return claimed(this.standing(candidate.sensor, header.type) ?? 'size-over-limit');
  }

  /** The keys and limit of a sensor; undefined where it is not registered and cannot register itself. */
  candidate(id: SensorId): Candidate | undefined {
    const { scratch } = this.#policy;
    const sensor = this.facts.sensor(id);
    const key = this.#keyOf(sensor);
    if (key === undefined) return undefined;
    const maxPayloadBytes = sensor?.maxPayloadBytes ?? this.#policy.maxPayloadBytes;
    return { id, uuid: sensorIdBytes(id), sensor, keys: new SensorKeys(key, scratch), maxPayloadBytes };
  }

  /** Why a sensor, whose frame may be right, cannot send this type. */
  standing(sensor: Sensor | undefined, type: number): RefusalCode | undefined {
    if (sensor?.state === 'pending' || sensor?.state === 'revoked') return sensor.state;
    return this.facts.accepts(String(type)) ? undefined : 'type-not-accepted';
  }

  /** In shared-secret mode the default key is for those that have none of their own, and for them alone. */
  #keyOf(sensor: Sensor | undefined): string | undefined {
    const { mode, defaultKey } = this.#policy;
    const hasOwn = sensor !== undefined && sensor.key !== '' && !sensor.unproven;
    return mode === 'shared-secret' && !hasOwn ? defaultKey : sensor?.key;
  }
}
