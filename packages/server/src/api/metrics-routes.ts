import { D4Error } from '@d4ts/protocol';
import type { FastifyReply } from 'fastify';
import { collectDefaultMetrics, Registry } from 'prom-client';
import Type from 'typebox';
import type { ApiContext } from './api-context.ts';
import { plainAddress } from './ip-network.ts';
import { metricsOf } from './metrics.ts';
import type { ApiApp } from './route-types.ts';
import { words } from './schema-parts.ts';

const LOOPBACK = /^(127\.|::1$)/;

const MetricsQuery = Type.Object({
  sensors: Type.Optional(words(['0', '1'] as const, '1: also a few values of each sensor')),
});

/** `/metrics` and `/api/v1/metrics`: for Prometheus (docs/monitoring.md). */
export function metricsRoutes(app: ApiApp, context: ApiContext): void {
  const { open } = context.server.config.metrics;
  const ofProcess = new Registry();
  collectDefaultMetrics({ register: ofProcess });
  app.addHook('onClose', async () => ofProcess.clear());

  const schema = (operationId: string, summary: string) => ({
    tags: ['monitoring'],
    operationId,
    summary,
    querystring: MetricsQuery,
    response: { 200: Type.String({ description: 'The text format of Prometheus' }) },
  });
  const answer = async (reply: FastifyReply, withSensors: boolean): Promise<string> => {
    reply.type('text/plain; version=0.0.4; charset=utf-8');
    return `${await metricsOf(context, withSensors)}\n${await ofProcess.metrics()}\n`;
  };

  app.get(
    '/metrics',
    {
      config: { access: open ? 'public' : 'viewer' },
      schema: schema(
        'getMetrics',
        'For Prometheus; where metrics.open is set without a token, but from this machine alone',
      ),
    },
    async (request, reply) => {
      if (open && !LOOPBACK.test(plainAddress(request.ip))) {
        throw new D4Error(
          'D4_FORBIDDEN',
          'with metrics.open this answers this machine alone: use /api/v1/metrics with a token',
        );
      }
      return answer(reply, request.query.sensors === '1');
    },
  );

  app.get(
    '/api/v1/metrics',
    { config: { access: 'viewer' }, schema: schema('getMetricsWithToken', 'For Prometheus') },
    async (request, reply) => answer(reply, request.query.sensors === '1'),
  );
}
