import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AuditEntry } from '@d4ts/server';
import { changeText, subjectText } from './audit-text.ts';

const SENSOR = '2f1c3f5e-6f0f-4f5e-9f7b-1a2b3c4d5e6f';
const NAMES = { [SENSOR]: 'cellar' };

function entry(fields: Partial<AuditEntry>): AuditEntry {
  return {
    id: 1,
    time: 0,
    who: 'admin@admin.test',
    address: null,
    kind: 'sensors',
    action: 'changed',
    key: SENSOR,
    before: null,
    after: null,
    ...fields,
  };
}

test('a change is told with units, times and names', () => {
  const before = { archiveMaxAgeMs: 3_600_000, maxBytes: 1_500_000, expectedSeconds: 90, pauseMs: 250, port: 4443 };
  const after = {
    archiveMaxAgeMs: 90_000_000,
    maxBytes: 2_000,
    expectedSeconds: 30,
    pauseMs: 1_250,
    port: 4444,
    expiresAt: Date.UTC(2026, 9, 1),
  };
  assert.equal(
    changeText(entry({ before, after: { ...after, port: 4443, expectedSeconds: 90 } }), NAMES),
    'archiveMaxAgeMs: 1 h 0 min -> 1 d 1 h, maxBytes: 1.5 MB -> 2.0 kB, pauseMs: 250 ms -> 1250 ms, expiresAt: - -> 2026-10-…',
  );
  assert.equal(changeText(entry({ before: { port: 1 }, after: { port: 2 } }), NAMES), 'port: 1 -> 2');
  assert.equal(
    changeText(entry({ action: 'event', after: { sensors: [SENSOR], expectedSeconds: 90 } }), NAMES),
    `sensors: [cellar (${SENSOR})], expectedSeconds: 1 min 30 s`,
  );
  assert.equal(
    changeText(entry({ before: { archive: null }, after: { archive: { maxAgeMs: 90_000, maxBytes: null } } }), NAMES),
    'archive: null -> {maxAgeMs: 1 min 30 s, maxBytes: null}',
  );
  assert.equal(changeText(entry({ action: 'removed', before }), NAMES), '');
});

test('a record says the name of what it is about, and lets none of it into the terminal', () => {
  assert.equal(subjectText(entry({}), NAMES), `cellar (${SENSOR})`);
  assert.equal(subjectText(entry({ key: 'constructor' }), NAMES), 'constructor');
  assert.equal(subjectText(entry({}), { [SENSOR]: '\x1b[2J' }), `\\x1b[2J (${SENSOR})`);
});
