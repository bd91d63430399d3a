import { D4Error, parseSensorId } from '@d4ts/protocol';
import Type from 'typebox';
import type { Queue, QueueInfo } from '../queues/port.ts';
import { untake } from '../queues/untake.ts';
import type { ApiContext } from './api-context.ts';
import { notFound } from './api-errors.ts';
import { actorOf } from './authentication.ts';
import { cutToAnswer, itemView, popItems } from './queue-items.ts';
import { replayView } from './queue-replay-routes.ts';
import type { ApiApp } from './route-types.ts';
import { PageQuery, page, UuidParam } from './schema-parts.ts';
import {
  Credential,
  CredentialDraft,
  Flushed,
  ItemQuery,
  Items,
  QueueChangeBody,
  QueueDraft,
  QueueView,
} from './schemas.ts';
import { sortedPage } from './sorted-page.ts';
import { typeName, typeOrder } from './type-name.ts';
import { whenSent } from './when-sent.ts';

/** `/api/v1/queues`: what waits for analyzers. */
export function queueRoutes(app: ApiApp, { queues, log }: ApiContext): void {
  const tags = ['queues'];

  app.get(
    '/queues',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'listQueues',
        summary: 'All queues: by type, those of all sensors first, then by description',
        querystring: PageQuery,
        response: { 200: page('QueuePage', QueueView) },
      },
    },
    ({ query }, reply) => {
      const all = queues.list().map((item) => ({ item, value: orderOf(item), key: item.uuid }));
      reply.send(sortedPage(all, queueView, { ...query, descending: false }));
    },
  );

  app.post(
    '/queues',
    {
      config: { access: 'user' },
      schema: {
        tags,
        operationId: 'addQueue',
        summary: 'Makes a queue for the records of a type',
        body: QueueDraft,
        response: { 201: QueueView },
      },
    },
    async (request, reply) => {
      const { type, uuid: text, group, ...rest } = request.body;
      const uuid = text === undefined ? undefined : parseSensorId(text);
      if (uuid !== undefined && queues.get(uuid) !== undefined) {
        throw new D4Error('D4_CONFLICT', `queue ${uuid} exists already`);
      }
      const actor = actorOf(request);
      const options = {
        ...rest,
        ...(uuid !== undefined && { uuid }),
        ...(group && { group: group.map(parseSensorId) }),
      };
      const queue = await queues.add({ ...options, topic: typeName(type) }, actor);
      log.info({ queue: queue.uuid, topic: queue.topic, by: actor.name }, 'queue made');
      return reply.code(201).send(queueView(queue.info()));
    },
  );

  app.get(
    '/queues/:uuid',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'getQueue',
        summary: 'A queue',
        params: UuidParam,
        response: { 200: QueueView },
      },
    },
    ({ params }, reply) => {
      reply.send(queueView(queueAt(params.uuid).info()));
    },
  );

  app.patch(
    '/queues/:uuid',
    {
      config: { access: 'user' },
      schema: {
        tags,
        operationId: 'changeQueue',
        summary: 'Changes a queue; a changed group holds for the records that come from now on',
        params: UuidParam,
        body: QueueChangeBody,
        response: { 200: QueueView },
      },
    },
    async (request) => {
      const uuid = parseSensorId(request.params.uuid);
      const { revision, add = [], remove = [], ...rest } = request.body;
      const change = { ...rest, add: add.map(parseSensorId), remove: remove.map(parseSensorId) };
      const actor = actorOf(request);
      const queue = await queues.edit(uuid, change, actor, revision);
      if (queue === undefined) throw noQueue(uuid);
      log.info({ queue: uuid, by: actor.name }, 'queue changed');
      return queueView(queue.info());
    },
  );

  app.post(
    '/queues/:uuid/credential',
    {
      config: { access: 'user' },
      schema: {
        tags,
        operationId: 'issueQueueCredential',
        summary: 'Gives the queue a new credential, in place of the one that it has',
        params: UuidParam,
        body: CredentialDraft,
        response: { 201: Credential },
      },
    },
    async (request, reply) => {
      const queue = parseSensorId(request.params.uuid);
      const { push = false } = request.body;
      const actor = actorOf(request);
      const secret = await queues.issueCredential(queue, { push }, actor);
      if (secret === undefined) throw noQueue(queue);
      log.info({ queue, push, by: actor.name }, 'queue credential issued');
      return reply.code(201).send({ queue, secret, push });
    },
  );

  app.delete(
    '/queues/:uuid/credential',
    {
      config: { access: 'user' },
      schema: {
        tags,
        operationId: 'revokeQueueCredential',
        summary:
          "Revokes the queue's credential and closes the connections that use it; nothing changes if it has none",
        params: UuidParam,
        response: { 204: Type.Null({ description: 'Revoked' }) },
      },
    },
    async (request, reply) => {
      const queue = parseSensorId(request.params.uuid);
      const actor = actorOf(request);
      const revoked = await queues.revokeCredential(queue, actor);
      if (revoked === undefined) throw noQueue(queue);
      if (revoked) log.info({ queue, by: actor.name }, 'queue credential revoked');
      return reply.code(204).send(null);
    },
  );

  app.get(
    '/queues/:uuid/items',
    {
      config: { access: 'user' },
      schema: {
        tags,
        operationId: 'peekQueue',
        summary: 'The oldest items, without taking them',
        params: UuidParam,
        querystring: ItemQuery,
        response: { 200: Items },
      },
    },
    async ({ params, query }) => {
      const queue = queueAt(params.uuid);
      const items = cutToAnswer(await queue.peek(query.count ?? 1));
      return { items: items.map(itemView), length: queue.length };
    },
  );

  app.post(
    '/queues/:uuid/pop',
    {
      config: { access: 'user' },
      schema: {
        tags,
        operationId: 'popQueue',
        summary: 'Takes the oldest items; they go back if the answer cannot be sent',
        params: UuidParam,
        querystring: ItemQuery,
        response: { 200: Items },
      },
    },
    async ({ params, query }, reply) => {
      const queue = queueAt(params.uuid);
      const items = await popItems(queue, query.count ?? 1);
      whenSent(
        reply.raw,
        () => untake(queue, items, log),
        () => queue.letGo(items),
      );
      return { items: items.map(itemView), length: queue.length };
    },
  );

  app.post(
    '/queues/:uuid/flush',
    {
      config: { access: 'user' },
      schema: {
        tags,
        operationId: 'flushQueue',
        summary: 'Drops everything that waits',
        params: UuidParam,
        response: { 200: Flushed },
      },
    },
    (request, reply) => {
      const queue = queueAt(request.params.uuid);
      const flushed = queue.flush();
      log.info({ queue: queue.uuid, items: flushed, by: actorOf(request).name }, 'queue flushed');
      reply.send({ flushed });
    },
  );

  app.delete(
    '/queues/:uuid',
    {
      config: { access: 'user' },
      schema: {
        tags,
        operationId: 'removeQueue',
        summary: 'Removes a queue and what waits in it',
        params: UuidParam,
        response: { 204: Type.Null({ description: 'Removed' }) },
      },
    },
    async (request, reply) => {
      const uuid = parseSensorId(request.params.uuid);
      const actor = actorOf(request);
      if (!(await queues.remove(uuid, actor))) throw noQueue(uuid);
      log.info({ queue: uuid, by: actor.name }, 'queue removed');
      return reply.code(204).send(null);
    },
  );

  function queueAt(text: string): Queue {
    const uuid = parseSensorId(text);
    const queue = queues.get(uuid);
    if (queue === undefined) throw noQueue(uuid);
    return queue;
  }
}

/** A queue as the interface shows it. */
export function queueView({ group, credential, replays, ...info }: QueueInfo): QueueView {
  const sensors = group === 'all' ? null : [...group];
  const key = `analyzer:${info.topic}:${info.uuid}`;
  return { ...info, group: sensors, credential: credential ?? null, key, replays: replays.map(replayView) };
}

/** So much of a description decides: it stands in the address of the next page. */
const ORDER_LENGTH = 100;

function orderOf({ topic, group, description }: QueueInfo): string {
  return [typeOrder(topic), group === 'all' ? 0 : 1, description.slice(0, ORDER_LENGTH).toLowerCase()].join('\n');
}

function noQueue(uuid: string): D4Error {
  return notFound(`no queue ${uuid}`);
}
