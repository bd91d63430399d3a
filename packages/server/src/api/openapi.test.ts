import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Compile } from 'typebox/compile';
import { startApiFixture } from './api-fixture.ts';
import { nameSchemas } from './openapi.ts';

interface Operation {
  operationId?: string;
  summary?: string;
  description?: string;
  security?: object[];
  requestBody?: { content?: Record<string, Media> };
  responses: Record<string, { content?: Record<string, Media> }>;
}

interface Media {
  schema: object;
  example?: unknown;
}

/** Bodies and good answers. */
function mediaOf({ requestBody, responses }: Operation): Media[] {
  const good = Object.entries(responses).flatMap(([status, answer]) => (status.startsWith('2') ? [answer] : []));
  return [requestBody, ...good].flatMap((each) => Object.values(each?.content ?? {}));
}

function withoutRefs(node: unknown, schemas: Record<string, unknown>): object {
  return JSON.parse(JSON.stringify(node), (_key, value) => {
    const name = typeof value?.$ref === 'string' ? value.$ref.split('/').at(-1) : undefined;
    return name === undefined ? value : withoutRefs(schemas[name], schemas);
  });
}

test('every route is described, from the schemas that validate', async () => {
  await using fixture = await startApiFixture();
  const { status, body, text } = await fixture.call('GET', '/api/v1/openapi.json', { token: null });
  assert.equal(status, 200);
  const { openapi, paths, components } = body as {
    openapi: string;
    paths: Record<string, Record<string, Operation>>;
    components: { schemas: Record<string, unknown> };
  };
  assert.match(openapi, /^3\.1\./);
  const operations = Object.values(paths).flatMap((methods) =>
    Object.entries(methods)
      .filter(([method]) => method !== 'head')
      .map(([, operation]) => operation),
  );
  assert.ok(operations.length >= 25, `${operations.length} operations`);
  for (const operation of operations) {
    const { operationId, summary, description, security, responses } = operation;
    assert.ok(operationId && summary && description && security, JSON.stringify(operation));
    assert.ok(
      Object.keys(responses).some((code) => code.startsWith('2')),
      operationId,
    );
    assert.ok(responses['4XX'], operationId);
    for (const media of mediaOf(operation)) {
      assert.ok(
        media.example !== undefined,
        `${operationId} has no example: openapi-examples.ts does not know all its texts`,
      );
      const schema = withoutRefs(media.schema, components.schemas);
      if (typeof media.example === 'string') continue;
      const [fault] = Compile(schema).Errors(media.example);
      assert.equal(fault, undefined, `the example of ${operationId} is wrong: ${JSON.stringify(fault)}`);
    }
  }
  const ids = operations.map(({ operationId }) => operationId);
  assert.equal(new Set(ids).size, ids.length);
  for (const [, name] of text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)) {
    assert.ok(name !== undefined && name in components.schemas, name);
  }
  for (const name of ['Error', 'Sensor', 'Queue', 'Status']) assert.ok(name in components.schemas, name);
  assert.doesNotMatch(JSON.stringify(components.schemas.Sensor), /"key"/);
});

test('a schema with a title stands once, among the components', () => {
  const inner = { type: 'object', title: 'Inner', description: 'here', properties: { a: { type: 'string' } } };
  const described = nameSchemas({ paths: { x: { schema: { type: 'array', items: inner } } }, info: { title: 'API' } });
  assert.deepEqual(described, {
    paths: { x: { schema: { type: 'array', items: { $ref: '#/components/schemas/Inner' } } } },
    info: { title: 'API' },
    components: { schemas: { Inner: { type: 'object', title: 'Inner', properties: { a: { type: 'string' } } } } },
  });
});
