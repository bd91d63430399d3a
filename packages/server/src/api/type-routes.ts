import { D4Error } from '@d4ts/protocol';
import Type from 'typebox';
import type { AcceptedType, Versioned } from '../registry/port.ts';
import type { ApiContext } from './api-context.ts';
import { notFound } from './api-errors.ts';
import { archiveRulesView, changedArchiveRules } from './archive-rules.ts';
import { actorOf } from './authentication.ts';
import { pageOf } from './pages.ts';
import { changeDocument } from './registry-change.ts';
import type { ApiApp } from './route-types.ts';
import { PageQuery, page } from './schema-parts.ts';
import { TypeChange, TypeDraft, TypeParam, TypeView } from './schemas.ts';
import { typeName, typeOrder, typeTitle } from './type-name.ts';

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
      const all = [...registry.types.entries()].map(([, type]) => type);
      reply.send(pageOf(all, ({ value }) => typeOrder(value.name), typeView, query));
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
      if (alike?.value.name === name) return typeView(alike);
      if (alike !== undefined) {
        throw new D4Error(
          'D4_CONFLICT',
          `"${alike.value.name}" is accepted already, and names must differ in more than case`,
        );
      }
      const actor = actorOf(request);
      const added = await registry.types.put(name, { name, createdAt: now() }, actor);
      log.info({ type: name, by: actor.name }, 'type accepted');
      return reply.code(201).send(typeView(added));
    },
  );

  app.patch(
    '/types/:name',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        operationId: 'changeType',
        summary: 'Changes what is kept of a type',
        params: TypeParam,
        body: TypeChange,
        response: { 200: TypeView },
      },
    },
    async (request) => {
      const name = typeName(request.params.name);
      const { revision, maxJournalBytes, ...rules } = request.body;
      const changed = await changeDocument(
        registry.types,
        name,
        ({ maxJournalBytes: before, archive, ...type }) => {
          const most = maxJournalBytes === undefined ? before : (maxJournalBytes ?? undefined);
          return {
            ...type,
            ...changedArchiveRules(archive, rules),
            ...(most !== undefined && { maxJournalBytes: most }),
          };
        },
        actorOf(request),
        revision,
      );
      if (changed === undefined) throw notFound(`no accepted type "${name}"`);
      return typeView(changed);
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

  function likeNamed(name: string): Versioned<AcceptedType> | undefined {
    const exact = registry.types.get(name);
    if (exact !== undefined) return exact;
    const lower = name.toLowerCase();
    for (const [, type] of registry.types.entries()) if (type.value.name.toLowerCase() === lower) return type;
    return undefined;
  }
}

function typeView({ value: type, revision }: Versioned<AcceptedType>): TypeView {
  const { name, archive, maxJournalBytes = null, createdAt } = type;
  return { name, title: typeTitle(name), revision, ...archiveRulesView(archive), maxJournalBytes, createdAt };
}
