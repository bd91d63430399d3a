import {
  type FrameHeader,
  type HmacScratch,
  isVersion4,
  type RefusalCode,
  type SensorId,
  sensorIdBytes,
} from '@d4ts/protocol';
import type { Sensor } from '../registry/port.ts';
import { keysOf, type SensorKey } from '../registry/sensor-key.ts';
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
  /** Wall clock, ms since 1970, for keys that hold until a moment; the system's if not given. */
  readonly now?: () => number;
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
  /** The same, as they are registered. */
  readonly rawKeys: readonly SensorKey[];
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
    const { sensor: id, type } = header;
    const candidate = this.judgeClaim(id, type);
    if ('code' in candidate || header.size <= candidate.maxPayloadBytes) return candidate;
    // Too large to be held, and so never to be verified.
    const code = this.standing(candidate.sensor, type) ?? 'size-over-limit';
    return { code, sensor: id, verified: false, type };
  }

  /** What can be said of who a client claims to be. */
  judgeClaim(id: SensorId, type: number): Candidate | Refusal {
    const claimed = (code: RefusalCode): Refusal => ({ code, sensor: id, verified: false, type });
    if (!isVersion4(id)) return claimed('uuid-not-v4');
    if (this.facts.isBlocked(id)) return claimed('blocked-uuid');
    return this.candidate(id) ?? claimed('not-registered');
  }

  /** The keys and limit of a sensor; undefined where it is not registered and cannot register itself. */
  candidate(id: SensorId): Candidate | undefined {
    const { scratch } = this.#policy;
    const sensor = this.facts.sensor(id);
    const keys = this.#keysOf(sensor);
    if (keys.length === 0) return undefined;
    const maxPayloadBytes = sensor?.maxPayloadBytes ?? this.#policy.maxPayloadBytes;
    const uuid = sensorIdBytes(id);
    return { id, uuid, sensor, keys: new SensorKeys(keys, scratch), rawKeys: keys, maxPayloadBytes };
  }

  /** Why a sensor, whose frame or OPEN may be right, cannot send this type by that protocol. */
  standing(sensor: Sensor | undefined, type: number, protocol: 'v1' | 'acknowledged' = 'v1'): RefusalCode | undefined {
    if (sensor?.state === 'pending' || sensor?.state === 'revoked') return sensor.state;
    if (sensor?.acknowledgedOnly === true && protocol === 'v1') return 'acknowledged-only';
    return this.facts.accepts(String(type)) ? undefined : 'type-not-accepted';
  }

  /** In shared-secret mode the default key is for those that have none of their own, and for them alone. */
  #keysOf(sensor: Sensor | undefined): readonly SensorKey[] {
    const { mode, defaultKey, now = Date.now } = this.#policy;
    const hasOwn = sensor !== undefined && sensor.key !== '' && !sensor.unproven;
    if (mode === 'shared-secret' && !hasOwn) {
      return defaultKey === undefined ? [] : [{ key: defaultKey, isPrevious: false }];
    }
    return sensor === undefined ? [] : keysOf(sensor, now());
  }
}
