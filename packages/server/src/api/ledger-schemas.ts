import Type, { type Static, type TSchema } from 'typebox';
import { REASON_KINDS } from '../monitor/ledger/measures.ts';
import { closed, count, time, words } from './schema-parts.ts';

/* The documents of the ledger (docs/ledger.md). Bytes of sensors are payload of their streams. */

const whole = (description: string) => Type.Integer({ description });
const part = <P extends Record<string, TSchema>>(properties: P) =>
  Type.Object(properties, { additionalProperties: false });

const amounts = {
  received: part({ frames: count('Verified and refused'), bytes: count('Verified, refused and unfinished') }),
  verified: part({ frames: count('With a right HMAC'), bytes: count('Payload in them') }),
  refused: part({ count: count('Refusals'), bytes: count('What came and is in no verified frame for it') }),
  unfinishedBytes: count('Of last frames that never were whole'),
  duplicateBytes: count('Offered again though the server had them, and recognised'),
  sessions: count('Begun'),
  journaled: part({ records: count('Items'), bytes: count('Of records') }),
  gaps: part({
    count: count('How many'),
    leftOutBytes: count('Came, and the format could not keep them'),
    missingBytes: count('Never came'),
  }),
  lostBytes: count('Verified, and never journaled'),
  resentBytes: count('Verified, not committed when the connection ended, and sent again: acknowledged streams'),
  archived: part({ bytes: count('Of streams'), files: count('Finished'), fileBytes: count('On disk') }),
  queued: count('Items offered to queues, once for each'),
  delivered: count('Items that consumers took'),
  dropped: count('Items that queues dropped'),
  removed: part({
    records: count('Items of the journal'),
    bytes: count('Of these records'),
    files: count('Of the archive'),
    fileBytes: count('On disk'),
  }),
  damagedRecords: count('Items that the journal lost'),
  reasons: Type.Array(
    part({
      kind: words(REASON_KINDS, 'What it is the reason of'),
      reason: Type.String(),
      count: count('How often'),
      bytes: count('0 where bytes have no meaning'),
    }),
  ),
};

export const LedgerRow = closed('LedgerRow', {
  start: time('The hour or day (UTC) begins'),
  topic: Type.String(),
  ...amounts,
});
export type LedgerRow = Static<typeof LedgerRow>;

const StreamBalanceView = closed('StreamBalance', {
  sensor: Type.String(),
  topic: Type.String(),
  verified: count('Bytes'),
  journaled: count('Bytes'),
  leftOut: count('Bytes'),
  lost: count('Bytes'),
  resent: count('Bytes'),
  inFlight: whole('The rest: bytes on their way'),
  balances: Type.Boolean({ description: 'Whether the rest is 0, or something is on its way in fact' }),
});

const TopicBalanceView = closed('TopicBalance', {
  topic: Type.String(),
  origin: count('Items held when the ledger began'),
  journaled: count('Items'),
  removed: count('Items that retention removed'),
  damaged: count('Items lost to damage'),
  held: count('Items in the journal'),
  difference: whole('Should be held, and is not'),
  balances: Type.Boolean(),
});

const GapView = closed('Gap', {
  time: time('Recorded'),
  topic: Type.String(),
  stream: Type.String(),
  from: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], { description: 'Byte of the stream' }),
  to: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], { description: 'The byte after the last one' }),
  bytes: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], { description: 'null where that is not known' }),
  cause: Type.String(),
  kind: words(['left-out', 'missing', 'damage'] as const, 'Came and was not kept; never came; the journal was damaged'),
});

const frame = {
  by: words(['hour', 'day'] as const, 'What a row is'),
  from: time('First'),
  to: time('Before this'),
  rows: Type.Array(LedgerRow, { description: 'Those with anything in them, the oldest first' }),
  balances: Type.Boolean({ description: 'Whether what came is what is kept and what is counted as gone' }),
};

export const SensorLedger = closed('SensorLedger', {
  uuid: Type.String(),
  ...frame,
  totals: Type.Array(StreamBalanceView, { description: 'Since the ledger began, by topic' }),
  gaps: Type.Array(GapView, { description: 'The newest 1,000, the newest first' }),
});
export type SensorLedger = Static<typeof SensorLedger>;

export const ServerLedger = closed('ServerLedger', {
  ...frame,
  topics: Type.Array(TopicBalanceView, { description: 'What the journal holds, by topic' }),
  streams: Type.Array(StreamBalanceView, { description: 'Of all sensors together, by topic' }),
  unbalanced: Type.Array(StreamBalanceView, { description: 'Sensors whose streams do not balance; the first 100' }),
});
export type ServerLedger = Static<typeof ServerLedger>;

export const LedgerQuery = Type.Object(
  {
    from: Type.Optional(time('24 hours ago, or with days 30 days ago, if not given')),
    to: Type.Optional(time('Now if not given')),
    by: Type.Optional(words(['hour', 'day'] as const, 'Hours if not given')),
    topic: Type.Optional(Type.String({ maxLength: 64, description: 'Only this type' })),
  },
  { additionalProperties: false },
);
export type LedgerQuery = Static<typeof LedgerQuery>;
