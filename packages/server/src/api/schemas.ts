import Type, { type Static } from 'typebox';
import { FILE_KINDS } from '../archive/announcement.ts';
import { FILE_STATES } from '../archive/file-content.ts';
import { REMOVAL_REASONS } from '../retention/port.ts';
import { ARCHIVE_RULES, ARCHIVE_RULES_CHANGE } from './archive-rules.ts';
import { ReplayView } from './queue-record-schemas.ts';
import { SpaceView } from './retention-schemas.ts';
import { closed, count, ListQuery, MAX_DESCRIPTION_LENGTH, optionalTime, time, words } from './schema-parts.ts';
import { ClaimedRefusalView, SessionView } from './sensor-schemas.ts';

/*
 * The documents of the HTTP interface. The same schemas validate requests, write answers and make the OpenAPI
 * description; a schema with a `title` becomes a named one there. Times are ms since 1970, sizes bytes.
 */

const description = Type.String({ maxLength: MAX_DESCRIPTION_LENGTH });

/* Types */

export const TypeView = closed('Type', {
  name: Type.String({ description: "A type's number, or a meta type's name" }),
  title: Type.String({ description: 'What it carries' }),
  revision: Type.Integer({ minimum: 1, description: 'Grows with each change' }),
  ...ARCHIVE_RULES,
  maxJournalBytes: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], {
    description: 'What the journal keeps of it at the most, where it is not what holds for all',
  }),
  createdAt: time('Accepted'),
});
export type TypeView = Static<typeof TypeView>;

export const TypeChange = closed('TypeChange', {
  revision: Type.Optional(Type.Integer({ minimum: 1, description: 'Change only if it is still this one' })),
  ...ARCHIVE_RULES_CHANGE,
  maxJournalBytes: Type.Optional(
    Type.Union([Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }), Type.Null()]),
  ),
});

export const TypeDraft = closed('TypeDraft', {
  name: Type.String({ maxLength: 64, description: "A number from 1 to 254, or a meta type's name" }),
});

export const TypeParam = Type.Object({ name: Type.String() });

/* Queues */

const group = (description: string) => Type.Array(Type.String(), { minItems: 1, maxItems: 20_000, description });

export const QueueView = closed('Queue', {
  uuid: Type.String(),
  topic: Type.String(),
  key: Type.String({ description: 'Its Redis key' }),
  description: Type.String(),
  limit: count('Items; beyond it the oldest are dropped'),
  group: Type.Union([Type.Array(Type.String()), Type.Null()], {
    description: 'The sensors whose records it takes from now on; null for all',
  }),
  credential: Type.Union(
    [Type.Object({ push: Type.Boolean(), createdAt: time('Issued') }, { additionalProperties: false }), Type.Null()],
    { description: 'What is known of the credential that opens it; null where it has none' },
  ),
  revision: Type.Integer({ minimum: 1, description: 'Grows with each change' }),
  length: count('Items waiting'),
  taken: count('Items taken'),
  dropped: count('Items dropped over the limit'),
  flushed: count('Items flushed'),
  claimed: count('Items that consumers have and have not acknowledged; not in `length`'),
  rewound: count('Items that came again because the position was moved back'),
  replayed: count('Items that came out of replays'),
  replays: Type.Array(ReplayView, { description: 'Those under way, and those that were over last' }),
  createdAt: time('Made'),
});
export type QueueView = Static<typeof QueueView>;

export const QueueDraft = closed('QueueDraft', {
  type: Type.String({ maxLength: 64, description: "An accepted type's number, or an accepted meta type's name" }),
  uuid: Type.Optional(Type.String({ description: 'A new one if not given' })),
  description: Type.Optional(description),
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER, description: 'Items; 100,000,000 if not given' }),
  ),
  group: Type.Optional(group('Takes the records of these sensors alone')),
  from: Type.Optional(
    Type.Integer({ minimum: 0, description: 'Starts with the first record at or after this time, ms since 1970' }),
  ),
});

