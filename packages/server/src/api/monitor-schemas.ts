import Type, { type Static, type TSchema } from 'typebox';
import { ATTENTION_KINDS } from './attention.ts';
import { closed, count, time, words } from './schema-parts.ts';

/* The documents of rates, history and the overview. Frames and bytes of sensors are verified; bytes are payload. */

const each = (description: string) => Type.Number({ minimum: 0, description });
const part = <P extends Record<string, TSchema>>(properties: P) =>
  Type.Object(properties, { additionalProperties: false });

const rate = { frames: each('Each second'), bytes: each('Each second') };
const queueRate = { in: each('Items that come, each second'), out: each('Items that go, each second') };
const minutes = part({
  frames: Type.Array(Type.Number(), { description: 'Of each of the last 60 minutes, the oldest first' }),
  bytes: Type.Array(Type.Number(), { description: 'The same' }),
});

export const Rates = closed('Rates', {
  at: time('As of'),
  total: part(rate),
  topics: Type.Array(part({ topic: Type.String(), ...rate })),
  sensors: Type.Array(part({ uuid: Type.String(), ...rate }), { description: 'Those that are sending' }),
  queues: Type.Array(part({ uuid: Type.String(), topic: Type.String(), length: count('Items waiting'), ...queueRate })),
  minutes,
  sparklines: Type.Optional(
    Type.Record(Type.String(), Type.Array(Type.Number()), {
      description: 'Bytes of each of the last 60 minutes, of each sensor that has sent any',
    }),
  ),
});
export type Rates = Static<typeof Rates>;

export const RatesQuery = Type.Object(
  { sparklines: Type.Optional(Type.Boolean({ description: 'Also the last hour of each sensor' })) },
  { additionalProperties: false },
);

const series = (description: string) => Type.Array(Type.Number(), { description });

export const History = closed('History', {
  uuid: Type.String(),
  range: words(['hour', 'day', 'month'] as const, 'By minute, by hour, by day'),
  start: time('Of the first point'),
  stepMs: count('From one point to the next'),
  points: count('How many'),
  topics: Type.Array(
    closed('TopicHistory', {
      topic: Type.String(),
      frames: series('Verified'),
      bytes: series('Payload'),
      records: series('Items journaled; nothing by minute'),
      files: series('Files finished; nothing by minute'),
    }),
  ),
});
export type History = Static<typeof History>;

export const HistoryQuery = Type.Object(
  { range: Type.Optional(words(['hour', 'day', 'month'] as const, 'The last hour, day or 30 days; day if not given')) },
  { additionalProperties: false },
);

export const SessionsQuery = Type.Object(
  {
    from: Type.Optional(Type.Integer({ minimum: 0, description: 'ms since 1970; a week before `to` if not given' })),
    to: Type.Optional(Type.Integer({ minimum: 0, description: 'ms since 1970; now if not given' })),
  },
  { additionalProperties: false },
);

/** Sessions of one sensor, one type and one address that followed each other within a minute. */
export const SessionTimeline = closed('SessionTimeline', {
  from: time('From'),
  to: time('To'),
  items: Type.Array(
    closed('SessionSpan', {
      topic: Type.String(),
      address: Type.String(),
      since: time('Connected'),
      until: time('Gone; last seen there, if it is there now'),
      live: Type.Boolean({ description: 'Whether it is connected now' }),
      connections: Type.Integer({
        minimum: 1,
        description: 'Connections of the same type from the same address, each within a minute after the one before',
      }),
      frames: count('Verified; 0 of a connection that was there for seconds only'),
      bytes: count('Payload; likewise'),
    }),
    { description: 'The newest first: the last 500 of 90 days are kept' },
  ),
});

const AttentionView = closed('Attention', {
  kind: words(ATTENTION_KINDS, 'What it is; match on it'),
  urgency: words(['now', 'soon', 'info'] as const, 'How urgent'),
  message: Type.String({ description: 'For people' }),
  count: count('How many sensors, queues, types or disks'),
  of: Type.Array(Type.String(), { description: 'The first 10 of them' }),
});

const sums = { frames: count('Verified'), bytes: count('Payload') };

const spaceState = words(['ok', 'pressure', 'stopped'] as const, 'stopped: no sensor is read until there is space');

const DiskView = closed('DiskSpace', {
  state: spaceState,
  reason: Type.Union([Type.String(), Type.Null()], { description: 'In words, where the state is not ok' }),
  forecast: words(['unknown', 'never', 'full'] as const, 'Whether a disk will be full at the present rate'),
  fullInDays: Type.Union([Type.Number({ minimum: 0 }), Type.Null()]),
  disks: Type.Array(
    part({
      path: Type.String(),
      bytes: count('In all'),
      freeBytes: count('Free'),
      reserveBytes: count('Never used for data'),
      state: spaceState,
    }),
  ),
});

export const Overview = closed('Overview', {
  at: time('As of'),
  sensors: part({
    total: count('Registered'),
    byState: Type.Record(Type.String(), count('How many'), { description: 'Every state is named' }),
  }),
  sessions: count('Live'),
  rates: part({
    total: part(rate),
    topics: Type.Array(part({ topic: Type.String(), ...rate })),
    minutes,
  }),
  today: part({
    ...sums,
    topics: Type.Array(part({ topic: Type.String(), ...sums }), { description: 'The 10 with most bytes' }),
    sensors: Type.Array(part({ uuid: Type.String(), name: Type.String(), description: Type.String(), ...sums }), {
      description: 'The 10 with most bytes',
    }),
  }),
  queues: Type.Array(
    part({
      uuid: Type.String(),
      topic: Type.String(),
      description: Type.String(),
      length: count('Items waiting'),
      limit: count('Items'),
      ...queueRate,
    }),
    { description: 'The 10 that grow most' },
  ),
  disk: DiskView,
  archive: part({ paused: Type.Boolean(), lagMs: count('How far it is behind at the most') }),
  backPressure: part({ paused: count('Connections that are not read'), pauses: count('How often since the start') }),
  attention: Type.Array(AttentionView, { description: 'The most urgent first' }),
});
export type Overview = Static<typeof Overview>;
