import swagger from '@fastify/swagger';
import type { RouteOptions } from 'fastify';
import Type from 'typebox';
import { API_ERRORS } from './api-errors.ts';
import { type ApiDescription, docsPage } from './docs-page.ts';
import { DOCS_STYLE } from './docs-style.ts';
import { ReferenceErrorBody } from './drop-in-routes.ts';
import { addExamples } from './openapi-examples.ts';
import { IF_MATCH, takesIfMatch } from './preconditions.ts';
import type { Access, ApiApp } from './route-types.ts';
import { ErrorBody } from './schema-parts.ts';

const DOCS_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const ACCESS_NOTES: Record<Access, string> = {
  public: 'Needs no token.',
  'signed-in': 'For everybody who is signed in.',
  register: 'For the roles sensor_register, user and admin.',
  queue: "For the roles user and admin, and with the queue's own credential as the token.",
  viewer: 'For the roles viewer, user and admin.',
  user: 'For the roles user and admin.',
  admin: 'For the role admin.',
};

/** Collects the routes that are added after it, for the description. */
export async function collectForOpenApi(app: ApiApp, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.1',
      info: {
        title: 'D4 server',
        version,
        description: 'Management of a D4 collector. Times are ms since 1970, sizes bytes. Errors carry stable codes.',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      tags: [
        { name: 'server', description: 'The server as a whole' },
        { name: 'sensors', description: 'Who may send, and how they are doing' },
        { name: 'people', description: 'Who is signed in, and who may do what' },
        { name: 'types', description: 'What is accepted' },
        { name: 'queues', description: 'What waits for analyzers' },
        { name: 'blocks', description: 'What is not let in' },
        { name: 'archive', description: 'What was received, in files' },
        { name: 'retention', description: 'What is kept and what goes, and how much space is left' },
        { name: 'audit', description: 'Who did what, when and from where' },
        { name: 'monitoring', description: 'What came, what became of it, how much comes now' },
        { name: 'reference', description: 'Calls that answer exactly as the reference server does' },
      ],
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer' },
          session: {
            type: 'apiKey',
            in: 'cookie',
            name: '__Host-d4',
            description: 'Of `POST /session`; changes need the header `x-csrf-token` as well',
          },
          token: { type: 'apiKey', in: 'header', name: 'Authorization', description: 'The token alone' },
        },
      },
    },
  });
}

/** Adds what follows from a route's access to its schema: errors and the need of a token. */
export function describeAccess(route: Pick<RouteOptions, 'method' | 'url' | 'config' | 'schema'>): void {
  const access = route.config?.access;
  if (access === undefined) throw new Error(`${route.method} ${route.url} does not say who may use it`);
  const errors = route.config?.errors === 'reference' ? ReferenceErrorBody : ErrorBody;
  route.schema = {
    ...route.schema,
    description: ACCESS_NOTES[access],
    ...(takesIfMatch(route.method, route.url) && {
      headers: { type: 'object', properties: { 'if-match': IF_MATCH } },
    }),
    security: access === 'public' ? [] : [{ session: [] }, { bearer: [] }, { token: [] }],
    response: {
      '4xx': { ...errors, description: 'The request failed' },
      '5xx': { ...errors, description: 'The server failed' },
      ...(typeof route.schema?.response === 'object' ? route.schema.response : {}),
    },
  };
}

/** `/api/v1/openapi.json`: the description of the interface. */
export function openApiRoute(app: ApiApp): void {
  let description: unknown;
  app.get(
    '/openapi.json',
    {
      config: { access: 'public' },
      schema: {
        tags: ['server'],
        operationId: 'getOpenApi',
        summary: 'This description (OpenAPI 3.1)',
        response: { 200: Type.Unsafe<unknown>({ type: 'object', additionalProperties: true }) },
      },
    },
    (_request, reply) => {
      description ??= described(app);
      reply.send(description);
    },
  );
}

/** `/api/docs`: the same as a page. It has no script, and everything from our own origin. */
export function docsRoutes(app: ApiApp): void {
  const hidden = { hide: true, response: { 200: Type.String() } };
  let html: string | undefined;

  app.get('/docs', { config: { access: 'public' }, schema: hidden }, (_request, reply) => {
    const errors = Object.entries(API_ERRORS).map(([code, error]) => ({ code, ...error }));
    html ??= docsPage(described(app) as unknown as ApiDescription, errors, '/api/docs/style.css');
    reply.header('content-security-policy', DOCS_POLICY).type('text/html; charset=utf-8').send(html);
  });

  app.get('/docs/style.css', { config: { access: 'public' }, schema: hidden }, (_request, reply) => {
    reply.type('text/css; charset=utf-8').send(DOCS_STYLE);
  });
}

/** The description with examples, and with each named schema once. */
function described(app: ApiApp): object {
  const description = structuredClone(app.swagger());
  addExamples(description);
  return nameSchemas(description);
}

interface NamedSchemas {
  components?: { schemas?: Record<string, unknown> };
}

/** Moves every schema with a `title` to the components, so that a client made from the description has its types once. */
export function nameSchemas<D extends object>(description: D): D {
  const schemas: Record<string, unknown> = {};
  const named = replaceNamed(description, schemas) as D & NamedSchemas;
  return { ...named, components: { ...named.components, schemas } };
}

function replaceNamed(node: unknown, schemas: Record<string, unknown>): unknown {
  if (Array.isArray(node)) return node.map((item) => replaceNamed(item, schemas));
  if (typeof node !== 'object' || node === null) return node;
  const copy = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, replaceNamed(value, schemas)]));
  const { title, description: _, ...shape } = copy;
  if (typeof title !== 'string' || copy.type !== 'object') return copy;
  schemas[title] = { title, ...shape };
  return { $ref: `#/components/schemas/${title}` };
}
