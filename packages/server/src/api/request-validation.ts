import { D4Error } from '@d4ts/protocol';
import type { FastifySchemaCompiler } from 'fastify';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';

/** Compiles a route's schema into the check of one part of its requests. Texts of a query become numbers where needed. */
export const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart = 'body' }) => {
  const validator = Compile(schema);
  const isText = httpPart !== 'body';
  return (data: unknown) => {
    const value = isText ? validator.Convert(data) : data;
    if (validator.Check(value)) return { value };
    const [first] = validator.Errors(value);
    const where = `${httpPart}${first?.instancePath ?? ''}`;
    return { error: new D4Error('D4_BAD_REQUEST', `${where} ${first?.message ?? 'is not what the route takes'}`) };
  };
};
