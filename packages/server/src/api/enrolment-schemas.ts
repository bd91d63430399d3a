import Type, { type Static } from 'typebox';
import { ENROLMENT_STATES } from '../registry/enrolment-token.ts';
import { closed, count, optionalTime, time, words } from './schema-parts.ts';
import { SensorDraft } from './sensor-schemas.ts';

/* How sensors are added by who looks after them: with tokens, or with a configuration (docs/enrolment.md). */

const MAX_USES = 100;

const server = Type.String({
  maxLength: 300,
  description:
    "HOST:PORT by which sensors reach this server, a name or address of its certificate; if not given, where it listens, or the certificate's first name",
  examples: ['d4.example.org:4443'],
});

/** What sensors get that are added this way. */
const given = {
  name: SensorDraft.properties.name,
  tags: SensorDraft.properties.tags,
  description: SensorDraft.properties.description,
  mail: SensorDraft.properties.mail,
  type: Type.Optional(
    Type.String({
      maxLength: 64,
      description: "What they are to send: an accepted type's number, or an accepted meta type's name; 3 if not given",
      examples: ['3', 'maltrail'],
    }),
  ),
  approve: Type.Optional(
    Type.Boolean({ description: 'They may send at once, else somebody approves them. For the roles user and admin' }),
  ),
  server: Type.Optional(server),
};

export const EnrolmentDraft = closed('EnrolmentDraft', {
  ...given,
  maxUses: Type.Optional(
    Type.Integer({ minimum: 1, maximum: MAX_USES, description: 'How many sensors may use it; 1 if not given' }),
  ),
  expiresAt: Type.Optional(time('Works until then, at most a year; a day if not given')),
});
export type EnrolmentDraft = Static<typeof EnrolmentDraft>;

export const EnrolmentView = closed('Enrolment', {
  id: Type.String({ description: 'Names the token; says nothing about its secret', examples: ['8f1172cf625b99f6'] }),
  state: words(ENROLMENT_STATES, 'Whether it can be used, or why not'),
  name: Type.String({ description: 'What the sensor will be called; may be empty. With several uses, numbered' }),
  tags: Type.Array(Type.String()),
  description: Type.String(),
  mail: Type.String(),
  type: Type.String({ description: 'What its sensors are told to send' }),
  approve: Type.Boolean({ description: 'Its sensors may send at once' }),
  server: Type.String({ description: 'Where they are sent to' }),
  author: Type.String({ description: 'Who made it' }),
  createdAt: time('Made'),
  expiresAt: time('Works until then'),
  revokedAt: optionalTime('Revoked'),
  maxUses: count('Sensors that may use it'),
  uses: Type.Array(
    Type.Object(
      { sensor: Type.String(), address: Type.String({ description: 'Where from' }), at: time('Used') },
      { additionalProperties: false },
    ),
    { description: 'Sensors that have used it, the first first' },
  ),
});
export type EnrolmentView = Static<typeof EnrolmentView>;

export const EnrolmentList = closed('EnrolmentList', { items: Type.Array(EnrolmentView) });
export type EnrolmentList = Static<typeof EnrolmentList>;

export const EnrolmentAdded = closed('EnrolmentAdded', {
  enrolment: EnrolmentView,
  token: Type.String({
    description: 'What the sensor is given: address, fingerprint of the CA, and a secret; it is not kept',
    examples: ['d4e1_…'],
  }),
  command: Type.String({
    description: 'To be typed on the sensor',
    examples: ['d4 client enroll d4e1_… -c d4-sensor'],
  }),
});
export type EnrolmentAdded = Static<typeof EnrolmentAdded>;

export const CLIENT_KINDS = ['d4', 'go', 'c'] as const;
export type ClientKind = (typeof CLIENT_KINDS)[number];

export const ConfigurationDraft = closed('ConfigurationDraft', {
  client: words(CLIENT_KINDS, 'For `d4 client`, the Go client, or the C client with socat'),
  ...given,
});

export const ConfigurationSettings = closed('ConfigurationSettings', {
  client: ConfigurationDraft.properties.client,
  type: given.type,
  server: given.server,
});
