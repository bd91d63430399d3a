import Type, { type Static, type TSchema } from 'typebox';
import { API_ERRORS } from './api-errors.ts';

/*
 * What the documents of the HTTP interface are made of. The same schemas validate requests, write answers and make the
 * OpenAPI description; a schema with a `title` becomes a named one there. Times are ms since 1970, sizes bytes.
 */

/** A whole number from 0 on. */
export const count = (description: string) => Type.Integer({ minimum: 0, description });
/** A moment, ms since 1970. */
export const time = (description: string) => Type.Integer({ minimum: 0, description: `${description}, ms since 1970` });
/** A moment, or null. */
export const optionalTime = (description: string) =>
  Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], { description: `${description}, ms since 1970, or null` });
/** One of some words. */
export const words = <W extends string>(options: readonly W[], description: string) =>
  Type.Unsafe<W>({ ...Type.String({ description }), enum: options });

/** An object without unnamed properties; `title` is its name in the OpenAPI description. */
export function closed<P extends Record<string, TSchema>>(title: string, properties: P) {
  return Type.Object(properties, { title, additionalProperties: false });
}

/** What is answered for every error. */
export const ErrorBody = closed('Error', {
  error: Type.Object({
    code: words(Object.keys(API_ERRORS), 'Stable; match on it'),
    message: Type.String({ description: 'For people: what was wrong, and what to do' }),
  }),
});
export type ErrorBody = Static<typeof ErrorBody>;

/** What every list in pages takes. */
export const ListQuery = {
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 10_000, description: 'At most so many; 1,000 if not given' }),
  ),
  after: Type.Optional(Type.String({ description: 'The `next` of the answer before' })),
};

/** The query of a list in pages. */
export const PageQuery = Type.Object(ListQuery, { additionalProperties: false });
export type PageQuery = Static<typeof PageQuery>;

/** One page of a list. */
export function page<S extends TSchema>(title: string, item: S) {
  return closed(title, {
    items: Type.Array(item),
    total: count('Of the whole list'),
    next: Type.Union([Type.String(), Type.Null()], { description: '`after` of the next page; null on the last' }),
  });
}

/** A uuid in the path. */
export const UuidParam = Type.Object({
  uuid: Type.String({ description: 'With or without dashes', examples: ['5f2b3c1e-8d44-4c36-9a1f-0c1d2e3f4a5b'] }),
});

/** The longest texts that people say about things, in characters. */
export const MAX_DESCRIPTION_LENGTH = 10_000;
export const MAX_MAIL_LENGTH = 320;
