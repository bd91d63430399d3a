import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MAX_META_HEADER_BYTES, type MetaHeader, MetaHeaderReader } from './meta-header.ts';

function readAll(payloads: readonly (Buffer | string)[]): MetaHeader | 'incomplete' | 'bad' {
  const reader = new MetaHeaderReader();
  let result: MetaHeader | 'incomplete' | 'bad' = 'incomplete';
  for (const payload of payloads) {
    result = reader.push(Buffer.from(payload));
    if (result === 'bad') return result;
  }
  return result;
}

test('a header split anywhere, also within a character, with white space around it', () => {
  const text = '{\n "type": "maltrail",\n "where": "Zürich €"\n}';
  const bytes = Buffer.from(`\r\n${text}\n\n `);
  const expected = { type: 'maltrail', text };
  assert.deepEqual(readAll([bytes]), expected);
  assert.deepEqual(readAll([...bytes].map((byte) => Buffer.from([byte]))), expected);
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length)), (at) => {
      const edges = [0, ...at.sort((a, b) => a - b), bytes.length];
      assert.deepEqual(readAll(edges.slice(1).map((edge, i) => bytes.subarray(edges[i], edge))), expected);
    }),
  );
});

test('empty payloads before, within and after it mean nothing', () => {
  assert.deepEqual(readAll(['', '{"type"', '', ':"a"}', '', '  \n']), { type: 'a', text: '{"type":"a"}' });
});

test('what is no object with a string "type" is bad as soon as that is known', () => {
  for (const text of [
    '5',
    '"type"',
    '[]',
    '{type',
    '{"type":["a"]}',
    '{"type":5}',
    '{}',
    '{"a":"type"}',
    '{"type":null}',
  ]) {
    assert.equal(readAll([text]), 'bad', text);
  }
  assert.equal(readAll(['{"__proto__":{"type":"a"}}']), 'bad');
  assert.equal(readAll(['{"type":"a"} x']), 'bad');
  assert.equal(readAll(['{"type":"a"}', '{"type":"a"}']), 'bad');
});

test('100,000 bytes up to the closing brace are the limit, white space behind it does not count', () => {
  const head = '{"type":"a","x":"';
  const text = `${head.padEnd(MAX_META_HEADER_BYTES - 2, 'x')}"}`;
  assert.deepEqual(readAll([`${text}\n\n`, ' '.repeat(500)]), { type: 'a', text });
  assert.equal(readAll([`${head.padEnd(MAX_META_HEADER_BYTES - 1, 'x')}"}`]), 'bad');
  assert.equal(readAll([' '.repeat(MAX_META_HEADER_BYTES), ' ']), 'bad');
  assert.equal(readAll([head.padEnd(MAX_META_HEADER_BYTES, 'x'), '']), 'incomplete');
});

test('a header nested as deep as it may be long does no harm', () => {
  const depth = (MAX_META_HEADER_BYTES - 20) / 2;
  const text = `{"type":"a","x":${'['.repeat(depth)}${']'.repeat(depth)}}`;
  assert.deepEqual(readAll([text]), { type: 'a', text });
});
