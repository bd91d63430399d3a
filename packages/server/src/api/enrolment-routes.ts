import { randomBytes } from 'node:crypto';
import {
  D4Error,
  ENROLL_SECRET_BYTES,
  encodeEnrollToken,
  type HostAndPort,
  isClientTopic,
  newSensorId,
  parseSensorId,
  serverAddressText,
} from '@d4ts/protocol';
import type { FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { type EnrolmentState, enrolmentState } from '../registry/enrolment-token.ts';
import type { EnrolmentToken } from '../registry/port.ts';
import { tokenHash } from '../registry/tokens.ts';
import type { ApiContext } from './api-context.ts';
import { notFound } from './api-errors.ts';
import { actorOf, principalOf } from './authentication.ts';
import { type ClientArchiveParts, clientArchive } from './client-archive.ts';
import {
  ConfigurationDraft,
  ConfigurationSettings,
  EnrolmentAdded,
  EnrolmentDraft,
  EnrolmentList,
  EnrolmentView,
} from './enrolment-schemas.ts';
import { enrolmentServer } from './enrolment-server.ts';
import { IdParam } from './people/people-schemas.ts';
import { changeDocument } from './registry-change.ts';
import type { ApiApp } from './route-types.ts';
import { UuidParam } from './schema-parts.ts';
import { newSensorKey, registerSensor } from './sensor-registration.ts';
import { typeName } from './type-name.ts';

const DAY_MS = 24 * 60 * 60_000;
const MAX_VALID_MS = 366 * DAY_MS;
const DEFAULT_TYPE = '3';
const MAX_OPEN = 1_000;
/** With those that cannot be used any more: beyond it the oldest of these are forgotten. */
const MAX_KEPT = 2_000;
const NEW_KEY_BYTES = 32;
/** Where the command line puts the configuration. */
const FOLDER = 'd4-sensor';

interface Draft {
  readonly type?: string;
  readonly server?: string;
  readonly approve?: boolean;
}

/** What is said, or follows. */
interface Settings {
  readonly type: string;
  readonly server: HostAndPort;
  readonly approve: boolean;
}

/** `/api/v1/enrolments`: how sensors are added by who looks after them (docs/enrolment.md). */
export function enrolmentRoutes(app: ApiApp, context: ApiContext): void {
  const { registry, certificate, log, now } = context;
  const tags = ['sensors'];

  app.get(
    '/enrolments',
    {
      config: { access: 'signed-in' },
      schema: {
        tags,
        operationId: 'listEnrolments',
        summary:
          'Tokens with which sensors register themselves, the newest first; with the role sensor_register, the own',
        response: { 200: EnrolmentList },
      },
    },
    (request, reply) => {
      const items = [...registry.enrolments.entries()]
        .filter(([, { value }]) => isSeenBy(request, value))
        .map(([key, { value }]) => viewOf(key, value, now()))
        .sort((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? -1 : 1));
      reply.send({ items });
    },
  );

  app.post(
    '/enrolments',
    {
      config: { access: 'register' },
      schema: {
        tags,
        operationId: 'addEnrolment',
        summary: 'Makes a token with which a sensor registers itself; it is shown this once',
        body: EnrolmentDraft,
        response: { 201: EnrolmentAdded },
      },
    },
    async (request, reply) => {
      const { name = '', tags: words = [], description = '', mail = '', maxUses = 1 } = request.body;
      const { type, server, approve } = settingsOf(request, request.body);
      const createdAt = now();
      const expiresAt = expiryOf(request.body.expiresAt, createdAt);
      await makeRoom(createdAt);
      const actor = actorOf(request);
      const secret = randomBytes(ENROLL_SECRET_BYTES);
      const key = tokenHash(secret.toString('base64url'));
      const kept: EnrolmentToken = {
        name,
        tags: [...new Set(words)],
        description,
        mail,
        type,
        approve,
        server: serverAddressText(server),
        author: actor.name,
        maxUses,
        uses: [],
        createdAt,
        expiresAt,
      };
      const token = encodeEnrollToken({ server, caSha256: certificate.facts().authority.sha256, secret });
      await registry.enrolments.put(key, kept, actor, 0);
      const enrolment = viewOf(key, kept, now());
      log.info({ enrolment: enrolment.id, name, maxUses, expiresAt, by: actor.name }, 'an enrolment token was made');
      return reply.code(201).send({ enrolment, token, command: `d4 client enroll ${token} -c ${FOLDER}` });
    },
  );

  app.delete(
    '/enrolments/:id',
    {
      config: { access: 'register' },
      schema: {
        tags,
        operationId: 'revokeEnrolment',
        summary: 'Revokes a token: no sensor can use it any more; those that have stay',
        params: IdParam,
        response: { 200: EnrolmentView },
      },
    },
    async (request) => {
      const { id } = request.params;
      const found = [...registry.enrolments.entries()].find(
        ([each, { value }]) => tokenId(each) === id && isSeenBy(request, value),
      );
      if (found === undefined) throw notFound(`no enrolment token ${id}`);
      const [key, { value }] = found;
      const state = enrolmentState(value, now());
      if (state !== 'open') throw new D4Error('D4_CONFLICT', `token ${id} ${NOTHING_TO_REVOKE[state]}`);
      const actor = actorOf(request);
      const at = now();
      const revoke = (token: EnrolmentToken): EnrolmentToken => ({ ...token, revokedAt: token.revokedAt ?? at });
      const revoked = await changeDocument(registry.enrolments, key, revoke, actor);
      if (revoked === undefined) throw notFound(`no enrolment token ${id}`);
      log.info({ enrolment: id, by: actor.name }, 'an enrolment token was revoked');
      return viewOf(key, revoked.value, at);
    },
  );

  app.post(
    '/enrolments/configuration',
    {
      config: { access: 'register' },
      schema: {
        tags,
        operationId: 'makeConfiguration',
        summary:
          "Registers a new sensor and answers with its client's configuration directory (.tar.gz), the key in it; `content-location` names the sensor",
        body: ConfigurationDraft,
        response: { 200: Type.Unsafe<Buffer>({ type: 'string', format: 'binary' }) },
      },
    },
    async (request, reply) => {
      const { client, type: _, server: __, approve: ___, ...about } = request.body;
      const { type, approve, ...settings } = settingsOf(request, request.body);
      const server = serverAddressText(settings.server);
      const uuid = newSensorId();
      const key = randomBytes(NEW_KEY_BYTES).toString('base64url');
      const actor = actorOf(request);
      const state = approve ? 'approved' : 'pending';
      await registerSensor(context, { ...about, uuid, key: newSensorKey(key), state }, actor);
      await registry.audit.record({ kind: 'configuration-made', key: uuid, actor, details: { client, type, server } });
      return sendConfiguration(reply, { client, uuid, key: Buffer.from(key), topic: type, server });
    },
  );

  app.post(
    '/sensors/:uuid/configuration',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        operationId: 'makeConfigurationOfSensor',
        summary:
          "Answers with the configuration directory of a sensor's client (.tar.gz), the key in it; that is recorded",
        params: UuidParam,
        body: ConfigurationSettings,
        response: { 200: Type.Unsafe<Buffer>({ type: 'string', format: 'binary' }) },
      },
    },
    async (request, reply) => {
      const uuid = parseSensorId(request.params.uuid);
      const sensor = registry.sensors.get(uuid);
      if (sensor === undefined) throw notFound(`no sensor ${uuid}`);
      const { client } = request.body;
      const { type, ...settings } = settingsOf(request, request.body);
      const server = serverAddressText(settings.server);
      const actor = actorOf(request);
      await registry.audit.record({ kind: 'configuration-made', key: uuid, actor, details: { client, type, server } });
      log.warn({ sensor: uuid, by: actor.name }, "a sensor's key was handed out, in its configuration");
      const key = Buffer.from(sensor.value.key, 'latin1');
      return sendConfiguration(reply, { client, uuid, key, topic: type, server });
    },
  );

  function sendConfiguration(reply: FastifyReply, parts: Omit<ClientArchiveParts, 'ca'>): FastifyReply {
    const { name, bytes } = clientArchive({ ...parts, ca: certificate.facts().authority.pem }, now());
    return reply
      .headers({
        'content-type': 'application/gzip',
        'content-disposition': `attachment; filename="${name}"`,
        'content-location': `/api/v1/sensors/${parts.uuid}`,
      })
      .send(bytes);
  }

  /** @throws {D4Error} D4_FORBIDDEN, D4_BAD_TYPE, D4_TYPE_NOT_ACCEPTED, D4_BAD_SERVER */
  function settingsOf(request: FastifyRequest, draft: Draft): Settings {
    const { approve = false } = draft;
    if (approve && principalOf(request).role === 'sensor_register') {
      throw new D4Error('D4_FORBIDDEN', 'the role sensor_register registers sensors; somebody else approves them');
    }
    const type = typeName(draft.type ?? DEFAULT_TYPE);
    if (!isClientTopic(type)) {
      throw new D4Error('D4_BAD_TYPE', `type ${type} carries a meta type: give the name of that, such as maltrail`);
    }
    if (registry.types.get(type) === undefined) {
      throw new D4Error('D4_TYPE_NOT_ACCEPTED', `type ${type} is not accepted: accept it first (d4 type add ${type})`);
    }
    return { type, approve, server: enrolmentServer(context, draft.server) };
  }

  /** @throws {D4Error} D4_CONFLICT where too many could be used */
  async function makeRoom(at: number): Promise<void> {
    const { enrolments } = registry;
    const closed = [...enrolments.entries()].filter(([, { value }]) => enrolmentState(value, at) !== 'open');
    if (enrolments.size - closed.length >= MAX_OPEN) {
      throw new D4Error('D4_CONFLICT', `there are ${MAX_OPEN} open enrolment tokens already: revoke some`);
    }
    if (enrolments.size < MAX_KEPT) return;
    const oldest = closed.reduce((a, b) => (b[1].value.createdAt < a[1].value.createdAt ? b : a));
    await enrolments.remove(oldest[0], { name: 'server' });
  }
}

