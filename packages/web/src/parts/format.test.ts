import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatAgo,
  formatBytes,
  formatCount,
  formatFull,
  formatShort,
  formatSpan,
  formatUtc,
  parseBytes,
  parseSpan,
  writeSpan,
} from './format.ts';

test('bytes have decimal units and three digits', () => {
  const written = [0, 1, 999, 1000, 1234, 99_949, 99_950, 999_499, 999_500, 1.5e9, 2e18].map(formatBytes);
  assert.deepEqual(written, [
    '0 B',
    '1 B',
    '999 B',
    '1.00 kB',
    '1.23 kB',
    '99.9 kB',
    '100 kB',
    '999 kB',
    '1.00 MB',
    '1.50 GB',
    '2000 PB',
  ]);
});

test('bytes are read as people write them', () => {
  assert.deepEqual(['500', '1.5 MB', '2GB', ' 3 kB ', '7 B', '', 'MB', '-1', '1 XB', '99999 PB'].map(parseBytes), [
    500,
    1_500_000,
    2e9,
    3_000,
    7,
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});

test('counts have separators, or units where there is no room', () => {
  assert.equal(formatCount(1_234_567), '1,234,567');
  assert.deepEqual([0, 12, 0.25, 999, 1_000, 12_345, 3.2e6].map(formatShort), [
    '0',
    '12',
    '0.25',
    '999',
    '1.00 k',
    '12.3 k',
    '3.20 M',
  ]);
});

test('spans are told by their largest unit', () => {
  const spans = [0, 59_000, 60_000, 3_599_000, 3_600_000, 47 * 3_600_000, 48 * 3_600_000].map(formatSpan);
  assert.deepEqual(spans, ['0 s', '59 s', '1 min', '59 min', '1 h', '47 h', '2 d']);
  assert.equal(formatAgo(1_000, 2_500), 'just now');
  assert.equal(formatAgo(5_000, 2_500), 'just now');
  assert.equal(formatAgo(0, 60_000), '1 min ago');
  assert.equal(formatAgo(3_600_000, 0), 'in 1 h');
  assert.equal(formatUtc(1_790_000_000_000), '2026-09-21 14:13:20 UTC');
});

test('days until a disk is full are counted', () => {
  assert.equal(formatFull(2.34), 'full in 2.30 days at this rate');
  assert.equal(formatFull(1_223.4), 'full in 1,223 days at this rate');
  assert.equal(formatFull(4_000), 'not full within ten years at this rate');
});

test('spans of time are read, and written as they are read', () => {
  for (const text of ['90 s', '5 min', '12 h', '30 d', '25 h']) assert.equal(writeSpan(parseSpan(text) ?? 0), text);
  assert.equal(parseSpan('2h'), 7_200_000);
  for (const text of ['', '5', 'min', '5 weeks', '-1 s']) assert.equal(parseSpan(text), undefined);
});
