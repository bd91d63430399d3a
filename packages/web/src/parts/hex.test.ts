import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hexDump, itemBytes } from './hex.ts';

test('bytes are written sixteen to a line, with what of them is ASCII', () => {
  const bytes = itemBytes({
    data: Buffer.from('GET / HTTP/1.1\r\n\x00\xff', 'latin1').toString('base64'),
    encoding: 'base64',
  });
  assert.equal(
    hexDump(bytes, 100),
    '0000  47 45 54 20 2f 20 48 54 54 50 2f 31 2e 31 0d 0a  GET / HTTP/1.1..\n' +
      '0010  00 ff                                            ..',
  );
});

test('what is too long is cut, and said to be', () => {
  assert.equal(
    hexDump(itemBytes({ data: 'é!x', encoding: 'utf8' }), 3),
    '0000  c3 a9 21                                         ..!\n… 1 more bytes',
  );
});
