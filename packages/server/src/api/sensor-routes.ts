import { type D4Error, parseSensorId, type SensorId } from '@d4ts/protocol';
import Type from 'typebox';
import type { Actor, Sensor, Versioned } from '../registry/port.ts';
import type { ApiContext } from './api-context.ts';
import { notFound } from './api-errors.ts';
import { changedArchiveRules, refuseIfHeld } from './archive-rules.ts';
import { actorOf } from './authentication.ts';
import { changeDocument } from './registry-change.ts';
import type { ApiApp } from './route-types.ts';
import { page, UuidParam } from './schema-parts.ts';
import { sensorFacets, sensorPage } from './sensor-list.ts';
import { SensorFacets, SensorQuery } from './sensor-list-schemas.ts';
import { newSensorKey, newSensorUuid, registerSensor } from './sensor-registration.ts';
import {
  Kicked,
  type SensorChange,
  SensorChange as SensorChangeSchema,
  SensorDraft,
  SensorView,
} from './sensor-schemas.ts';
import { SensorViews } from './sensor-view.ts';

/** `/api/v1/sensors`: who may send, and how they are doing. Ingest follows the registry, and closes who may not. */
export function sensorRoutes(app: ApiApp, context: ApiContext): void {
  const { registry, ingest, log } = context;
  const tags = ['sensors'];

  app.get(
    '/sensors',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'listSensors',
        summary: 'Sensors, filtered and sorted',
        querystring: SensorQuery,
        response: { 200: page('SensorPage', SensorView) },
      },
    },
    ({ query }, reply) => {
      reply.send(sensorPage(registry, new SensorViews(context), query));
    },
  );

  app.get(
    '/sensors/facets',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'getSensorFacets',
        summary: 'What sensors can be filtered by, and how many there are of each',
        response: { 200: SensorFacets },
      },
    },
    (_request, reply) => {
      reply.send(sensorFacets(registry, new SensorViews(context)));
    },
  );

  app.post(
    '/sensors',
    {
      config: { access: 'user' },
      schema: {
        tags,
        operationId: 'addSensor',
        summary: 'Registers a sensor, pending unless approved at once',
        body: SensorDraft,
        response: { 201: SensorView },
      },
    },
    async (request, reply) => {
      const { approve = false, keyEncoding, key, uuid, ...rest } = request.body;
      const registered = await registerSensor(
        context,
        {
          ...rest,
          uuid: newSensorUuid(uuid),
          key: newSensorKey(key, keyEncoding),
          state: approve ? 'approved' : 'pending',
        },
        actorOf(request),
      );
      return reply.code(201).send(new SensorViews(context).view(registered));
    },
  );

  app.get(
    '/sensors/:uuid',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'getSensor',
        summary: 'A sensor',
        params: UuidParam,
        response: { 200: SensorView },
      },
    },
    ({ params }, reply) => {
      const uuid = parseSensorId(params.uuid);
      reply.send(new SensorViews(context).view(existing(registry.sensors.get(uuid), uuid)));
    },
  );

  app.patch(
    '/sensors/:uuid',
    {
      config: { access: 'user' },
      schema: {
        tags,
        operationId: 'changeSensor',
        summary: 'Changes what is known of a sensor',
        params: UuidParam,
        body: SensorChangeSchema,
        response: { 200: SensorView },
      },
    },
    async (request) => {
      const uuid = parseSensorId(request.params.uuid);
      const { revision, ...change } = request.body;
      const changed = await changeDocument(
        registry.sensors,
        uuid,
        (sensor) => changedSensor(sensor, change),
        actorOf(request),
        revision,
      );
      return new SensorViews(context).view(existing(changed, uuid));
    },
  );

  app.post(
    '/sensors/:uuid/approve',
    {
      config: { access: 'user' },
      schema: {
        tags,
        operationId: 'approveSensor',
        summary: 'Lets a sensor send; nothing changes if it may already',
        params: UuidParam,
        response: { 200: SensorView },
      },
    },
    async (request) => {
      const uuid = parseSensorId(request.params.uuid);
      return new SensorViews(context).view(await decide(uuid, 'approved', actorOf(request)));
    },
  );

  app.post(
    '/sensors/:uuid/revoke',
    {
      config: { access: 'user' },
      schema: {
        tags,
        operationId: 'revokeSensor',
        summary: 'Takes the approval back and closes the connections',
        params: UuidParam,
        response: { 200: SensorView },
      },
    },
    async (request) => {
      const uuid = parseSensorId(request.params.uuid);
      return new SensorViews(context).view(await decide(uuid, 'revoked', actorOf(request)));
    },
  );

  app.delete(
    '/sensors/:uuid',
    {
      config: { access: 'user' },
      schema: {
        tags,
        operationId: 'removeSensor',
        summary: 'Forgets a sensor and closes its connections; what it sent stays',
        params: UuidParam,
        response: { 204: Type.Null({ description: 'Removed' }) },
      },
    },
    async (request, reply) => {
      const uuid = parseSensorId(request.params.uuid);
      const actor = actorOf(request);
      refuseIfHeld(registry, uuid);
      if (!(await registry.sensors.remove(uuid, actor))) throw noSensor(uuid);
      registry.activity.forget(uuid);
      log.info({ sensor: uuid, by: actor.name }, 'sensor removed');
      return reply.code(204).send(null);
    },
  );

  app.post(
    '/sensors/:uuid/kick',
    {
      config: { access: 'user' },
      schema: {
        tags,
        operationId: 'kickSensor',
        summary: 'Closes the connections of a sensor; it may come again',
        params: UuidParam,
        response: { 200: Kicked },
      },
    },
    async (request) => {
      const uuid = parseSensorId(request.params.uuid);
      existing(registry.sensors.get(uuid), uuid);
      const actor = actorOf(request);
      const connections = ingest.kick(uuid);
      await registry.audit.record({ kind: 'kicked', key: uuid, actor, details: { connections } });
      log.info({ sensor: uuid, connections, by: actor.name }, 'sensor kicked');
      return { connections };
    },
  );

  async function decide(uuid: SensorId, state: Sensor['state'], actor: Actor): Promise<Versioned<Sensor>> {
    const current = existing(registry.sensors.get(uuid), uuid);
    if (current.value.state === state) return current;
    const decided = await changeDocument(registry.sensors, uuid, (sensor) => ({ ...sensor, state }), actor);
    log.info({ sensor: uuid, state, by: actor.name }, 'sensor decided');
    return existing(decided, uuid);
  }
}

