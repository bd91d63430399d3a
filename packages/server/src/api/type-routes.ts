import { D4Error } from '@d4ts/protocol';
import Type from 'typebox';
import type { AcceptedType } from '../registry/port.ts';
import type { ApiContext } from './api-context.ts';
import { notFound } from './api-errors.ts';
import { actorOf } from './authentication.ts';
import { pageOf } from './pages.ts';
import type { ApiApp } from './route-types.ts';
import { PageQuery, page, TypeDraft, TypeParam, TypeView } from './schemas.ts';
import { typeName, typeTitle } from './type-name.ts';

/** `/api/v1/types`: the types and meta types that the server accepts. */
export function typeRoutes(app: ApiApp, { registry, log, now }: ApiContext): void {
  const tags = ['types'];

  app.get(
    '/types',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'listTypes',
        summary: 'All accepted types, numbers first',
        querystring: PageQuery,
        response: { 200: page('TypePage', TypeView) },
      },
    },
    ({ query }, reply) => {
      const all = [...registry.types.entries()].map(([, { value }]) => value);
      reply.send(pageOf(all, ({ name }) => sortKey(name), typeView, query));
    },
  );

  app.post(
    '/types',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        operationId: 'addType',
        summary: 'Accepts a type; nothing changes if it is accepted already',
        body: TypeDraft,
        response: { 200: TypeView, 201: TypeView },
      },
    },
    async (request, reply) => {
      const name = typeName(request.body.name);
      const alike = likeNamed(name);
      if (alike?.name === name) return typeView(alike);
      if (alike !== undefined) {
        throw new D4Error(
          'D4_CONFLICT',
          `"${alike.name}" is accepted already, and names must differ in more than case`,
        );
      }
      const actor = actorOf(request);
      const { value } = await registry.types.put(name, { name, createdAt: now() }, actor);
      log.info({ type: name, by: actor.name }, 'type accepted');
      return reply.code(201).send(typeView(value));
    },
  );

  app.delete(
    '/types/:name',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        operationId: 'removeType',
        summary: 'Accepts a type no longer; its queues and records stay',
        params: TypeParam,
        response: { 204: Type.Null({ description: 'Removed' }) },
      },
    },
    async (request, reply) => {
      const name = typeName(request.params.name);
      const actor = actorOf(request);
      if (!(await registry.types.remove(name, actor))) throw notFound(`no accepted type "${name}"`);
      log.info({ type: name, by: actor.name }, 'type no longer accepted');
      return reply.code(204).send(null);
    },
  );

  function likeNamed(name: string): AcceptedType | undefined {
    const exact = registry.types.get(name)?.value;
    if (exact !== undefined) return exact;
    const lower = name.toLowerCase();
    for (const [, { value }] of registry.types.entries()) if (value.name.toLowerCase() === lower) return value;
    return undefined;
  }
}

function typeView(type: AcceptedType): TypeView {
  return { name: type.name, title: typeTitle(type.name), createdAt: type.createdAt };
}

/** Numbers in their order, before names: a name has no leading zeros of its own to meet. */
function sortKey(name: string): string {
  return /^[0-9]+$/.test(name) ? name.padStart(3, '0') : `~${name}`;
}
