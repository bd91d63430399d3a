import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatFor } from './registry.ts';

/** Format, what its queues hold, and the files it is kept in (docs/drop-in.md). */
const TOPICS: readonly [topic: string, name: string, items: 'records' | 'files', files: string, seconds: number][] = [
  ['1', 'pcap', 'files', 'cap', 300],
  ['3', 'lines', 'records', 'syslog.txt', 3600],
  ['4', 'dnscap', 'records', 'dnscap.txt', 3600],
  ['5', 'pcapng', 'files', 'pcapng', 300],
  ['6', 'ndjson', 'records', 'ndjson', 3600],
  ['7', 'yaf', 'files', 'yaf', 300],
  ['8', 'passivedns', 'records', 'passivedns.txt', 3600],
  ['9', 'raw', 'records', 'bin', 3600],
  ['maltrail', 'meta-lines', 'records', 'txt', 3600],
  ['suricata-eve', 'meta-lines', 'records', 'txt', 3600],
  ['d4-telemetry', 'meta-lines', 'records', 'txt', 3600],
  ['fascia', 'meta-lines', 'records', 'txt', 3600],
  ['something-new', 'meta-lines', 'records', 'txt', 3600],
  ['constructor', 'meta-lines', 'records', 'txt', 3600],
  ['ja3-jl', 'ja3-jl', 'files', 'per-record', 0],
  ['filewatcher', 'filewatcher', 'files', 'per-record', 0],
  ['filewatcherjson', 'filewatcherjson', 'files', 'per-record', 0],
];

test('each topic has its format', () => {
  for (const [topic, ...expected] of TOPICS) {
    const { name, items, archive } = formatFor(topic);
    const kept = archive.kind === 'rotated' ? [archive.extension, archive.periodMs / 1000] : [archive.kind, 0];
    assert.deepEqual([name, items, ...kept], expected, topic);
  }
});

test('a record of a file watcher may be 64 MiB, a packet and a line 1 MiB', () => {
  const mib = 1024 * 1024;
  assert.equal(formatFor('filewatcher').maxRecordBytes, 64 * mib);
  assert.equal(formatFor('3').maxRecordBytes, mib);
  assert.equal(formatFor('1').maxRecordBytes, mib + 16);
});

test('what is not known is kept raw, without items', () => {
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
