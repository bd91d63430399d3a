import { REFUSALS } from '@d4ts/protocol';
import Type, { type Static } from 'typebox';
import { MAX_PAYLOAD_LIMIT_BYTES } from '../registry/port.ts';
import { ARCHIVE_RULES, ARCHIVE_RULES_CHANGE } from './archive-rules.ts';
import { closed, count, MAX_DESCRIPTION_LENGTH, MAX_MAIL_LENGTH, optionalTime, time, words } from './schema-parts.ts';
import { SENSOR_STATES } from './sensor-state.ts';

/* What the HTTP interface says of sensors, and takes. */

const REFUSAL_CODES = Object.keys(REFUSALS) as (keyof typeof REFUSALS)[];
const refusalCode = words(REFUSAL_CODES, 'The reason');

const byteLimit = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
const expectedInterval = Type.Integer({ minimum: 1, maximum: 31_536_000 });

const SensorTopic = closed('SensorTopic', {
  topic: Type.String(),
  frames: count('Verified frames'),
  bytes: count('Payload'),
  records: count('Items'),
  sessions: count('Sessions ever'),
  skippedBytes: count('Bytes left out, since the format could not keep them'),
  cutRecords: count("Records cut at the format's limit"),
  firstSeen: time('First verified frame'),
  lastSeen: time('Last verified frame'),
});

const SensorRefusal = closed('SensorRefusal', {
  code: refusalCode,
  count: count('How often'),
  lastAt: time('Last'),
  lastAddress: Type.String(),
});

export const ClaimedRefusalView = closed('ClaimedRefusal', {
  code: refusalCode,
  claimed: Type.Union([Type.String(), Type.Null()], { description: 'The uuid that an unproved frame carried' }),
  address: Type.String(),
  count: count('How often'),
  firstAt: time('First'),
  lastAt: time('Last'),
});
export type ClaimedRefusalView = Static<typeof ClaimedRefusalView>;

const AcknowledgedSession = closed('AcknowledgedSession', {
  stream: Type.String({ description: 'The id of its stream: 32 hexadecimal digits' }),
  receivedTo: count('Bytes of the stream up to which it came, earlier sessions included'),
  acknowledgedTo: count('Bytes of the stream up to which it is committed, synced and acknowledged'),
  gaps: count('Gaps that its client has told of in this session'),
  gapBytes: count('Bytes of these gaps'),
});

const OpenStreamView = closed('OpenStream', {
  stream: Type.String({ description: '32 hexadecimal digits' }),
  topic: Type.String(),
  offset: count('Bytes of it that are in the journal, gaps included'),
  lastAt: time('Last entry in the journal'),
  previous: Type.Union([Type.String(), Type.Null()], { description: 'The stream that it goes on for' }),
});

/** A live connection of a sensor. */
export const SessionView = closed('Session', {
  sensor: Type.String(),
  topic: Type.String(),
  address: Type.String(),
  port: Type.Integer(),
  since: time('Start'),
  lastFrameAt: time('Last verified frame'),
  frames: count('Verified frames'),
  bytes: count('Payload'),
  records: count('Items'),
  usesPreviousKey: Type.Optional(
    Type.Boolean({ description: 'Whether it is signed with a key that was replaced, and holds for a while only' }),
  ),
  acknowledged: Type.Optional(AcknowledgedSession),
});