export const QueueChangeBody = closed('QueueChange', {
  revision: Type.Optional(Type.Integer({ minimum: 1, description: 'Change only if it is still this one' })),
  description: Type.Optional(description),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER, description: 'Items' })),
  add: Type.Optional(group('Sensors to add to its group, from the records that come now on')),
  remove: Type.Optional(group('Sensors to take out of its group, from the records that come now on')),
});

export const CredentialDraft = closed('CredentialDraft', {
  push: Type.Optional(Type.Boolean({ description: 'It may also put items into the queue' })),
});

export const Credential = closed('Credential', {
  queue: Type.String(),
  secret: Type.String({ description: 'For AUTH; it is not kept and cannot be shown again' }),
  push: Type.Boolean(),
});
export type Credential = Static<typeof Credential>;

export const ItemQuery = Type.Object(
  {
    count: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000, description: 'At most so many; 1 if not given' })),
  },
  { additionalProperties: false },
);

export const ItemView = closed('Item', {
  data: Type.String(),
  encoding: words(['utf8', 'base64'] as const, 'base64 where the bytes are not valid UTF-8'),
});
export type ItemView = Static<typeof ItemView>;

export const Items = closed('Items', {
  items: Type.Array(ItemView, { description: 'The oldest first; cut short at 8 MiB' }),
  length: count('Items waiting now'),
});
export type Items = Static<typeof Items>;

export const Flushed = closed('Flushed', { flushed: count('Items') });

/* Blocks */

export const BlockView = closed('Block', {
  target: Type.String({ description: 'An address, a network in CIDR notation, or a uuid' }),
  kind: words(['network', 'sensor'] as const, 'What it blocks'),
  reason: Type.String(),
  author: Type.Union([Type.String(), Type.Null()], { description: 'Who made it' }),
  expiresAt: optionalTime('Ends then'),
  createdAt: time('Made'),
});
export type BlockView = Static<typeof BlockView>;

export const BlockDraft = closed('BlockDraft', {
  target: Type.String({ maxLength: 100, description: 'An address, a network in CIDR notation, or a uuid' }),
  reason: Type.Optional(description),
  expiresAt: Type.Optional(time('Ends then; never if not given')),
});

export const BlockParam = Type.Object({
  target: Type.String({ description: 'With `/` written as `%2F`', examples: ['192.0.2.0%2F24'] }),
});

/* The archive */

export const ArchivedFileView = closed('ArchivedFile', {
  id: Type.String({ description: 'Stays the same', examples: ['3:17'] }),
  topic: Type.String(),
  sensor: Type.String(),
  sensorName: Type.String({
    description: 'What people call the sensor; empty where it has no name, or is not registered any more',
  }),
  stream: Type.String({ description: 'The session that sent it' }),
  kind: words(
    FILE_KINDS,
    'A part of a stream, what was left of a record at its end, one record, or records that make no files',
  ),
  item: Type.Boolean({ description: 'Whether queues of the topic got its path' }),
  path: Type.String({ description: "On the server's machine" }),
  bytes: count('On disk'),
  sha256: Type.String({ description: 'Of what is on disk, lower-case hexadecimal' }),
  state: words(FILE_STATES, "Whether it is still what was finished; `outside` where the archive's root was changed"),
  removedAt: optionalTime('Removed by retention, or erased'),
  removedFor: Type.Union([words(REMOVAL_REASONS, 'Why'), Type.Null()], {
    description: 'Why the server has removed it; null where it has not',
  }),
  fromByte: count('Of the stream: the first byte in it'),
  toByte: count('Of the stream: the byte after the last one in it'),
  firstTime: time('Its first bytes came'),
  lastTime: time('Its last bytes came'),
  announcedAt: time('Finished'),
});
export type ArchivedFileView = Static<typeof ArchivedFileView>;

export const ArchivedFilePage = closed('ArchivedFilePage', {
  items: Type.Array(ArchivedFileView),
  next: Type.Union([Type.String(), Type.Null()], {
    description: '`after` of the next page; null on the last. A page may be empty and yet not the last',
  }),
});
export type ArchivedFilePage = Static<typeof ArchivedFilePage>;

