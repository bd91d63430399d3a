import type { RefusalCode, SensorId } from '@d4ts/protocol';
import { Broadcast } from '../monitor/events/broadcast.ts';
import type { ApiContext } from './api-context.ts';
import { type Attention, attentionOf } from './attention.ts';
import { diskOf, ratesOf, statesOf } from './overview.ts';
import { countByState } from './sensor-state.ts';

/** After the last client has gone, changes are followed for so long, for it may come back, in seconds. */
const LINGER_SECONDS = 60;
const BEAT_SECONDS = 15;
const DISK_SECONDS = 5;
/** Sensors that one event of changed states names. */
const MAX_CHANGES = 1_000;

interface StateOf {
  readonly state: string;
  readonly refusedFor?: string;
}

/** What an event says of it, as text: to see whether it has changed. */
type Said = Map<'attention' | 'pressure' | 'disk' | 'knocks', string>;

/**
 * What changes, each second, for everybody who watches: worked out once. While nobody does (and a minute after), nothing
 * is worked out.
 */
export class LiveEvents {
  readonly broadcast: Broadcast;
  readonly #context: ApiContext;
  readonly #stop: () => void;
  #states: Map<SensorId, StateOf> | undefined;
  #refusals: Partial<Record<RefusalCode, number>> | undefined;
  #said: Said = new Map();
  #sentQueues = '';
  #lonely = LINGER_SECONDS + 1;
  #seconds = 0;

  constructor(context: ApiContext) {
    this.#context = context;
    this.broadcast = new Broadcast(`${process.pid}.${context.server.startedAt.toString(36)}`);
    this.#stop = context.monitor.onTick(() => this.#tick());
  }

  /** What a client is told first. */
  hello(): object {
    const { server, now } = this.#context;
    return { version: server.version, startedAt: server.startedAt, at: now(), rates: this.#rates() };
  }

  close(): void {
    this.#stop();
  }

  #tick(): void {
    this.#seconds += 1;
    this.#lonely = this.broadcast.clients > 0 ? 0 : this.#lonely + 1;
    if (this.#lonely > LINGER_SECONDS) {
      if (this.#states !== undefined) this.broadcast.interrupt();
      this.#states = undefined;
      this.#refusals = undefined;
      this.#said.clear();
      return;
    }
    if (this.broadcast.clients > 0) this.broadcast.send('rates', this.#rates(), { transient: true });
    this.#sendStates();
    this.#sendRefusals();
    this.#sendKnocks();
    this.#sendPressure();
    if (this.#seconds % DISK_SECONDS === 0) this.#sendChanged('disk', diskOf(this.#context));
    if (this.#seconds % BEAT_SECONDS === 0) this.broadcast.beat();
  }

  /** Compact: sums and means for each second, rounded. Queues only where something moves or has moved. */
  #rates(): object {
    const { at, total, topics, sensors, queues } = ratesOf(this.#context);
    const { ingest } = this.#context;
    const queueRates = queues.map(({ uuid, length, in: came, out }) => [uuid, length, rounded(came), rounded(out)]);
    const text = JSON.stringify(queueRates);
    const queuesChanged = text !== this.#sentQueues;
    this.#sentQueues = text;
    return {
      at,
      frames: rounded(total.frames),
      bytes: Math.round(total.bytes),
      connections: ingest.connections,
      topics: Object.fromEntries(
        topics.map(({ topic, frames, bytes }) => [topic, [rounded(frames), Math.round(bytes)]]),
      ),
      sensors: Object.fromEntries(
        sensors.map(({ uuid, frames, bytes }) => [uuid, [rounded(frames), Math.round(bytes)]]),
      ),
      ...(queuesChanged && { queues: queueRates }),
    };
  }

  #sendStates(): void {
    const before = this.#states;
    const states = statesOf(this.#context);
    this.#states = states;
    const words = new Map([...states].map(([uuid, { state }]) => [uuid as string, state]));
    this.#sendAttention(attentionOf(this.#context, words, this.#context.monitor.silence.silent()));
    if (before === undefined) return;
    const changes: object[] = [];
    for (const [uuid, { state, refusedFor }] of states) {
      const was = before.get(uuid);
      if (was?.state === state && was.refusedFor === refusedFor) continue;
      changes.push({ uuid, state, refusedFor: refusedFor ?? null, before: was?.state ?? null });
    }
    for (const [uuid, was] of before) {
      if (!states.has(uuid)) changes.push({ uuid, state: null, refusedFor: null, before: was.state });
    }
    if (changes.length === 0) return;
    const more = Math.max(0, changes.length - MAX_CHANGES);
    this.broadcast.send('states', {
      changes: changes.slice(0, MAX_CHANGES),
      more,
      total: states.size,
      byState: countByState(words.values()),
    });
  }

  #sendAttention(attention: readonly Attention[]): void {
    this.#sendChanged('attention', attention);
  }

  /** How often for each reason, since the last such event. */
  #sendRefusals(): void {
    const totals = this.#context.registry.activity.refusalTotals();
    const before = this.#refusals;
    this.#refusals = totals;
    if (before === undefined) return;
    const more: Record<string, number> = {};
    for (const code in totals) {
      const known = code as RefusalCode;
      const count = (totals[known] ?? 0) - (before[known] ?? 0);
      if (count > 0) more[code] = count;
    }
    if (Object.keys(more).length > 0) this.broadcast.send('refusals', more);
  }

  #sendKnocks(): void {
    const knocks = this.#context.registry.activity.knocks();
    const [latest] = knocks;
    const text = latest === undefined ? '' : `${knocks.length} ${latest.lastAt} ${latest.uuid} ${latest.count}`;
    const said = this.#said.get('knocks');
    this.#said.set('knocks', text);
    if (said !== undefined && said !== text)
      this.broadcast.send('knocks', { count: knocks.length, latest: latest ?? null });
  }

  #sendPressure(): void {
    this.#sendChanged('pressure', this.#context.ingest.backPressure());
  }

  #sendChanged(event: 'attention' | 'pressure' | 'disk', data: unknown): void {
    const text = JSON.stringify(data);
    const said = this.#said.get(event);
    if (said === text) return;
    this.#said.set(event, text);
    this.broadcast.send(event, data, { transient: event !== 'attention' });
  }
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}
