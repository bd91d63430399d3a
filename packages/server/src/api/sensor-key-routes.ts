import { isUtf8 } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { parseSensorId, type SensorId } from '@d4ts/protocol';
import type { Sensor, Versioned } from '../registry/port.ts';
import type { ApiContext } from './api-context.ts';
import { notFound } from './api-errors.ts';
import { actorOf } from './authentication.ts';
import { changeDocument } from './registry-change.ts';
import type { ApiApp } from './route-types.ts';
import { UuidParam } from './schema-parts.ts';
import { KeyChange, KeyChanged, RevealedKey } from './sensor-key-schemas.ts';
import { newSensorKey, warnOfWellKnownKey } from './sensor-registration.ts';
import { SensorView } from './sensor-schemas.ts';
import { SensorViews } from './sensor-view.ts';

const DAY_SECONDS = 24 * 60 * 60;
const NEW_KEY_BYTES = 32;

/** `/api/v1/sensors/{uuid}/key`: what a sensor signs with. Ingest follows the registry. */
export function sensorKeyRoutes(app: ApiApp, context: ApiContext): void {
  const { registry, log, now } = context;
  const tags = ['sensors'];

  app.post(
    '/sensors/:uuid/key',
    {
      config: { access: 'user' },
      schema: {
        tags,
        operationId: 'replaceSensorKey',
        summary: 'Gives a sensor another key, made by chance if none is given; the one before holds for a while too',
        params: UuidParam,
        body: KeyChange,
        response: { 200: KeyChanged },
      },
    },
    async (request) => {
      const uuid = parseSensorId(request.params.uuid);
      const { revision, keyEncoding, overlapSeconds } = request.body;
      const given = request.body.key;
      const key =
        given === undefined ? randomBytes(NEW_KEY_BYTES).toString('base64url') : newSensorKey(given, keyEncoding);
      const actor = actorOf(request);
      const changed = await changeDocument(
        registry.sensors,
        uuid,
        (sensor) => withKey(sensor, key, overlapSeconds, now()),
        actor,
        revision,
      );
      const sensor = existing(changed, uuid);
      warnOfWellKnownKey(sensor.value, log);
      const { previousKeyUntil } = sensor.value;
      log.info({ sensor: uuid, previousKeyUntil, by: actor.name }, "a sensor's key was replaced");
      return { sensor: new SensorViews(context).view(sensor), key: given === undefined ? key : null };
    },
  );

  app.delete(
    '/sensors/:uuid/key/previous',
    {
      config: { access: 'user' },
      schema: {
        tags,
        operationId: 'endKeyOverlap',
        summary: 'Ends the time in which the key before the last replacement holds too',
        params: UuidParam,
        response: { 200: SensorView },
      },
    },
    async (request) => {
      const uuid = parseSensorId(request.params.uuid);
      const actor = actorOf(request);
      const current = existing(registry.sensors.get(uuid), uuid);
      if (current.value.previousKey === undefined) return new SensorViews(context).view(current);
      const changed = await changeDocument(registry.sensors, uuid, withoutPreviousKey, actor);
      log.info({ sensor: uuid, by: actor.name }, "a sensor's previous key was ended");
      return new SensorViews(context).view(existing(changed, uuid));
    },
  );

  app.post(
    '/sensors/:uuid/key/reveal',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        operationId: 'revealSensorKey',
        summary: "Shows a sensor's key; that is recorded",
        params: UuidParam,
        response: { 200: RevealedKey },
      },
    },
    async (request) => {
      const uuid = parseSensorId(request.params.uuid);
      const { value } = existing(registry.sensors.get(uuid), uuid);
      const actor = actorOf(request);
      await registry.audit.record({ kind: 'key-revealed', key: uuid, actor });
      log.warn({ sensor: uuid, by: actor.name }, "a sensor's key was revealed");
      return keyText(value.key);
    },
  );
}

/** A sensor that got a key of its own is proven from then on. The default key overlaps only where that is asked for. */
function withKey(sensor: Sensor, key: string, overlapSeconds: number | undefined, now: number): Sensor {
  const seconds = overlapSeconds ?? (sensor.unproven ? 0 : DAY_SECONDS);
  const next: Sensor = { ...withoutPreviousKey(sensor), key, unproven: false };
  if (seconds === 0 || sensor.key === key) return next;
  return { ...next, previousKey: sensor.key, previousKeyUntil: now + seconds * 1000 };
}

function withoutPreviousKey({ previousKey: _, previousKeyUntil: __, ...rest }: Sensor): Sensor {
  return rest;
}

/** A key as people can copy it. */
function keyText(key: string): RevealedKey {
  const bytes = Buffer.from(key, 'latin1');
  return isUtf8(bytes)
    ? { key: bytes.toString('utf8'), keyEncoding: 'utf8' }
    : { key: bytes.toString('base64'), keyEncoding: 'base64' };
}

function existing(sensor: Versioned<Sensor> | undefined, uuid: SensorId): Versioned<Sensor> {
  if (sensor === undefined) throw notFound(`no sensor ${uuid}`);
  return sensor;
}
