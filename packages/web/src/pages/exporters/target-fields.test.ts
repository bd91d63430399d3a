import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headersIn, missingIn, targetOf, targetText, valuesOf } from './target-fields.ts';

test('a target goes through the form and comes out as it was', () => {
  const targets = [
    { kind: 'udp', host: '192.0.2.1', port: 514, rate: 0, everyLine: true },
    { kind: 'tls', host: '2001:db8::1', port: 6514, verify: false },
    { kind: 'syslog', transport: 'unix', path: '/dev/log', rfc3164: true, level: 'notice' },
    { kind: 'http', url: 'https://example.org/in', raw: true },
  ] as const;
  for (const target of targets) assert.deepEqual(targetOf(target.kind, valuesOf(target)), target);
});

test('what is empty or as always is left to the server', () => {
  const values = { host: ' example.org ', port: '514', rate: '', verify: true, everyLine: false };
  assert.deepEqual(targetOf('udp', values), { kind: 'udp', host: 'example.org', port: 514 });
});

test('what is missing is said', () => {
  assert.deepEqual(missingIn('tcp', { port: '5x' }), { host: 'This is needed', port: 'A whole number' });
  assert.deepEqual(missingIn('syslog', {}), {});
});

test('a target in words', () => {
  assert.equal(targetText({ kind: 'tcp', host: '2001:db8::1', port: 9 }), 'tcp [2001:db8::1]:9');
  assert.equal(targetText({ kind: 'syslog', host: 'log.example.org', port: 514 }), 'syslog, udp log.example.org:514');
});

test('headers, one a line', () => {
  assert.deepEqual(headersIn('Authorization: Bearer a:b\n\nX-Api:1\n'), { Authorization: 'Bearer a:b', 'X-Api': '1' });
  assert.equal(headersIn('nonsense'), undefined);
});
