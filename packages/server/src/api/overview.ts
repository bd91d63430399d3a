import { ALL_SENSORS, NO_SENSOR } from '../monitor/ledger/ledger.ts';
import type { ApiContext } from './api-context.ts';
import { attentionOf } from './attention.ts';
import type { Overview, Rates } from './monitor-schemas.ts';
import { statesOf } from './sensor-states.ts';

const TOP = 10;

/** How much comes now: of all, by type, of each sensor that is sending, and of each queue. */
export function ratesOf({ monitor, queues }: Pick<ApiContext, 'monitor' | 'queues'>): Rates {
  const { rates } = monitor;
  return {
    at: rates.second * 1_000,
    total: rates.total,
    topics: rates.topics().map(([topic, rate]) => ({ topic, ...rate })),
    sensors: rates.active().map(([uuid, rate]) => ({ uuid, ...rate })),
    queues: queues.list().map(({ uuid, topic, length }) => ({ uuid, topic, length, ...rates.queue(uuid) })),
    minutes: rates.totalMinutes,
  };
}

/** What an operator wants to see first. */
export function overviewOf(context: ApiContext): Overview {
  const { monitor, registry, queues, archive, ingest, now } = context;
  const states = statesOf(context);
  const rates = ratesOf(context);
  const at = now();
  return {
    at,
    sensors: { total: registry.sensors.size, byState: states.counts() },
    sessions: ingest.sessions().length,
    rates: { total: rates.total, topics: rates.topics, minutes: rates.minutes },
    today: todayOf(context, at),
    queues: queues
      .list()
      .map(({ uuid, topic, description, length, limit }) => ({
        uuid,
        topic,
        description,
        length,
        limit,
        ...monitor.rates.queue(uuid),
      }))
      .sort((a, b) => b.in - b.out - (a.in - a.out) || b.length - a.length)
      .slice(0, TOP),
    disk: diskOf(context),
    archive: {
      paused: archive.status().paused,
      lagMs: Math.max(0, ...archive.status().topics.map(({ lag }) => lag)),
    },
    backPressure: ingest.backPressure(),
    attention: attentionOf(context, states, monitor.silence.silent()),
  };
}

/** How full the disks are, and when they will be. */
export function diskOf({ retention }: Pick<ApiContext, 'retention'>): Overview['disk'] {
  const { state, reason, disks, forecast } = retention.status();
  return {
    state,
    reason: reason ?? null,
    fullInDays: forecast.outcome === 'full' ? forecast.days : null,
    forecast: forecast.outcome,
    disks: disks.map(({ path, bytes, freeBytes, reserveBytes, state }) => ({
      path,
      bytes,
      freeBytes,
      reserveBytes,
      state,
    })),
  };
}

/** What came on this day (UTC): in all, by type, and of the sensors that sent most. */
function todayOf({ monitor, registry }: ApiContext, now: number): Overview['today'] {
  const { ledger } = monitor;
  ledger.takeOver();
  const sensors = new Map<string, { frames: number; bytes: number }>();
  const topics: { topic: string; frames: number; bytes: number }[] = [];
  for (const series of ledger.all()) {
    if (series.topic === '' || series.sensor === NO_SENSOR) continue;
    const { frames, bytes } = series.today(now);
    if (frames === 0) continue;
    if (series.sensor === ALL_SENSORS) {
      topics.push({ topic: series.topic, frames, bytes });
      continue;
    }
    const sum = sensors.get(series.sensor) ?? { frames: 0, bytes: 0 };
    sensors.set(series.sensor, { frames: sum.frames + frames, bytes: sum.bytes + bytes });
  }
  const byBytes = (a: { bytes: number }, b: { bytes: number }): number => b.bytes - a.bytes;
  return {
    frames: topics.reduce((sum, { frames }) => sum + frames, 0),
    bytes: topics.reduce((sum, { bytes }) => sum + bytes, 0),
    topics: topics.sort(byBytes).slice(0, TOP),
    sensors: [...sensors]
      .map(([uuid, counts]) => ({ uuid, ...counts }))
      .sort(byBytes)
      .slice(0, TOP)
      .map((sums) => {
        const { name = '', description = '' } = registry.sensors.get(sums.uuid)?.value ?? {};
        return { name, description, ...sums };
      }),
  };
}
