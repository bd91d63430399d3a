import Type, { type Static } from 'typebox';
import { closed, count, ListQuery, MAX_DESCRIPTION_LENGTH, words } from './schema-parts.ts';
import { SENSOR_STATES } from './sensor-state.ts';

/* Lists of sensors, and what is done to several of them. */

export const SENSOR_SORTS = ['uuid', 'name', 'state', 'lastSeen', 'bytesToday', 'createdAt', 'mail'] as const;
export type SensorSort = (typeof SENSOR_SORTS)[number];

const anyState = SENSOR_STATES.join('|');
const filterText = (description: string) => Type.Optional(Type.String({ minLength: 1, maxLength: 320, description }));

export const SensorQuery = Type.Object(
  {
    ...ListQuery,
    state: Type.Optional(
      Type.String({
        pattern: `^(${anyState})(,(${anyState}))*$`,
        description: 'Only in one of these states, with commas between them',
        examples: ['receiving,quiet'],
      }),
    ),
    registration: Type.Optional(words(['pending', 'approved', 'revoked'] as const, 'Only with this decision')),
    text: filterText('In uuid (with or without dashes), name, description, mail, tags or the last address'),
    type: filterText("Only those that have sent this type: its number, or a meta type's name"),
    tag: filterText('Only with this tag'),
    mail: filterText('Only those of this owner: the mail address of who looks after them'),
    group: filterText('Only those in the group of the queue with this uuid; a queue of all sensors has all'),
    sort: Type.Optional(words(SENSOR_SORTS, 'By what; `uuid` if not given')),
    descending: Type.Optional(Type.Boolean({ description: 'The greatest first' })),
  },
  { additionalProperties: false },
);
export type SensorQuery = Static<typeof SensorQuery>;

const facet = Type.Array(
  Type.Object({ value: Type.String(), sensors: count('How many') }, { additionalProperties: false }),
);

export const SensorFacets = closed('SensorFacets', {
  total: count('Registered'),
  byState: Type.Record(Type.String(), count('How many'), { description: 'Every state is named' }),
  tags: facet,
  types: facet,
  mails: facet,
  groups: Type.Array(
    Type.Object(
      {
        value: Type.String({ description: "The queue's uuid" }),
        topic: Type.String({ description: 'What the queue is of' }),
        description: Type.String({ description: "The queue's" }),
        sensors: count('How many are in it'),
      },
      { additionalProperties: false },
    ),
    { description: 'Queues that are of some sensors, not of all' },
  ),
});
export type SensorFacets = Static<typeof SensorFacets>;

const BULK_ACTIONS = ['approve', 'revoke', 'remove', 'kick', 'block', 'unblock', 'tag', 'untag'] as const;

export const BulkBody = closed('SensorBulk', {
  action: words(BULK_ACTIONS, 'What is done to each'),
  uuids: Type.Array(Type.String(), { minItems: 1, maxItems: 1_000, description: 'The same sensor counts once' }),
  tag: Type.Optional(Type.String({ minLength: 1, maxLength: 64, description: 'For `tag` and `untag`' })),
  reason: Type.Optional(Type.String({ maxLength: MAX_DESCRIPTION_LENGTH, description: 'For `block`' })),
});
export type BulkBody = Static<typeof BulkBody>;

export const BulkResult = closed('SensorBulkResult', {
  done: count('Sensors'),
  failed: count('Sensors'),
  items: Type.Array(
    closed('SensorBulkItem', {
      uuid: Type.String(),
      ok: Type.Boolean(),
      error: Type.Union(
        [Type.Object({ code: Type.String(), message: Type.String() }, { additionalProperties: false }), Type.Null()],
        { description: 'Why not' },
      ),
    }),
    { description: 'In the order of `uuids`' },
  ),
});
export type BulkResult = Static<typeof BulkResult>;
