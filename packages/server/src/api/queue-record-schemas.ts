import Type, { type Static } from 'typebox';
import { closed, count, optionalTime, time, words } from './schema-parts.ts';

/* What consumers with acknowledgement, and replays, say and are told. */

export const RECORD_FORMATS = ['json', 'ndjson', 'sse'] as const;
export type RecordFormat = (typeof RECORD_FORMATS)[number];

export const RecordQuery = Type.Object(
  {
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 10_000,
        description: 'At most so many records; in a stream at most so many that are not acknowledged. 100 if not given',
      }),
    ),
    wait: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 60, description: 'Seconds to wait for the first record; 0 if not given' }),
    ),
    visibility: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 43_200,
        description: 'Seconds after which what is not acknowledged is delivered again; 60 if not given',
      }),
    ),
    format: Type.Optional(words(RECORD_FORMATS, 'Wins over the header `accept`; `json` if neither says so')),
  },
  { additionalProperties: false },
);
export type RecordQuery = Static<typeof RecordQuery>;

export const RecordView = closed('Record', {
  id: Type.String({ description: 'For its acknowledgement', examples: ['18233.4-1'] }),
  data: Type.String({ examples: ['2026-10-01 08:30:00 one line'] }),
  encoding: words(['utf8', 'base64'] as const, 'base64 where the bytes are not valid UTF-8'),
  delivery: Type.Integer({ minimum: 1, description: 'How often it was handed out so far, this time included' }),
});
export type RecordView = Static<typeof RecordView>;

export const Records = closed('Records', {
  items: Type.Array(RecordView, { description: 'The oldest first; none where none came in time' }),
  length: count('Items waiting now'),
  claimed: count('Items that consumers have now'),
});
export type Records = Static<typeof Records>;

export const NdjsonRecords = Type.String({
  examples: ['{"id":"18233.4-1","data":"one line","encoding":"utf8","delivery":1}\n'],
});

export const RecordEvents = Type.String({
  examples: [
    'event: record\nid: 18233.4-1\ndata: {"id":"18233.4-1","data":"one line","encoding":"utf8","delivery":1}\n\n',
  ],
});

export const RecordIds = closed('RecordIds', {
  ids: Type.Array(Type.String({ maxLength: 64 }), {
    minItems: 1,
    maxItems: 10_000,
    description: 'Of records that were handed out',
    examples: [['18233.4-1', '18233.5-1']],
  }),
});

const unknown = Type.Array(Type.String(), {
  description: 'Those that nobody has: acknowledged before, flushed, or never handed out',
});

export const Acknowledged = closed('Acknowledged', { acknowledged: count('Records that are dealt with'), unknown });
export type Acknowledged = Static<typeof Acknowledged>;

export const Released = closed('Released', { released: count('Records that are delivered again'), unknown });
export type Released = Static<typeof Released>;

export const RewindBody = closed('Rewind', {
  from: Type.Integer({
    minimum: 0,
    description: 'What came from then on comes again, ms since 1970',
    examples: [1_790_000_000_000],
  }),
});

export const RewoundView = closed('Rewound', {
  items: count('Items that come again'),
  from: time('Where they begin'),
  complete: Type.Boolean({ description: 'Whether the journal has all that was wanted; see replays if not' }),
  length: count('Items waiting now'),
});
export type RewoundView = Static<typeof RewoundView>;

export const ReplayBody = closed('ReplayDraft', {
  from: Type.Integer({ minimum: 0, description: 'ms since 1970', examples: [1_790_000_000_000] }),
  to: Type.Optional(Type.Integer({ minimum: 0, description: 'Before that, ms since 1970; up to now if not given' })),
  type: Type.Optional(
    Type.String({ maxLength: 64, description: "An accepted type's number or name; the queue's own if not given" }),
  ),
  sensor: Type.Optional(
    Type.String({
      description:
        "The records of this sensor alone; if not given, of the queue's own type those of its group, of others all",
    }),
  ),
});

export const ReplayView = closed('Replay', {
  id: Type.String(),
  topic: Type.String(),
  sensors: Type.Union([Type.Array(Type.String()), Type.Null()], { description: 'Whose records; null for all' }),
  from: time('At or after'),
  to: time('Before'),
  state: words(['running', 'done', 'cancelled', 'failed'] as const, 'Those of a queue run one after the other'),
  error: Type.Union([Type.String(), Type.Null()], { description: 'Why it failed' }),
  source: words(['archive', 'journal'] as const, 'Where it reads; first the archive, where the journal has not all'),
  delivered: count('Items that consumers have taken'),
  left: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], {
    description: 'Items left; null while it reads the archive, whose files are not counted',
  }),
  lost: count('Items that the journal does not have any more, or cannot read'),
  missingFiles: count('Files of the archive that are gone, or cannot be read'),
  startedAt: time('Begun'),
  finishedAt: optionalTime('Over'),
});
export type ReplayView = Static<typeof ReplayView>;

export const ReplayParam = Type.Object({
  uuid: Type.String({ description: 'With or without dashes' }),
  replay: Type.String({ maxLength: 64, description: 'Its id' }),
});
