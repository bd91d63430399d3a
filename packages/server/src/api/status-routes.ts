import type { ArchiveStatus } from '../archive/archive.ts';
import type { ApiContext } from './api-context.ts';
import { queueView } from './queue-routes.ts';
import { spaceView } from './retention-routes.ts';
import type { ApiApp } from './route-types.ts';
import { Status } from './schemas.ts';
import { countByState } from './sensor-state.ts';
import { claimedRefusalView, SensorViews } from './sensor-view.ts';

/** Of what comes from unproved peers, the status shows so many of the latest. */
const LATEST = 100;

/** `/api/v1/status`: the server as a whole. */
export function statusRoutes(app: ApiApp, context: ApiContext): void {
  app.get(
    '/status',
    {
      config: { access: 'viewer' },
      schema: {
        tags: ['server'],
        operationId: 'getStatus',
        summary: 'The server as a whole',
        response: { 200: Status },
      },
    },
    (_request, reply) => {
      reply.send(status(context));
    },
  );
}

/** Only the addresses: what `server` gives may know more. */
function addressesOf(server: ApiContext['server']): Status['addresses'] {
  const addresses = server.addresses();
  if (addresses === undefined) return null;
  const { listen, web, redis } = addresses;
  return { listen, web, redis };
}

function archiveView({ topics, ...rest }: ArchiveStatus): Status['archive'] {
  return {
    ...rest,
    topics: topics.map(({ lag, rejected, error, ...topic }) => ({
      ...topic,
      lagMs: lag,
      rejected: { ...rejected },
      error: error ?? null,
    })),
  };
}

function status(context: ApiContext): Status {
  const { registry, queues, journal, archive, ingest, redis, server, now } = context;
  const views = new SensorViews(context);
  const states = [...registry.sensors.entries()].map(([, { value }]) => views.state(value).state);
  const memory = process.memoryUsage();
  return {
    version: server.version,
    startedAt: server.startedAt,
    uptimeSeconds: Math.max(0, Math.floor((now() - server.startedAt) / 1000)),
    mode: server.config.mode,
    home: server.config.home,
    addresses: addressesOf(server),
    certificateSha256: server.certificateSha256,
    connections: { sensors: ingest.connections, analyzers: redis.clients },
    sessions: ingest.sessions(),
    sensors: {
      total: registry.sensors.size,
      byState: countByState(states),
      suspectedClones: ingest.suspectedClones(),
    },
    refusals: registry.activity.refusalTotals() as Record<string, number>,
    claimedRefusals: registry.activity.claimedRefusals().slice(0, LATEST).map(claimedRefusalView),
    knocks: registry.activity.knocks().slice(0, LATEST),
    queues: queues.list().map(queueView),
    unknownQueueConsumers: queues.unknownConsumers(),
    topics: journal.topics().flatMap((topic) => journal.get(topic)?.stats() ?? []),
    archive: archiveView(archive.status()),
    space: spaceView(context.retention.status()),
    backPressure: ingest.backPressure(),
    memory: {
      rssBytes: memory.rss,
      heapUsedBytes: memory.heapUsed,
      externalBytes: memory.external,
      arrayBufferBytes: memory.arrayBuffers,
    },
  };
}
