import type { ApiContext } from './api-context.ts';
import type { ApiApp } from './route-types.ts';
import { Health } from './schemas.ts';

/** What needs no token: whether the server is ready. */
export function healthRoutes(app: ApiApp, { server }: ApiContext, isClosing: () => boolean): void {
  app.get(
    '/healthz',
    {
      config: { access: 'public' },
      schema: {
        tags: ['server'],
        operationId: 'getHealth',
        summary: 'Whether the server serves',
        response: { 200: Health, 503: Health },
      },
    },
    (_request, reply) => {
      const ready = server.isReady() && !isClosing();
      reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not ready' });
    },
  );
}
