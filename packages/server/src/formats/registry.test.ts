import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatFor } from './registry.ts';

test('types 3, 6 and 8 and declared types that are not known are lines', () => {
  for (const topic of ['3', '6', '8', 'maltrail', 'something-new', 'constructor']) {
    assert.equal(formatFor(topic).name, 'lines', topic);
  }
});

test('what has no cutter is kept raw, without items', () => {
  for (const topic of ['1', '9', 'ja3-jl']) assert.equal(formatFor(topic).name, 'raw', topic);
  const raw = formatFor('9');
  const bytes = Buffer.alloc(100_000);
  const reports: number[][] = [];
  const cutter = raw.newCutter();
  cutter.push(bytes, {
    records: (pieces, length, records) => void reports.push([pieces.length, length, records]),
    cut: () => undefined,
    skipped: () => undefined,
  });
  assert.deepEqual(reports, [[1, 100_000, 0]]);
  const end = raw.recordEnd(bytes, 0);
  assert.ok(end > 0 && end < bytes.length);
  assert.equal(raw.itemEnd(bytes, 0, end), 0);
});
