import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressText, parseDestination } from './destination.ts';

test('destinations', () => {
  assert.deepEqual(parseDestination('stdout'), { kind: 'stdout' });
  const good: [string, string, number][] = [
    ['127.0.0.1:4443', '127.0.0.1', 4443],
    ['localhost:1', 'localhost', 1],
    ['d4-server_1.example.org:65535', 'd4-server_1.example.org', 65_535],
    ['[::1]:4443', '::1', 4443],
    ['[fe80::ffff:ffff:ffff:a6fb%eth0]:4443', 'fe80::ffff:ffff:ffff:a6fb%eth0', 4443],
  ];
  for (const [text, host, port] of good) {
    const parsed = parseDestination(text);
    assert.deepEqual(parsed, { kind: 'server', host, port });
    assert.equal(addressText({ host, port }), text);
  }
  const bad = [
    '',
    'file',
    'host',
    'host:',
    ':1',
    'host:0',
    'host:65536',
    'host:x',
    '::1:4443',
    '[127.0.0.1]:1',
    'a b:1',
  ];
  for (const text of bad) assert.equal(parseDestination(text), undefined, text);
});
