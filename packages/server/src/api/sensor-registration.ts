import { D4Error, isVersion4, parseSensorId, type SensorId } from '@d4ts/protocol';
import type { Actor, Sensor, Versioned } from '../registry/port.ts';
import type { ApiContext, ApiLog } from './api-context.ts';

/** Longest key, in bytes, as the clients in the field have it. */
const MAX_KEY_BYTES = 1_023;

/** The key that the reference server and clients come with; everybody knows it. */
const WELL_KNOWN_KEY = 'private key to change';

/** A sensor's uuid. @throws {D4Error} D4_BAD_UUID where it is not one of version 4 */
export function newSensorUuid(text: string): SensorId {
  const uuid = parseSensorId(text);
  if (!isVersion4(uuid)) {
    throw new D4Error(
      'D4_BAD_UUID',
      `${uuid} is not a UUID of version 4, which a sensor needs: make one with "uuidgen -r"`,
    );
  }
  return uuid;
}

/**
 * A sensor's key as it is kept: one latin1 character for each byte.
 * @throws {D4Error} D4_BAD_KEY
 */
export function newSensorKey(text: string, encoding: 'utf8' | 'base64' = 'utf8'): string {
  const bytes = Buffer.from(text, encoding);
  if (encoding === 'base64' && bytes.toString('base64') !== text) {
    throw new D4Error('D4_BAD_KEY', 'the key is not base64 (RFC 4648, section 4, with padding)');
  }
  if (bytes.length === 0 || bytes.length > MAX_KEY_BYTES) {
    throw new D4Error('D4_BAD_KEY', `the key has ${bytes.length} bytes: expected 1 to ${MAX_KEY_BYTES}`);
  }
  return bytes.toString('latin1');
}

/**
 * Registers a sensor that does not exist yet.
 * @throws {D4Error} D4_CONFLICT where it exists
 */
export async function registerSensor(
  { registry, log, now }: ApiContext,
  draft: Pick<Sensor, 'uuid' | 'key' | 'state'> & Partial<Sensor>,
  actor: Actor,
): Promise<Versioned<Sensor>> {
  if (registry.sensors.get(draft.uuid) !== undefined) throw alreadyRegistered(draft.uuid);
  const sensor: Sensor = {
    description: '',
    mail: '',
    thirdParty: false,
    unproven: false,
    createdAt: now(),
    ...draft,
  };
  const registered = await registry.sensors.put(draft.uuid, sensor, actor, 0);
  warnOfWellKnownKey(sensor, log);
  log.info({ sensor: draft.uuid, state: draft.state, by: actor.name }, 'sensor registered');
  return registered;
}

/** Says it in the log where a sensor has the key that everybody knows. */
export function warnOfWellKnownKey({ uuid, key }: Pick<Sensor, 'uuid' | 'key'>, log: ApiLog): void {
  if (key !== WELL_KNOWN_KEY) return;
  log.warn({ sensor: uuid }, 'a sensor has the well-known default key: anybody can imitate it');
}

function alreadyRegistered(uuid: SensorId): D4Error {
  return new D4Error('D4_CONFLICT', `sensor ${uuid} is registered already`);
}
