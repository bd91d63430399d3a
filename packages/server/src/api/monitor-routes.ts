import { parseSensorId, type SensorId } from '@d4ts/protocol';
import { AT, DAY_MS, HOUR_MS } from '../monitor/ledger/measures.ts';
import { MINUTES } from '../monitor/rates/window.ts';
import type { ApiContext } from './api-context.ts';
import { notFound } from './api-errors.ts';
import {
  History,
  HistoryQuery,
  Overview,
  Rates,
  RatesQuery,
  SessionsQuery,
  SessionTimeline,
} from './monitor-schemas.ts';
import { overviewOf, ratesOf } from './overview.ts';
import type { ApiApp } from './route-types.ts';
import { UuidParam } from './schema-parts.ts';

const MINUTE_MS = 60_000;
const WEEK_MS = 7 * DAY_MS;

/** `/api/v1/rates`, `/overview`, `/sensors/{uuid}/history` and `…/sessions`: how much comes and came, and from where. */
export function monitorRoutes(app: ApiApp, context: ApiContext): void {
  const { registry, monitor } = context;
  const tags = ['monitoring'];

  app.get(
    '/overview',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'getOverview',
        summary: 'How everything is, and what needs attention',
        response: { 200: Overview },
      },
    },
    (_request, reply) => {
      reply.send(overviewOf(context));
    },
  );

  app.get(
    '/rates',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'getRates',
        summary: 'How much comes now (the mean of the last 5 seconds), and the last hour by minute',
        querystring: RatesQuery,
        response: { 200: Rates },
      },
    },
    ({ query }, reply) => {
      reply.send({ ...ratesOf(context), ...(query.sparklines === true && { sparklines: sparklinesOf(context) }) });
    },
  );

  app.get(
    '/sensors/:uuid/history',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'getSensorHistory',
        summary: 'What a sensor has sent: the last hour by minute, the last day by hour, the last 30 days by day (UTC)',
        params: UuidParam,
        querystring: HistoryQuery,
        response: { 200: History },
      },
    },
    async ({ params, query }) => {
      const uuid = parseSensorId(params.uuid);
      if (registry.sensors.get(uuid) === undefined) throw notFound(`no sensor ${uuid}`);
      const { range = 'day' } = query;
      return range === 'hour' ? lastHour(monitor, uuid) : fromLedger(context, uuid, range);
    },
  );

  app.get(
    '/sensors/:uuid/sessions',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'getSensorSessions',
        summary: 'When a sensor was connected, and from where',
        params: UuidParam,
        querystring: SessionsQuery,
        response: { 200: SessionTimeline },
      },
    },
    ({ params, query }, reply) => {
      const uuid = parseSensorId(params.uuid);
      if (registry.sensors.get(uuid) === undefined) throw notFound(`no sensor ${uuid}`);
      const to = query.to ?? context.now();
      const from = query.from ?? Math.max(0, to - WEEK_MS);
      reply.send({ from, to, items: context.sessions.of(uuid, from, to) });
    },
  );
}

function sparklinesOf({ registry, monitor }: ApiContext): Record<string, number[]> {
  const sparklines: Record<string, number[]> = {};
  for (const [, { value }] of registry.sensors.entries()) {
    const bytes = monitor.rates.sparkline(value.uuid);
    if (bytes !== undefined) sparklines[value.uuid] = bytes;
  }
  return sparklines;
}

function lastHour({ rates }: ApiContext['monitor'], uuid: SensorId): History {
  const start = (Math.floor(rates.second / 60) - MINUTES + 1) * MINUTE_MS;
  const topics = rates.sensorTopics(uuid).map(({ topic, minutes }) => ({ topic, ...minutes, records: [], files: [] }));
  return { uuid, range: 'hour', start, stepMs: MINUTE_MS, points: MINUTES, topics };
}

async function fromLedger({ monitor, now }: ApiContext, uuid: SensorId, range: 'day' | 'month'): Promise<History> {
  const [stepMs, points, by] = range === 'day' ? ([HOUR_MS, 24, 'hour'] as const) : ([DAY_MS, 30, 'day'] as const);
  const end = (Math.floor(now() / stepMs) + 1) * stepMs;
  const start = end - points * stepMs;
  const topics = new Map<string, History['topics'][number]>();
  const zeros = () => Array.from({ length: points }, () => 0);
  for (const { topic, row } of await monitor.ledger.rows({ sensor: uuid }, by, start, end)) {
    if (topic === '') continue;
    const known = topics.get(topic);
    const history = known ?? { topic, frames: zeros(), bytes: zeros(), records: zeros(), files: zeros() };
    topics.set(topic, history);
    const at = (row.start - start) / stepMs;
    history.frames[at] = row.values[AT.frames] ?? 0;
    history.bytes[at] = row.values[AT.bytes] ?? 0;
    history.records[at] = row.values[AT.records] ?? 0;
    history.files[at] = row.values[AT.archivedFiles] ?? 0;
  }
  return { uuid, range, start, stepMs, points, topics: [...topics.values()] };
}
