import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvalidArgumentError } from 'commander';
import {
  countArgument,
  intervalArgument,
  sensorUuidArgument,
  sizeArgument,
  timeArgument,
  uuidArgument,
  yesNoArgument,
} from './arguments.ts';

const NOW = Date.UTC(2026, 9, 8, 12);

test('times are ISO 8601, in UTC if not said otherwise, or so long ago', () => {
  const cases: [string, number][] = [
    ['2026-10-01', Date.UTC(2026, 9, 1)],
    ['2026-10-01T08:30', Date.UTC(2026, 9, 1, 8, 30)],
    ['2026-10-01 08:30:15', Date.UTC(2026, 9, 1, 8, 30, 15)],
    ['2026-10-01T08:30:15.250Z', Date.UTC(2026, 9, 1, 8, 30, 15, 250)],
    ['2026-10-01t08:30z', Date.UTC(2026, 9, 1, 8, 30)],
    ['2026-10-01T08:30+02:00', Date.UTC(2026, 9, 1, 6, 30)],
    ['2026-10-01T08:30-0130', Date.UTC(2026, 9, 1, 10, 0)],
    ['90s', NOW - 90_000],
    ['30m', NOW - 1_800_000],
    ['24h', NOW - 86_400_000],
    ['7d', NOW - 604_800_000],
    ['2w', NOW - 1_209_600_000],
    ['99999w', 0],
  ];
  for (const [text, time] of cases) assert.equal(timeArgument(text, NOW), time, text);
  for (const text of [
    '',
    'yesterday',
    '24',
    '24 h',
    '-1h',
    '2026-02-30',
    '2026-13-01',
    '2026-10-01T25:00',
    '10/01/2026',
  ]) {
    assert.throws(() => timeArgument(text, NOW), InvalidArgumentError, text);
  }
});

test('uuids are taken with or without dashes', () => {
  assert.equal(
    uuidArgument('5F2B3C1E8D44136 9A1F0C1D2E3F4A5B'.replace(' ', 'c')),
    '5f2b3c1e-8d44-136c-9a1f-0c1d2e3f4a5b',
  );
  assert.throws(() => uuidArgument('5f2b'), InvalidArgumentError);
  assert.throws(() => sensorUuidArgument('5f2b3c1e-8d44-136c-9a1f-0c1d2e3f4a5b'), InvalidArgumentError);
  assert.equal(sensorUuidArgument('5f2b3c1e8d444c369a1f0c1d2e3f4a5b'), '5f2b3c1e-8d44-4c36-9a1f-0c1d2e3f4a5b');
});

test('counts are whole numbers in their range', () => {
  const read = countArgument(1, 10);
  assert.equal(read('10'), 10);
  for (const text of ['0', '11', '1.5', '-1', '1e1', '', 'x'])
    assert.throws(() => read(text), InvalidArgumentError, text);
});

test('sizes are bytes, in units of 1,000 or 1,024', () => {
  const cases: [string, number | 'none'][] = [
    ['500', 500],
    ['500B', 500],
    ['64kB', 64_000],
    ['10MB', 10_000_000],
    ['10m', 10_000_000],
    ['1.5GiB', 1_610_612_736],
    ['2TB', 2_000_000_000_000],
    ['none', 'none'],
  ];
  for (const [text, size] of cases) assert.equal(sizeArgument(text), size, text);
  for (const text of ['', '0', '0.1', '-1', 'MB', '5i', '1 MB', '1PB', '1e3', '99999TB', 'None'])
    assert.throws(() => sizeArgument(text), InvalidArgumentError, text);
});

test('lengths of time are seconds, at most a year, or none', () => {
  const cases: [string, number | 'none'][] = [
    ['90s', 90],
    ['10m', 600],
    ['1d', 86_400],
    ['52w', 31_449_600],
    ['none', 'none'],
  ];
  for (const [text, seconds] of cases) assert.equal(intervalArgument(text), seconds, text);
  for (const text of ['', '0s', '10', '1y', '400d', '-5s', '1.5h']) {
    assert.throws(() => intervalArgument(text), InvalidArgumentError, text);
  }
});

test('yes or no, and nothing else', () => {
  assert.deepEqual([yesNoArgument('yes'), yesNoArgument('no')], [true, false]);
  for (const text of ['', 'true', 'Yes']) assert.throws(() => yesNoArgument(text), InvalidArgumentError, text);
});
