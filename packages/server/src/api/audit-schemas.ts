import Type, { type Static } from 'typebox';
import { closed, ListQuery, time, words } from './schema-parts.ts';

/* What the HTTP interface says of what was done. */

/** A document, without its secrets, or the details of an event. */
const documentOrNull = (description: string) =>
  Type.Unsafe<object | null>({ type: ['object', 'null'], additionalProperties: true, description });

export const AuditEntry = closed('AuditEntry', {
  id: Type.Integer({ minimum: 1, description: 'Grows with each record' }),
  time: time('When'),
  who: Type.String({
    description: 'A mail address; `local` for the command line on the server, `server` for the server itself',
  }),
  address: Type.Union([Type.String(), Type.Null()], { description: 'Where from' }),
  action: words(
    ['added', 'changed', 'removed', 'event'] as const,
    'What was done with a document; `event` for what changes none',
  ),
  kind: Type.String({
    description: 'What kind of document (`sensors`, `users`, …), or of event (`login-failed`, `kicked`, …)',
    examples: ['sensors'],
  }),
  key: Type.String({ description: 'Which one: a uuid, a mail address, …' }),
  before: documentOrNull('The document as it was; secrets are left out'),
  after: documentOrNull('The document as it is from then on, or what is known of the event'),
});
export type AuditEntry = Static<typeof AuditEntry>;

export const AuditPage = closed('AuditPage', {
  items: Type.Array(AuditEntry),
  next: Type.Union([Type.String(), Type.Null()], {
    description: '`after` of the next page; null on the last. A page may be empty and yet not the last',
  }),
  names: Type.Record(Type.String(), Type.String(), {
    description: 'What sensors and queues that stand in these records are called now, by uuid',
  }),
});
export type AuditPage = Static<typeof AuditPage>;

const AuditFilterQuery = {
  who: Type.Optional(Type.String({ maxLength: 400, description: 'Only what they did' })),
  kind: Type.Optional(Type.String({ maxLength: 64, description: 'Only of this kind' })),
  key: Type.Optional(Type.String({ maxLength: 400, description: 'Only about this one' })),
  from: Type.Optional(time('At or after')),
  to: Type.Optional(time('Before')),
  text: Type.Optional(
    Type.String({ minLength: 1, maxLength: 200, description: 'In who, address, key, before or after' }),
  ),
};

export const AuditQuery = Type.Object(
  {
    ...AuditFilterQuery,
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1_000, description: 'At most so many; 100 if not given' }),
    ),
    after: ListQuery.after,
  },
  { additionalProperties: false },
);
export type AuditQuery = Static<typeof AuditQuery>;

export const AuditExportQuery = Type.Object(
  {
    ...AuditFilterQuery,
    format: Type.Optional(words(['ndjson', 'csv'] as const, 'One JSON object on each line, or CSV (RFC 4180)')),
  },
  { additionalProperties: false },
);
