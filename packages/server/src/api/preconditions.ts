import { D4Error, sensorIdFrom } from '@d4ts/protocol';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Collection } from '../registry/port.ts';
import type { ApiContext } from './api-context.ts';
import { userMail } from './people/mail.ts';
import type { ApiApp } from './route-types.ts';
import { typeName } from './type-name.ts';

/*
 * Revision checks by HTTP's own means: whatever has a `revision` is answered with it as its `ETag`, and a change with
 * `If-Match` is made only if that is still its revision.
 */

/** Documents with a revision, by the first word of their address, which is the registry's name for them as well. */
const VERSIONED = ['sensors', 'queues', 'exporters', 'types', 'users'] as const;
type Kind = (typeof VERSIONED)[number];

const ADDRESS = new RegExp(`^/api/v1/(${VERSIONED.join('|')})/:([a-z]+)`);
/** Records of changes that are looked through for those since a revision. */
const LATEST_CHANGES = 50;

/** What an `If-Match` is about. */
interface Target {
  readonly kind: Kind;
  readonly key: string;
}

/** The header, as the description of the interface has it. */
export const IF_MATCH = {
  type: 'string',
  description:
    'Make the change only if its `ETag` (its revision in quotes) is still this one; 412 D4_CHANGED_MEANWHILE if not',
  examples: ['"7"'],
} as const;

/** Whether a route changes, or does something to, one document with a revision. */
export function takesIfMatch(method: string | readonly string[], url: string): boolean {
  return ADDRESS.test(url) && !['GET', 'HEAD'].some((read) => [method].flat().includes(read));
}

/** Adds `ETag` to answers, and holds changes to their `If-Match`. */
export function preconditions(app: ApiApp, context: ApiContext): void {
  app.addHook('preSerialization', async (_request, reply: FastifyReply, payload: unknown) => {
    const { revision } = Object(payload) as { revision?: unknown };
    if (typeof revision === 'number') reply.header('etag', `"${revision}"`);
    return payload;
  });
  app.addHook('preHandler', async (request) => {
    const expected = expectedRevision(request);
    const target = expected === undefined ? undefined : targetOf(request);
    if (expected === undefined || target === undefined) return;
    const current = collectionOf(context, target.kind).get(target.key);
    // What is not there, the route says.
    if (current === undefined) return;
    if (current.revision !== expected) throw changedMeanwhile(context, target, expected);
    // The write itself insists on it too: until then somebody else may be faster.
    const { body, routeOptions } = request;
    const { properties } = Object(routeOptions.schema?.body) as { properties?: object };
    if (properties !== undefined && 'revision' in properties) Object.assign(Object(body), { revision: expected });
  });
}

/** An error as the caller is to know it: what failed because of an `If-Match` is told as that. */
export function asPrecondition(error: unknown, context: ApiContext | undefined, request?: FastifyRequest): unknown {
  if (!(error instanceof D4Error) || error.code !== 'D4_CONFLICT' || !context || !request) return error;
  const expected = expectedRevision(request);
  const target = expected === undefined ? undefined : targetOf(request);
  if (expected === undefined || target === undefined) return error;
  const isOlder = collectionOf(context, target.kind).get(target.key)?.revision !== expected;
  return isOlder ? changedMeanwhile(context, target, expected) : error;
}

/** @throws {D4Error} D4_BAD_REQUEST */
function expectedRevision({ headers, method }: FastifyRequest): number | undefined {
  const text = headers['if-match'];
  if (text === undefined || text === '*' || method === 'GET' || method === 'HEAD') return undefined;
  const [, revision] = /^(?:W\/)?"([0-9]{1,15})"$/.exec(text) ?? [];
  if (revision === undefined) {
    throw new D4Error('D4_BAD_REQUEST', 'the header if-match is not one ETag, such as "7", nor *');
  }
  return Number(revision);
}

function targetOf({ routeOptions, params }: FastifyRequest): Target | undefined {
  const [, kind, name] = ADDRESS.exec(routeOptions.url ?? '') ?? [];
  const known = VERSIONED.find((each) => each === kind);
  const text = (params as Readonly<Record<string, string>>)[name ?? ''];
  return known === undefined || text === undefined ? undefined : { kind: known, key: KEYS[known](text) };
}

const KEYS: Readonly<Record<Kind, (text: string) => string>> = {
  sensors: (text) => sensorIdFrom(text) ?? text,
  queues: (text) => sensorIdFrom(text) ?? text,
  exporters: (text) => text,
  types: typeName,
  users: userMail,
};

function collectionOf({ registry }: ApiContext, kind: Kind): Pick<Collection<unknown>, 'get'> {
  return registry[kind];
}

/** Says who changed it last, and what: for who has to decide what to do now. */
function changedMeanwhile({ registry }: ApiContext, { kind, key }: Target, expected: number): D4Error {
  const current = registry[kind].get(key);
  const count = Math.min(LATEST_CHANGES, Math.max(1, (current?.revision ?? 1) - expected));
  const changes = registry.audit.list({ kind, key }, count).records.filter(({ isEvent }) => !isEvent);
  const who = [...new Set(changes.map(({ actor }) => actor))].join(', ');
  const what = [...new Set(changes.flatMap(({ before, after }) => changedFields(before, after)))].sort().join(', ');
  const by = who === '' ? '' : ` by ${who}${what === '' ? '' : ` (${what})`}`;
  return new D4Error(
    'D4_CHANGED_MEANWHILE',
    `it was changed${by} after you read it: read it again, and decide whether your change still holds`,
  );
}

function changedFields(before: unknown, after: unknown): string[] {
  const [one, other] = [Object(before), Object(after)] as Record<string, unknown>[];
  return Object.keys({ ...one, ...other }).filter(
    (name) => JSON.stringify(one?.[name]) !== JSON.stringify(other?.[name]),
  );
}
