import { parseSensorId } from '@d4ts/protocol';
import type { Erasure, Forecast, RetentionPolicy, RetentionStatus } from '../retention/port.ts';
import type { ApiContext } from './api-context.ts';
import { notFound } from './api-errors.ts';
import { actorOf } from './authentication.ts';
import {
  ClockAccepted,
  ErasureView as ErasureSchema,
  type ErasureView,
  RetentionPlan,
  RetentionView as RetentionSchema,
  type RetentionView,
  type SpaceView,
} from './retention-schemas.ts';
import type { ApiApp } from './route-types.ts';
import { UuidParam } from './schema-parts.ts';

/** `/api/v1/retention`: what is kept, and what goes; and the erasure of a sensor's data. */
export function retentionRoutes(app: ApiApp, { retention, registry }: ApiContext): void {
  const tags = ['retention'];

  app.get(
    '/retention',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'getRetention',
        summary: 'What is kept, what was removed, and how much space is left',
        response: { 200: RetentionSchema },
      },
    },
    (_request, reply) => {
      reply.send(retentionView(retention.status()));
    },
  );

  app.get(
    '/retention/plan',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'getRetentionPlan',
        summary: 'What would be removed now, and why; nothing is changed',
        response: { 200: RetentionPlan },
      },
    },
    async () => {
      const plan = await retention.plan();
      return {
        removals: plan.map(({ sensor = null, queue = null, ...removal }) => ({ ...removal, sensor, queue })),
      };
    },
  );

  app.post(
    '/retention/accept-clock',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        operationId: 'acceptClock',
        summary: 'Says that the clock is right after its jump: age rules work again',
        response: { 200: ClockAccepted },
      },
    },
    async (request) => ({ changed: await retention.acceptClock(actorOf(request)) }),
  );

  app.delete(
    '/sensors/:uuid/data',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        operationId: 'eraseSensorData',
        summary: 'Erases what the server has of a sensor, in the archive and the journal; it goes on in the background',
        params: UuidParam,
        response: { 202: ErasureSchema },
      },
    },
    async (request, reply) => {
      const uuid = parseSensorId(request.params.uuid);
      const isKnown =
        registry.sensors.get(uuid) !== undefined ||
        registry.activity.find(uuid) !== undefined ||
        [...registry.archive.holdings()].some(({ sensor }) => sensor === uuid);
      if (!isKnown) throw notFound(`no sensor ${uuid}, and nothing of it`);
      const erasure = await retention.erase(uuid, actorOf(request));
      return reply.code(202).send(erasureView(erasure));
    },
  );
}

/** How much space is left, as the interface shows it. */
export function spaceView(status: RetentionStatus): SpaceView {
  const { state, reason = null, since, disks, ageRulesPaused = null, forecast } = status;
  return {
    state,
    reason,
    since,
    disks: disks.map(({ holds, inodes = null, freeInodes = null, ...disk }) => ({
      ...disk,
      holds: [...holds],
      inodes,
      freeInodes,
    })),
    ageRulesPaused,
    forecast: forecastView(forecast),
  };
}

function retentionView(status: RetentionStatus): RetentionView {
  const { policy, journal, archive, lastRemoval = null, lastRunAt = null, error = null, erasures } = status;
  return {
    ...spaceView(status),
    policy: policyView(policy),
    journal: journal.map(({ oldest = null, waitsFor = null, ...topic }) => ({ ...topic, oldest, waitsFor })),
    archive: archive.map(({ oldest = null, bytesPerDay, ...files }) => ({
      ...files,
      oldest,
      bytesPerDay: bytesPerDay === undefined ? null : Math.round(bytesPerDay),
    })),
    lastRemoval,
    lastRunAt,
    error,
    erasures: erasures.map(erasureView),
  };
}

function erasureView(erasure: Erasure): ErasureView {
  return { ...erasure, waitsFor: erasure.waitsFor ?? null, doneAt: erasure.doneAt ?? null };
}

function forecastView(forecast: Forecast): SpaceView['forecast'] {
  if (forecast.outcome === 'full') return { ...forecast };
  const { outcome } = forecast;
  return { outcome, days: null, disk: null };
}

/** No limit is null: JSON has no infinity. */
function policyView(policy: RetentionPolicy): RetentionView['policy'] {
  const finite = (value: number | undefined) => (value === undefined || value === Infinity ? null : value);
  return {
    rewindAgeMs: finite(policy.rewindAgeMs),
    rewindBytes: finite(policy.rewindBytes),
    queueAgeMs: finite(policy.queueAgeMs),
    queueBytes: finite(policy.queueBytes),
    journalTypeBytes: finite(policy.journalTypeBytes),
    journalBytes: finite(policy.journalBytes),
    archiveAgeMs: finite(policy.archiveAgeMs),
    archiveSensorBytes: finite(policy.archiveSensorBytes),
    archiveTypeBytes: finite(policy.archiveTypeBytes),
    archiveBytes: finite(policy.archiveBytes),
  };
}
