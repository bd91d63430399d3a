import type { RefusalCode, SensorId } from '@d4ts/protocol';
import type { SessionInfo } from '../ingest/port.ts';
import type { StreamPosition } from '../journal/port.ts';
import { bytesOfDay } from '../registry/activity.ts';
import type { ClaimedRefusal, RefusalCount, Sensor, Versioned } from '../registry/port.ts';
import type { ApiContext } from './api-context.ts';
import { archiveRulesView } from './archive-rules.ts';
import type { ClaimedRefusalView, SensorView } from './sensor-schemas.ts';
import { type SensorState, sensorState } from './sensor-state.ts';

/** A client that sends files has one for a moment each; more than this is a defect of its own. */
const MAX_OPEN_STREAMS = 100;

/**
 * Everything that is known of sensors at one moment: what was decided, what they did, and how they are now. Made for
 * one request; the live lists are read once, so that a list of thousands stays cheap.
 */
export class SensorViews {
  readonly #context: ApiContext;
  readonly #now: number;
  readonly #sessions: ReadonlyMap<SensorId, SessionInfo[]>;
  readonly #clones: ReadonlySet<SensorId>;
  /** Needed for whole views alone. */
  #streams: ReadonlyMap<SensorId, StreamPosition[]> | undefined;
  #claimed: ReadonlyMap<SensorId | undefined, ClaimedRefusal[]> | undefined;

  constructor(context: ApiContext) {
    this.#context = context;
    this.#now = context.now();
    this.#sessions = Map.groupBy(context.ingest.sessions(), (session) => session.sensor);
    this.#clones = new Set(context.ingest.suspectedClones());
  }

  /** The sensors with a session. */
  connected(): ReadonlySet<SensorId> {
    return new Set(this.#sessions.keys());
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

  /** Bytes that were read of it today (UTC). */
  bytesToday({ uuid }: Sensor): number {
    const activity = this.#context.registry.activity.find(uuid);
    return activity === undefined ? 0 : bytesOfDay(activity, this.#now);
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
      name: sensor.name ?? '',
      tags: [...(sensor.tags ?? [])],
      description: sensor.description,
      mail: sensor.mail,
      thirdParty: sensor.thirdParty,
      previousKeyUntil: previousKeyUntil(sensor, this.#now),
      unproven: sensor.unproven,
      maxPayloadBytes: sensor.maxPayloadBytes ?? null,
      maxBytesPerSecond: sensor.maxBytesPerSecond ?? null,
      maxBytesPerDay: sensor.maxBytesPerDay ?? null,
      expectedIntervalSeconds: sensor.expectedIntervalSeconds ?? null,
      acknowledgedOnly: sensor.acknowledgedOnly ?? false,
      hold: sensor.hold ?? false,
      ...archiveRulesView(sensor.archive),
      bytesToday: this.bytesToday(sensor),
      createdAt: sensor.createdAt,
      firstSeen: activity?.firstSeen || null,
      lastSeen: activity?.lastSeen || null,
      lastAddress: activity?.lastAddress || null,
      topics: Object.entries(activity?.topics ?? {}).map(([topic, counts]) => ({ topic, ...counts })),
      refusals: (Object.entries(activity?.refusals ?? {}) as [RefusalCode, RefusalCount][]).map(([code, refusal]) => ({
        code,
        ...refusal,
      })),
      claimedRefusals: this.#claimedOf(sensor).map(claimedRefusalView),
      sessions: this.#sessions.get(sensor.uuid) ?? [],
      openStreams: this.#streamsOf(sensor)
        .toSorted((a, b) => b.time - a.time)
        .slice(0, MAX_OPEN_STREAMS)
        .map(openStreamView),
    };
  }

  #streamsOf({ uuid }: Sensor): readonly StreamPosition[] {
    const { journal } = this.#context;
    this.#streams ??= Map.groupBy(
      journal.topics().flatMap((topic) => journal.get(topic)?.openStreams() ?? []),
      ({ definition }) => definition.sensor,
    );
    return this.#streams.get(uuid) ?? [];
  }

  #claimedOf({ uuid }: Sensor): readonly ClaimedRefusal[] {
    this.#claimed ??= Map.groupBy(this.#context.registry.activity.claimedRefusals(), ({ claimed }) => claimed);
    return this.#claimed.get(uuid) ?? [];
  }
}

function openStreamView({ definition, offset, time }: StreamPosition): SensorView['openStreams'][number] {
  const { id: stream, topic, acknowledged } = definition;
  return { stream, topic, offset, lastAt: time, previous: acknowledged?.previous ?? null };
}

function previousKeyUntil({ previousKeyUntil: until = 0 }: Sensor, now: number): number | null {
  return until > now ? until : null;
}

/** A claimed refusal as the interface shows it. */
export function claimedRefusalView(refusal: ClaimedRefusal): ClaimedRefusalView {
  return { ...refusal, claimed: refusal.claimed ?? null };
}
