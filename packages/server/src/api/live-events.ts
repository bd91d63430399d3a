import type { RefusalCode } from '@d4ts/protocol';
import { Broadcast } from '../monitor/events/broadcast.ts';
import type { ApiContext } from './api-context.ts';
import { type Attention, attentionOf } from './attention.ts';
import { diskOf } from './overview.ts';
import { StateWatch } from './sensor-states.ts';

/** After the last client has gone, changes are followed for so long, for it may come back, in seconds. */
const LINGER_SECONDS = 60;
const BEAT_SECONDS = 15;
const RECENT_MS = 5_000;
const DISK_SECONDS = 5;
/** What does not follow from states is looked at so often. */
const ATTENTION_SECONDS = 2;
/** Large with many sensors: for who asks for it. */
export const SENSOR_RATES = 'sensor-rates';
/** Sensors that one event of changed states names. */
const MAX_CHANGES = 1_000;

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
  #states: StateWatch | undefined;
  #refusals: Partial<Record<RefusalCode, number>> | undefined;
  #said: Said = new Map();
  #sentQueues = '';
  #lonely = LINGER_SECONDS + 1;
  #seconds = 0;

  constructor(context: ApiContext) {
    this.#context = context;
    this.broadcast = new Broadcast(`${process.pid}.${context.server.startedAt.toString(36)}`, RECENT_MS);
    this.#stop = context.monitor.onTick(() => this.#tick());
  }

  /** What a client is told first. What changes from now on is told to it, though nobody has watched before. */
  hello(): object {
    this.#lonely = 0;
    this.#states ??= new StateWatch(this.#context);
    const { server, now } = this.#context;
    return { version: server.version, startedAt: server.startedAt, at: now(), rates: this.#rates() };
  }

  close(): void {
    this.#states?.close();
    this.#stop();
  }

  #tick(): void {
    this.#seconds += 1;
    this.#lonely = this.broadcast.clients > 0 ? 0 : this.#lonely + 1;
    if (this.#lonely > LINGER_SECONDS) {
      if (this.#states !== undefined) this.broadcast.interrupt();
      this.#states?.close();
      this.#states = undefined;
      this.#refusals = undefined;
      this.#said.clear();
      return;
    }
    if (this.broadcast.clients > 0) this.broadcast.send('rates', this.#rates(), { transient: true });
    if (this.broadcast.isWanted(SENSOR_RATES)) {
      this.broadcast.send(SENSOR_RATES, this.#sensorRates(), { transient: true, extra: SENSOR_RATES });
    }
    this.#sendStates();
    this.#sendRefusals();
    this.#sendKnocks();
    this.#sendPressure();
    if (this.#seconds % DISK_SECONDS === 0) this.#sendChanged('disk', diskOf(this.#context));
    if (this.#seconds % BEAT_SECONDS === 0) this.broadcast.beat();
  }

  /** Compact: sums and means for each second, rounded. Queues only where something moves or has moved. */
  #rates(): object {
    const { ingest, monitor, queues } = this.#context;
    const { rates } = monitor;
    const { total } = rates;
    const queueRates = queues.list().map(({ uuid, length }) => {
      const { in: came, out } = rates.queue(uuid);
      return [uuid, length, rounded(came), rounded(out)];
    });
    const text = JSON.stringify(queueRates);
    const queuesChanged = text !== this.#sentQueues;
    this.#sentQueues = text;
    return {
      at: rates.second * 1_000,
      frames: rounded(total.frames),
      bytes: Math.round(total.bytes),
      connections: ingest.connections,
      topics: Object.fromEntries(
        rates.topics().map(([topic, { frames, bytes }]) => [topic, [rounded(frames), Math.round(bytes)]]),
      ),
      ...(queuesChanged && { queues: queueRates }),
    };
  }

  #sensorRates(): object {
    const { rates } = this.#context.monitor;
    const sensors = rates.active().map(([uuid, { frames, bytes }]) => [uuid, [rounded(frames), Math.round(bytes)]]);
    return { at: rates.second * 1_000, sensors: Object.fromEntries(sensors) };
  }

  #sendStates(): void {
    const watch = this.#states ?? new StateWatch(this.#context);
    this.#states = watch;
    const changes = watch.look();
    const { states } = watch;
    if (changes.length > 0 || this.#seconds % ATTENTION_SECONDS === 0) {
      this.#sendAttention(attentionOf(this.#context, states, this.#context.monitor.silence.silent()));
    }
    if (changes.length === 0) return;
    this.broadcast.send('states', {
      changes: changes.slice(0, MAX_CHANGES).map(({ uuid, before, after }) => ({
        uuid,
        state: after?.state ?? null,
        refusedFor: after?.refusedFor ?? null,
        before: before?.state ?? null,
      })),
      more: Math.max(0, changes.length - MAX_CHANGES),
      total: states.size,
      byState: states.counts(),
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
