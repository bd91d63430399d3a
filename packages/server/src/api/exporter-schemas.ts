import Type, { type Static } from 'typebox';
import { EXPORTER_STATES } from '../export/supervised-exporter.ts';
import { EXPORTER_NAME, ExporterSecrets, ExporterTarget } from '../registry/exporter.ts';
import { closed, count, time, words } from './schema-parts.ts';

const sensors = (description: string) => Type.Array(Type.String(), { minItems: 1, maxItems: 20_000, description });
const description = Type.String({ maxLength: 10_000 });
const name = Type.String({ pattern: EXPORTER_NAME, description: 'Letters, digits, `_` and `-`' });
const revision = Type.Optional(Type.Integer({ minimum: 1, description: 'Only if it is still this one' }));

export const ExporterView = closed('Exporter', {
  name: Type.String(),
  topic: Type.String(),
  sensors: Type.Union([Type.Array(Type.String()), Type.Null()], { description: 'Whose records; null for all' }),
  description: Type.String(),
  target: ExporterTarget,
  headers: Type.Array(Type.String(), {
    description: 'Names of the headers that it sends; what is in them is not shown',
  }),
  declared: Type.Boolean({ description: 'Comes from d4.yaml, and is changed there' }),
  revision: Type.Integer({ minimum: 1, description: 'Grows with each change' }),
  createdAt: time('Made'),
  state: words(
    EXPORTER_STATES,
    '`delivering`: records wait for it, or were delivered within the last 10 s; `waiting`: for records, all is delivered; `failing`: nothing can be delivered',
  ),
  problem: Type.Union([Type.String(), Type.Null()], {
    description: 'In state `failing`: why nothing can be delivered',
  }),
  lastError: Type.Union([closed('ExporterError', { text: Type.String(), at: time('When') }), Type.Null()]),
  lag: count('Records that are not delivered'),
  rate: Type.Number({ minimum: 0, description: 'Records a second over the last 10 s' }),
  delivered: count('Records delivered since it was made'),
  skipped: count('Records that can never be delivered: too long for a datagram, a file that is gone'),
  lost: count('Records that the journal no longer had when it was their turn'),
  leftOut: count('Records that are not meant to be exported, since the start'),
  errors: count('Attempts that failed, since the start'),
  repeated: count('Records that were sent again, since the start'),
  remark: Type.String({ description: 'More to know about its target' }),
});
export type ExporterView = Static<typeof ExporterView>;

export const ExporterDraft = closed('ExporterDraft', {
  name,
  type: Type.String({ maxLength: 64, description: "An accepted type's number, or an accepted meta type's name" }),
  sensors: Type.Optional(sensors('The records of these sensors alone')),
  description: Type.Optional(description),
  target: ExporterTarget,
  secrets: Type.Optional(ExporterSecrets),
  paused: Type.Optional(Type.Boolean({ description: 'Makes it without starting it' })),
  from: Type.Optional(
    Type.Integer({ minimum: 0, description: 'Begins with the first record at or after this time, ms since 1970' }),
  ),
});
export type ExporterDraft = Static<typeof ExporterDraft>;

export const ExporterChangeBody = closed('ExporterChange', {
  revision,
  description: Type.Optional(description),
  sensors: Type.Optional(Type.Union([sensors('Of these alone'), Type.Null()], { description: 'null for all' })),
  target: Type.Optional(ExporterTarget),
  secrets: Type.Optional(ExporterSecrets),
});

export const ExporterParam = Type.Object({ name: Type.String() });

/** For what changes an exporter without a body. */
export const RevisionQuery = Type.Object({ revision }, { additionalProperties: false });
