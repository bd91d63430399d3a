import { D4Error } from '@d4ts/protocol';
import Type from 'typebox';
import type { Block } from '../registry/port.ts';
import type { ApiContext } from './api-context.ts';
import { notFound } from './api-errors.ts';
import { actorOf } from './authentication.ts';
import { blockTarget } from './block-target.ts';
import { networkOrder } from './ip-network.ts';
import { pageOf } from './pages.ts';
import type { ApiApp } from './route-types.ts';
import { PageQuery, page } from './schema-parts.ts';
import { BlockDraft, BlockParam, BlockView } from './schemas.ts';

/** `/api/v1/blocks`: addresses, networks and sensors that are not let in. Ingest follows the registry, and closes them. */
export function blockRoutes(app: ApiApp, { registry, log, now }: ApiContext): void {
  const tags = ['blocks'];

  app.get(
    '/blocks',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'listBlocks',
        summary: 'All blocks: IPv4 by number, then IPv6, then sensors',
        querystring: PageQuery,
        response: { 200: page('BlockPage', BlockView) },
      },
    },
    ({ query }, reply) => {
      const all = [...registry.blocks.entries()].map(([, { value }]) => value);
      reply.send(pageOf(all, orderOf, blockView, query));
    },
  );

  app.post(
    '/blocks',
    {
      config: { access: 'user' },
      schema: {
        tags,
        operationId: 'addBlock',
        summary:
          'Blocks an address, a network or a sensor, and closes the connections; nothing changes if it is blocked already',
        body: BlockDraft,
        response: { 200: BlockView, 201: BlockView },
      },
    },
    async (request, reply) => {
      const { target, kind } = blockTarget(request.body.target);
      const known = registry.blocks.get(target);
      if (known !== undefined) return blockView(known.value);
      const actor = actorOf(request);
      const { reason = '', expiresAt } = request.body;
      if (expiresAt !== undefined && expiresAt <= now()) {
        throw new D4Error('D4_BAD_REQUEST', 'expiresAt is in the past: such a block would block nothing');
      }
      const block: Block = {
        target,
        kind,
        reason,
        author: actor.name,
        ...(expiresAt !== undefined && { expiresAt }),
        createdAt: now(),
      };
      await registry.blocks.put(target, block, actor);
      log.info({ target, by: actor.name }, 'blocked');
      return reply.code(201).send(blockView(block));
    },
  );

  app.delete(
    '/blocks/:target',
    {
      config: { access: 'user' },
      schema: {
        tags,
        operationId: 'removeBlock',
        summary: 'Removes a block',
        params: BlockParam,
        response: { 204: Type.Null({ description: 'Removed' }) },
      },
    },
    async (request, reply) => {
      const { target } = blockTarget(request.params.target);
      const actor = actorOf(request);
      if (!(await registry.blocks.remove(target, actor))) throw notFound(`no block of ${target}`);
      log.info({ target, by: actor.name }, 'block removed');
      return reply.code(204).send(null);
    },
  );
}

function orderOf({ target, kind }: Block): string {
  return kind === 'network' ? networkOrder(target) : `sensor ${target}`;
}

function blockView({ target, kind, reason, author, expiresAt, createdAt }: Block): BlockView {
  return { target, kind, reason, author: author ?? null, expiresAt: expiresAt ?? null, createdAt };
}
