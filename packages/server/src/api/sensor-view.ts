import type { RefusalCode, SensorId } from '@d4ts/protocol';
import type { SessionInfo } from '../ingest/port.ts';
import { bytesOfDay } from '../registry/activity.ts';
import type { ClaimedRefusal, RefusalCount, Sensor, Versioned } from '../registry/port.ts';
import type { ApiContext } from './api-context.ts';
import type { ClaimedRefusalView, SensorView } from './schemas.ts';
import { type SensorState, sensorState } from './sensor-state.ts';

/**
 * Everything that is known of sensors at one moment: what was decided, what they did, and how they are now. Made for
 * one request; the live lists are read once, so that a list of thousands stays cheap.
 */
export class SensorViews {
  readonly #context: ApiContext;
  readonly #now: number;
  readonly #sessions: ReadonlyMap<SensorId, SessionInfo[]>;
  readonly #clones: ReadonlySet<SensorId>;
  readonly #claimed: ReadonlyMap<SensorId | undefined, ClaimedRefusal[]>;

  constructor(context: ApiContext) {
    this.#context = context;
    this.#now = context.now();
    this.#sessions = Map.groupBy(context.ingest.sessions(), (session) => session.sensor);
    this.#clones = new Set(context.ingest.suspectedClones());
    this.#claimed = Map.groupBy(context.registry.activity.claimedRefusals(), (refusal) => refusal.claimed);
  }

  /** The state word, and in `refused` the reason. */
  state(sensor: Sensor): { state: SensorState; refusedFor?: RefusalCode } {
    const { registry } = this.#context;
    const sessions = this.#sessions.get(sensor.uuid);
    return sensorState(
      {
        registration: sensor.state,
        blocked: registry.blocks.get(sensor.uuid) !== undefined,
        suspectedClone: this.#clones.has(sensor.uuid),
        lastFrameAt: sessions && Math.max(...sessions.map((session) => session.lastFrameAt)),
        activity: registry.activity.find(sensor.uuid),
        maxBytesPerDay: sensor.maxBytesPerDay,
      },
      this.#now,
    );
  }

  /** The sensor as the interface shows it: without its key. */
  view({ value: sensor, revision }: Versioned<Sensor>): SensorView {
    const activity = this.#context.registry.activity.find(sensor.uuid);
    const { state, refusedFor = null } = this.state(sensor);
    return {
      uuid: sensor.uuid,
      revision,
      state,
      refusedFor,
      registration: sensor.state,
      description: sensor.description,
      mail: sensor.mail,
      thirdParty: sensor.thirdParty,
      unproven: sensor.unproven,
      maxPayloadBytes: sensor.maxPayloadBytes ?? null,
      maxBytesPerSecond: sensor.maxBytesPerSecond ?? null,
      maxBytesPerDay: sensor.maxBytesPerDay ?? null,
      bytesToday: activity === undefined ? 0 : bytesOfDay(activity, this.#now),
      createdAt: sensor.createdAt,
      firstSeen: activity?.firstSeen || null,
      lastSeen: activity?.lastSeen || null,
      lastAddress: activity?.lastAddress || null,
      topics: Object.entries(activity?.topics ?? {}).map(([topic, counts]) => ({ topic, ...counts })),
      refusals: (Object.entries(activity?.refusals ?? {}) as [RefusalCode, RefusalCount][]).map(([code, refusal]) => ({
        code,
        ...refusal,
      })),
      claimedRefusals: (this.#claimed.get(sensor.uuid) ?? []).map(claimedRefusalView),
      sessions: this.#sessions.get(sensor.uuid) ?? [],
    };
  }
}

/** A claimed refusal as the interface shows it. */
export function claimedRefusalView(refusal: ClaimedRefusal): ClaimedRefusalView {
  return { ...refusal, claimed: refusal.claimed ?? null };
}