/** Why a token that no sensor can use any more is not revoked. */
const NOTHING_TO_REVOKE: Readonly<Record<Exclude<EnrolmentState, 'open'>, string>> = {
  used: 'was used already: no other sensor can use it; what a sensor that has used it may do is a matter of the sensor (d4 sensor revoke)',
  expired: 'has expired already: no sensor can use it',
  revoked: 'was revoked already',
};

/** Who may only register sensors sees the own tokens, and revokes no others. */
function isSeenBy(request: FastifyRequest, { author }: EnrolmentToken): boolean {
  const { role, actor } = principalOf(request);
  return role !== 'sensor_register' || author === actor.name;
}

/** @throws {D4Error} D4_BAD_REQUEST */
function expiryOf(wanted: number | undefined, now: number): number {
  if (wanted === undefined) return now + DAY_MS;
  if (wanted <= now) throw new D4Error('D4_BAD_REQUEST', 'expiresAt is in the past: such a token would never work');
  if (wanted > now + MAX_VALID_MS) throw new D4Error('D4_BAD_REQUEST', 'expiresAt is more than a year ahead');
  return wanted;
}

/** What names a token: the beginning of its hash. */
function tokenId(key: string): string {
  return key.slice(0, 16);
}

function viewOf(key: string, token: EnrolmentToken, now: number): EnrolmentView {
  const { tags, uses, revokedAt, ...rest } = token;
  return {
    id: tokenId(key),
    state: enrolmentState(token, now),
    ...rest,
    tags: [...tags],
    revokedAt: revokedAt ?? null,
    uses: uses.map(({ sensor, address, at }) => ({ sensor, address, at })),
  };
}
