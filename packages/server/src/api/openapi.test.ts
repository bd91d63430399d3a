import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startApiFixture } from './api-fixture.ts';
import { nameSchemas } from './openapi.ts';

interface Operation {
  operationId?: string;
  summary?: string;
  description?: string;
  security?: object[];
  responses: Record<string, unknown>;
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
