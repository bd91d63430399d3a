import { D4Error, sensorIdHex } from '@d4ts/protocol';
import Type from 'typebox';
import type { ApiContext } from './api-context.ts';
import type { ApiErrorCode } from './api-errors.ts';
import { actorOf } from './authentication.ts';
import type { ApiApp } from './route-types.ts';
import { MAX_DESCRIPTION_LENGTH, MAX_MAIL_LENGTH } from './schema-parts.ts';
import { newSensorKey, newSensorUuid, registerSensor } from './sensor-registration.ts';

/** What the reference server says where we have a code of our own; other errors keep our message. */
export const REFERENCE_REASONS: Partial<Record<ApiErrorCode, string>> = {
  D4_TOKEN_MISSING: 'Authentication needed',
  D4_TOKEN_UNKNOWN: 'Authentication failed',
  D4_FORBIDDEN: 'Access Forbidden',
  D4_BAD_UUID: 'Invalid uuid',
  D4_CONFLICT: 'Sensor already registered',
};

/** An error as the reference server answers it. */
export const ReferenceErrorBody = Type.Object(
  { status: Type.Literal('error'), reason: Type.String() },
  { title: 'ReferenceError', additionalProperties: false },
);

const Registration = Type.Object(
  {
    uuid: Type.String({ description: 'Version 4, with or without dashes' }),
    hmac_key: Type.String({ description: 'At most 1,023 bytes, taken as it is' }),
    description: Type.Optional(Type.String()),
    mail: Type.Optional(Type.String()),
    third_party: Type.Optional(Type.Boolean()),
  },
  { title: 'Registration' },
);

/** The two calls of the reference server that scripts and sensors use: their answers are its own, exactly. */
export function dropInRoutes(app: ApiApp, context: ApiContext): void {
  const tags = ['reference'];

  app.post(
    '/add/sensor/register',
    {
      config: { access: 'register', errors: 'reference' },
      attachValidation: true,
      schema: {
        tags,
        operationId: 'registerSensorAsReference',
        summary: 'Registers a sensor, which then waits for approval; as the reference server answers it',
        body: Registration,
        response: {
          200: Type.Object({ uuid: Type.String({ description: '32 hexadecimal digits' }) }, { title: 'Registered' }),
        },
      },
    },
    async (request) => {
      const draft = registrationOf(request.body);
      const { value } = await registerSensor(context, { ...draft, state: 'pending' }, actorOf(request));
      return { uuid: sensorIdHex(value.uuid) };
    },
  );

  app.get(
    '/sensors/monitoring/errors',
    {
      config: { access: 'viewer', errors: 'reference' },
      schema: {
        tags,
        operationId: 'listSilentSensorsAsReference',
        summary: 'The uuids of the monitored sensors (with an expected interval) that are silent',
        response: { 200: Type.Array(Type.String()) },
      },
    },
    (_request, reply) => {
      reply.send(context.monitor.silence.silent());
    },
  );
}

/** As lenient as the reference server: null and other types are as good as absent. */
function registrationOf(body: unknown) {
  const fields: Record<string, unknown> = typeof body === 'object' && body !== null ? { ...body } : {};
  const uuidText = textOf(fields.uuid);
  if (uuidText === '') throw missing();
  const uuid = newSensorUuid(uuidText.replaceAll('-', ''));
  const key = textOf(fields.hmac_key);
  if (key === '') throw missing();
  return {
    uuid,
    key: newSensorKey(key),
    description: boundedText('description', fields.description, MAX_DESCRIPTION_LENGTH),
    mail: boundedText('mail', fields.mail, MAX_MAIL_LENGTH),
    thirdParty: Boolean(fields.third_party),
  };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** @throws {D4Error} D4_BAD_REQUEST where the text is longer than `length` characters */
function boundedText(name: string, value: unknown, length: number): string {
  const text = textOf(value);
  if (text.length > length) throw new D4Error('D4_BAD_REQUEST', `${name} has more than ${length} characters`);
  return text;
}

function missing(): D4Error {
  return new D4Error('D4_BAD_REQUEST', 'Mandatory parameter(s) not provided');
}