export const ArchivedFileQuery = Type.Object(
  {
    sensor: Type.Optional(Type.String({ maxLength: 100, description: 'A uuid, with or without dashes' })),
    type: Type.Optional(Type.String({ maxLength: 64, description: "A type's number, or a meta type's name" })),
    from: Type.Optional(time('Files with bytes that came at or after this time')),
    to: Type.Optional(time('Files with bytes that came before this time')),
    path: Type.Optional(
      Type.String({ maxLength: 4_096, description: "The file of this path, absolute or below the archive's root" }),
    ),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1_000, description: 'At most so many; 100 if not given' }),
    ),
    after: ListQuery.after,
  },
  { additionalProperties: false },
);
export type ArchivedFileQuery = Static<typeof ArchivedFileQuery>;

export const FileParam = Type.Object({ id: Type.String({ examples: ['3:17'] }) });

export const ContentQuery = Type.Object(
  { stored: Type.Optional(Type.Boolean({ description: 'As it is on disk: compressed, if it is' })) },
  { additionalProperties: false },
);

/* The server */

export const Health = closed('Health', { status: words(['ready', 'not ready'] as const, 'Whether it serves') });

const TopicView = closed('Topic', {
  topic: Type.String(),
  firstSequence: count('The first entry still held'),
  endSequence: count('The first entry not yet committed'),
  segments: count('Segments held'),
  bytes: count('On disk'),
  records: count('Items held'),
  gaps: count('Damaged places that recovery found'),
  gapBytes: count('What was set aside there'),
});

const KnockView = closed('Knock', {
  uuid: Type.String(),
  address: Type.String(),
  type: Type.Integer(),
  count: count('How often'),
  firstAt: time('First'),
  lastAt: time('Last'),
});

const UnknownConsumerView = closed('UnknownQueueConsumer', {
  key: Type.String(),
  address: Type.String(),
  count: count('How often'),
  lastAt: time('Last'),
});

const counts = (description: string) => Type.Record(Type.String(), count('How many'), { description });

export const Status = closed('Status', {
  version: Type.String(),
  startedAt: time('Start'),
  uptimeSeconds: Type.Integer({ minimum: 0 }),
  mode: words(['registration', 'shared-secret'] as const, 'How sensors become known'),
  home: Type.String(),
  addresses: Type.Union([
    Type.Object({ listen: Type.String(), web: Type.String(), redis: Type.String() }, { additionalProperties: false }),
    Type.Null(),
  ]),
  certificateSha256: Type.String({ description: "Of the server's certificate (DER), lower-case hexadecimal" }),
  connections: Type.Object({ sensors: count("On the sensors' port"), analyzers: count("On the analyzers' port") }),
  sessions: Type.Array(SessionView),
  sensors: Type.Object({
    total: count('Registered'),
    byState: counts('By state'),
    suspectedClones: Type.Array(Type.String()),
  }),
  refusals: counts('Since the home was made, by reason'),
  claimedRefusals: Type.Array(ClaimedRefusalView, { description: 'The latest 100, the latest first' }),
  knocks: Type.Array(KnockView, { description: 'Unregistered sensors; the latest 100, the latest first' }),
  queues: Type.Array(QueueView),
  unknownQueueConsumers: Type.Array(UnknownConsumerView),
  topics: Type.Array(TopicView),
  archive: Type.Object(
    {
      root: Type.String(),
      paused: Type.Boolean(),
      topics: Type.Array(
        closed('ArchivedTopic', {
          topic: Type.String(),
          lagMs: count('ms behind; 0 where nothing waits'),
          filesFinished: count('Files finished since the start'),
          rejected: counts('Records that made no files since the start, by reason'),
          error: Type.Union([Type.String(), Type.Null()], { description: 'Why it does not go on, where it does not' }),
        }),
      ),
    },
    { additionalProperties: false },
  ),
  space: SpaceView,
  backPressure: Type.Object({ paused: count('Sessions held back now'), pauses: count('How often') }),
  memory: Type.Object({
    rssBytes: count('Resident'),
    heapUsedBytes: count('Objects'),
    externalBytes: count('Outside of the heap'),
    arrayBufferBytes: count('Buffers'),
  }),
});
export type Status = Static<typeof Status>;
