import { D4Error, parseSensorId, type SensorId } from '@d4ts/protocol';
import type { Actor, Sensor } from '../registry/port.ts';
import type { ApiContext } from './api-context.ts';
import { failureOf, notFound } from './api-errors.ts';
import { refuseIfHeld } from './archive-rules.ts';
import { actorOf } from './authentication.ts';
import { changeDocument } from './registry-change.ts';
import type { ApiApp } from './route-types.ts';
import { type BulkBody, BulkBody as BulkBodySchema, BulkResult } from './sensor-list-schemas.ts';

type Change = (sensor: Sensor) => Sensor;

/** `/api/v1/sensors/bulk`: the same to many sensors, each for itself. */
export function sensorBulkRoutes(app: ApiApp, context: ApiContext): void {
  const { registry, ingest, log, now } = context;

  app.post(
    '/sensors/bulk',
    {
      config: { access: 'user' },
      schema: {
        tags: ['sensors'],
        operationId: 'changeSensors',
        summary: 'Does the same to many sensors; one that fails does not keep the others',
        body: BulkBodySchema,
        response: { 200: BulkResult },
      },
    },
    async (request) => {
      const { body } = request;
      checkTag(body);
      const actor = actorOf(request);
      const items: BulkResult['items'] = [];
      for (const text of new Set(body.uuids)) items.push(await tryOne(text, body, actor));
      const failed = items.filter(({ ok }) => !ok).length;
      log.info({ action: body.action, done: items.length - failed, failed, by: actor.name }, 'sensors were changed');
      return { done: items.length - failed, failed, items };
    },
  );

  async function tryOne(text: string, body: BulkBody, actor: Actor): Promise<BulkResult['items'][number]> {
    try {
      const uuid = parseSensorId(text);
      if (registry.sensors.get(uuid) === undefined) throw notFound(`no sensor ${uuid}`);
      await perform(uuid, body, actor);
      return { uuid, ok: true, error: null };
    } catch (error) {
      const { code, message, internal } = failureOf(error);
      if (internal) log.error({ err: error, sensor: text }, 'a sensor cannot be changed');
      return { uuid: text, ok: false, error: { code, message } };
    }
  }

  async function perform(uuid: SensorId, { action, tag = '', reason = '' }: BulkBody, actor: Actor): Promise<void> {
    const change = (work: Change) => changeDocument(registry.sensors, uuid, work, actor);
    switch (action) {
      case 'approve':
        if (registry.sensors.get(uuid)?.value.state !== 'approved')
          await change((each) => ({ ...each, state: 'approved' }));
        return;
      case 'revoke':
        if (registry.sensors.get(uuid)?.value.state !== 'revoked')
          await change((each) => ({ ...each, state: 'revoked' }));
        return;
      case 'remove':
        refuseIfHeld(registry, uuid);
        await registry.sensors.remove(uuid, actor);
        registry.activity.forget(uuid);
        return;
      case 'kick': {
        const connections = ingest.kick(uuid);
        await registry.audit.record({ kind: 'kicked', key: uuid, actor, details: { connections } });
        return;
      }
      case 'block':
        if (registry.blocks.get(uuid) !== undefined) return;
        await registry.blocks.put(
          uuid,
          { target: uuid, kind: 'sensor', reason, author: actor.name, createdAt: now() },
          actor,
        );
        return;
      case 'unblock':
        await registry.blocks.remove(uuid, actor);
        return;
      case 'tag':
        await change(({ tags = [], ...rest }) => ({ ...rest, tags: [...new Set([...tags, tag])] }));
        return;
      case 'untag':
        await change(({ tags = [], ...rest }) => ({ ...rest, tags: tags.filter((each) => each !== tag) }));
    }
  }
}

function checkTag({ action, tag }: BulkBody): void {
  if ((action === 'tag' || action === 'untag') && tag === undefined) {
    throw new D4Error('D4_BAD_REQUEST', `body/tag is needed for ${action}`);
  }
}
