import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatLocal } from '../../parts/format.ts';
import { readableName, readableValue } from './readable.ts';

const UUID = '6f8a3b52-1c4d-4e7f-9a21-5d0c7be41f93';
const NAMES = new Map([[UUID, 'Roof north']]);

test('names of properties are words, without the unit that stands with the value', () => {
  const names = [
    'archive.maxAgeMs',
    'expectedIntervalSeconds',
    'maxBytesPerSecond',
    'createdAt',
    'key',
    'filters.1.from',
  ];
  assert.deepEqual(names.map(readableName), [
    'archive max age',
    'expected interval',
    'max bytes per second',
    'created at',
    'key',
    'filters 1 from',
  ]);
});

test('spans, moments and bytes have units, exactly; other numbers are as they are', () => {
  const at = Date.UTC(2026, 10, 22, 9, 15);
  for (const [name, value, written] of [
    ['archive.maxAgeMs', 3_600_000, '1 h'],
    ['archive.maxAgeMs', 5_400_000, '90 min'],
    ['lagMs', 1_500, '1500 ms'],
    ['expectedIntervalSeconds', 300, '5 min'],
    ['archive.maxBytes', 2_000_000_000, '2.00 GB'],
    ['maxBytesPerDay', 1_234_567, '1234567'],
    ['createdAt', at, formatLocal(at)],
    ['from', at, formatLocal(at)],
    ['uses.1.at', at, formatLocal(at)],
    ['filters.1.from', 17, '17'],
    ['limit', at, String(at)],
    ['target.port', 4443, '4443'],
    ['format', 3, '3'],
  ] as const) {
    assert.equal(readableValue(name, value, NAMES), written, name);
  }
});

test('sensors have their names, lists are cut, and the rest is JSON', () => {
  assert.equal(readableValue('sensor', UUID, NAMES), `Roof north (${UUID})`);
  assert.equal(readableValue('sensors', [UUID, 'x'], NAMES), `Roof north (${UUID}), "x"`);
  assert.equal(readableValue('description', '', NAMES), '""');
  assert.equal(readableValue('hold', true, NAMES), 'true');
  assert.equal(readableValue('tags', [], NAMES), 'none');
  assert.match(readableValue('list', Array(25).fill(1), NAMES), /^1, .*, 1 and 5 more$/);
});