export const SensorView = closed('Sensor', {
  uuid: Type.String(),
  revision: Type.Integer({ minimum: 1, description: 'Grows with each change' }),
  state: words(SENSOR_STATES, `What holds first, of: ${SENSOR_STATES.join(', ')}`),
  refusedFor: Type.Union([refusalCode, Type.Null()], {
    description: 'In state `refused`: the reason of the last verified refusal',
  }),
  registration: words(['pending', 'approved', 'revoked'] as const, 'What an administrator has decided'),
  name: Type.String({ description: 'What people call it; may be empty' }),
  tags: Type.Array(Type.String()),
  description: Type.String(),
  mail: Type.String({ description: 'Of who looks after it' }),
  thirdParty: Type.Boolean(),
  previousKeyUntil: optionalTime('The key before this one holds too until then'),
  unproven: Type.Boolean({ description: 'Registered itself with the default key' }),
  maxPayloadBytes: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], {
    description: "Payload limit, where it is not the server's",
  }),
  maxBytesPerSecond: Type.Union([byteLimit, Type.Null()], { description: 'What it is read at the most; null for all' }),
  maxBytesPerDay: Type.Union([byteLimit, Type.Null()], {
    description: 'What it is read at the most on a day (UTC); null for all',
  }),
  expectedIntervalSeconds: Type.Union([expectedInterval, Type.Null()], {
    description: 'It is watched: silent when nothing came for so long; null where it is not',
  }),
  acknowledgedOnly: Type.Boolean({ description: 'Its sessions without acknowledgement are refused' }),
  hold: Type.Boolean({ description: 'Nothing of it is removed from the archive' }),
  ...ARCHIVE_RULES,
  bytesToday: count('Read today (UTC) over all its connections, frame headers included'),
  createdAt: time('Registered'),
  firstSeen: optionalTime('First verified frame'),
  lastSeen: optionalTime('Last verified frame'),
  lastAddress: Type.Union([Type.String(), Type.Null()]),
  topics: Type.Array(SensorTopic),
  refusals: Type.Array(SensorRefusal, { description: 'Verified: the HMAC was right, or the key is not at fault' }),
  claimedRefusals: Type.Array(ClaimedRefusalView, {
    description: 'Unproved: anybody can claim a uuid; these say nothing certain about the sensor',
  }),
  sessions: Type.Array(SessionView),
  openStreams: Type.Array(OpenStreamView, {
    description: 'Acknowledged streams that have not ended, connected or not, the latest first; at most 100',
  }),
});
export type SensorView = Static<typeof SensorView>;

const MAX_NAME_LENGTH = 200;
const MAX_TAG_LENGTH = 64;
const MAX_TAGS = 50;

const name = Type.String({ maxLength: MAX_NAME_LENGTH, description: 'What people call it' });
const tags = Type.Array(Type.String({ minLength: 1, maxLength: MAX_TAG_LENGTH }), {
  maxItems: MAX_TAGS,
  description: 'Words to find it by; all of them are replaced',
});
const description = Type.String({ maxLength: MAX_DESCRIPTION_LENGTH });
const mail = Type.String({ maxLength: MAX_MAIL_LENGTH });
const maxPayloadBytes = Type.Integer({ minimum: 1, maximum: MAX_PAYLOAD_LIMIT_BYTES });

export const SensorDraft = closed('SensorDraft', {
  uuid: Type.String({ description: 'Version 4, with or without dashes' }),
  key: Type.String({ description: 'The HMAC key: 1 to 1,023 bytes, taken as it is', examples: ['a long random text'] }),
  keyEncoding: Type.Optional(words(['utf8', 'base64'] as const, 'What `key` is; `utf8` if not given')),
  name: Type.Optional(name),
  tags: Type.Optional(tags),
  description: Type.Optional(description),
  mail: Type.Optional(mail),
  thirdParty: Type.Optional(Type.Boolean()),
  maxPayloadBytes: Type.Optional(maxPayloadBytes),
  maxBytesPerSecond: Type.Optional(byteLimit),
  maxBytesPerDay: Type.Optional(byteLimit),
  expectedIntervalSeconds: Type.Optional(expectedInterval),
  approve: Type.Optional(Type.Boolean({ description: 'Approve at once; else the sensor is pending' })),
});

export const SensorChange = closed('SensorChange', {
  revision: Type.Optional(Type.Integer({ minimum: 1, description: 'Change only if it is still this one' })),
  name: Type.Optional(name),
  tags: Type.Optional(tags),
  description: Type.Optional(description),
  mail: Type.Optional(mail),
  thirdParty: Type.Optional(Type.Boolean()),
  maxPayloadBytes: Type.Optional(Type.Union([maxPayloadBytes, Type.Null()])),
  maxBytesPerSecond: Type.Optional(Type.Union([byteLimit, Type.Null()])),
  maxBytesPerDay: Type.Optional(Type.Union([byteLimit, Type.Null()])),
  expectedIntervalSeconds: Type.Optional(Type.Union([expectedInterval, Type.Null()])),
  acknowledgedOnly: Type.Optional(Type.Boolean({ description: 'Refuse sessions without acknowledgement' })),
  hold: Type.Optional(Type.Boolean({ description: 'Remove nothing of it from the archive' })),
  ...ARCHIVE_RULES_CHANGE,
});
export type SensorChange = Static<typeof SensorChange>;

export const Kicked = closed('Kicked', { connections: count('Closed') });