/** Null takes a limit away. */
function changedSensor(sensor: Sensor, change: Omit<SensorChange, 'revision'>): Sensor {
  const { maxPayloadBytes, maxBytesPerSecond, maxBytesPerDay, expectedIntervalSeconds, tags, ...others } = change;
  const { hold = sensor.hold === true, acknowledgedOnly = sensor.acknowledgedOnly === true, ...kept } = others;
  const { archivePriority, archiveMaxAgeMs, archiveMaxBytes, ...texts } = kept;
  const {
    hold: _hold,
    acknowledgedOnly: _acknowledgedOnly,
    archive,
    maxPayloadBytes: payload,
    maxBytesPerSecond: rate,
    maxBytesPerDay: quota,
    expectedIntervalSeconds: interval,
    ...rest
  } = sensor;
  return {
    ...rest,
    ...texts,
    ...(tags !== undefined && { tags: [...new Set(tags)] }),
    ...limit('maxPayloadBytes', maxPayloadBytes, payload),
    ...limit('maxBytesPerSecond', maxBytesPerSecond, rate),
    ...limit('maxBytesPerDay', maxBytesPerDay, quota),
    ...limit('expectedIntervalSeconds', expectedIntervalSeconds, interval),
    ...(hold && { hold }),
    ...(acknowledgedOnly && { acknowledgedOnly }),
    ...changedArchiveRules(archive, { archivePriority, archiveMaxAgeMs, archiveMaxBytes }),
  };
}

function limit<N extends string>(
  name: N,
  wanted: number | null | undefined,
  before: number | undefined,
): Partial<Record<N, number>> {
  const value = wanted === undefined ? before : wanted;
  return value === null || value === undefined ? {} : ({ [name]: value } as Record<N, number>);
}

function existing(sensor: Versioned<Sensor> | undefined, uuid: SensorId): Versioned<Sensor> {
  if (sensor === undefined) throw noSensor(uuid);
  return sensor;
}

function noSensor(uuid: SensorId): D4Error {
  return notFound(`no sensor ${uuid}`);
}
