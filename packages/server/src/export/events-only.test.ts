import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventsOnly } from './events-only.ts';

const EVENT =
  '"2026-11-22 04:26:15.874827" probe 10.0.0.66 50310 8.8.8.8 53 UDP DNS a.example "malware (test)" (static)';

test('UDP exporters of type maltrail send events alone, unless told otherwise; others send everything', () => {
  const filter = eventsOnly({ topic: 'maltrail', target: { kind: 'udp' } });
  assert.deepEqual(
    [EVENT, '[i] starting', '1764000000 anything', EVENT.slice(0, 90)].map((line) => filter?.(Buffer.from(line))),
    [true, false, false, false],
  );
  assert.equal(eventsOnly({ topic: 'maltrail', target: { kind: 'udp', everyLine: true } }), undefined);
  assert.equal(eventsOnly({ topic: 'maltrail', target: { kind: 'syslog' } }), undefined);
  assert.equal(eventsOnly({ topic: '3', target: { kind: 'udp' } }), undefined);
});
