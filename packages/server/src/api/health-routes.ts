import Type from 'typebox';
import type { ApiContext } from './api-context.ts';
import type { ApiApp } from './route-types.ts';
import { Health } from './schemas.ts';

const START_PAGE = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>D4 server</title></head>
<body>
<h1>D4 server</h1>
<p>The pages are not here yet. The HTTP interface is at <code>/api/v1</code>, described by
<a href="/api/v1/openapi.json">/api/v1/openapi.json</a>; <a href="/healthz">/healthz</a> says whether the server is ready.</p>
</body>
</html>
`;

/** What needs no token: whether the server is ready, and where the interface is. */
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

  app.get(
    '/',
    {
      config: { access: 'public' },
      schema: { hide: true, response: { 200: Type.String() } },
    },
    (_request, reply) => {
      reply.type('text/html; charset=utf-8').send(START_PAGE);
    },
  );
}
