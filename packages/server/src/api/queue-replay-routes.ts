import { D4Error, parseSensorId } from '@d4ts/protocol';
import Type from 'typebox';
import type { ReplayState } from '../registry/port.ts';
import type { ApiContext } from './api-context.ts';
import { notFound } from './api-errors.ts';
import { actorOf } from './authentication.ts';
import { ReplayBody, ReplayParam, ReplayView, RewindBody, RewoundView } from './queue-record-schemas.ts';
import type { ApiApp } from './route-types.ts';
import { UuidParam } from './schema-parts.ts';
import { typeName } from './type-name.ts';

/** `/api/v1/queues/{uuid}/rewind` and `/replays`: the past, again (docs/consumers.md). */
export function queueReplayRoutes(app: ApiApp, { queues, registry, log }: ApiContext): void {
  const tags = ['queues'];

  app.post(
    '/queues/:uuid/rewind',
    {
      config: { access: 'user' },
      schema: {
        tags,
        operationId: 'rewindQueue',
        summary: 'Moves the position back, as far as the journal reaches: what came since comes again',
        params: UuidParam,
        body: RewindBody,
        response: { 200: RewoundView },
      },
    },
    async (request) => {
      const uuid = parseSensorId(request.params.uuid);
      const actor = actorOf(request);
      const rewound = await queues.rewind(uuid, request.body.from, actor);
      if (rewound === undefined) throw notFound(`no queue ${uuid}`);
      log.info({ queue: uuid, ...rewound, by: actor.name }, 'queue rewound');
      return { ...rewound, length: queues.get(uuid)?.length ?? 0 };
    },
  );

  app.post(
    '/queues/:uuid/replay',
    {
      config: { access: 'user' },
      schema: {
        tags,
        operationId: 'replayIntoQueue',
        summary:
          'Puts a part of the past into the queue, from the journal and, where that does not have it, the archive',
        params: UuidParam,
        body: ReplayBody,
        response: { 202: ReplayView },
      },
    },
    async (request, reply) => {
      const uuid = parseSensorId(request.params.uuid);
      const { from, to, type, sensor: text } = request.body;
      const sensor = text === undefined ? undefined : parseSensorId(text);
      if (sensor !== undefined && registry.sensors.get(sensor) === undefined) throw notFound(`no sensor ${sensor}`);
      if (to !== undefined && from >= to) {
        throw new D4Error(
          'D4_BAD_REQUEST',
          'nothing lies between `from` and `to`: the first has to be the earlier one',
        );
      }
      const actor = actorOf(request);
      const wish = {
        from,
        ...(to !== undefined && { to }),
        ...(type !== undefined && { topic: typeName(type) }),
        ...(sensor !== undefined && { sensors: [sensor] }),
      };
      const replay = await queues.replay(uuid, wish, actor);
      if (replay === undefined) throw notFound(`no queue ${uuid}`);
      log.info({ queue: uuid, replay: replay.id, topic: replay.topic, from, to, by: actor.name }, 'replay begun');
      return reply.code(202).send(replayView(replay));
    },
  );

  app.delete(
    '/queues/:uuid/replays/:replay',
    {
      config: { access: 'user' },
      schema: {
        tags,
        operationId: 'cancelReplay',
        summary: 'Ends a replay that is not over; what is left of it does not come',
        params: ReplayParam,
        response: { 204: Type.Null({ description: 'Cancelled' }) },
      },
    },
    async (request, reply) => {
      const uuid = parseSensorId(request.params.uuid);
      const { replay } = request.params;
      const actor = actorOf(request);
      const cancelled = await queues.cancelReplay(uuid, replay, actor);
      if (cancelled === undefined) throw notFound(`no replay ${replay} of queue ${uuid}`);
      log.info({ queue: uuid, replay, by: actor.name }, 'replay cancelled');
      return reply.code(204).send(null);
    },
  );
}

/** A replay as the interface shows it. */
export function replayView(replay: ReplayState): ReplayView {
  const { id, topic, sensors, from, to, state, error, source, delivered, lost, missingFiles } = replay;
  const { startedAt, finishedAt, journalItems, journalDone } = replay;
  const left = source === 'archive' ? null : Math.max(0, journalItems - journalDone);
  const times = { startedAt, finishedAt: finishedAt ?? null };
  const whose = sensors === 'all' ? null : [...sensors];
  return {
    id,
    topic,
    sensors: whose,
    from,
    to,
    state,
    error: error ?? null,
    source,
    delivered,
    left,
    lost,
    missingFiles,
    ...times,
  };
}
