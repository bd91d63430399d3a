import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClockWatch } from './clock-watch.ts';
import { judgeSpace } from './disk-watch.ts';
import { forecastOf, GrowthMeter } from './forecast.ts';
import { byteMarks, inodeMarks, policyOf, type RetentionSettings } from './policy.ts';

const GIB = 1024 ** 3;
const HOUR = 3_600_000;
const SETTINGS: RetentionSettings = {
  rewindAge: '24h',
  rewindSize: '10%',
  queueAge: '7d',
  queueSize: 'none',
  journalTypeSize: '1.5GiB',
  journalSize: '500MB',
  archiveAge: 'none',
  archiveSensorSize: '12B',
  archiveTypeSize: 'none',
  archiveSize: '50%',
  reserve: 'auto',
  reserveInodes: 'auto',
};

test('settings mean bytes and ms of a disk', () => {
  const policy = policyOf(SETTINGS, { journal: 1_000_000, archive: 2_000_000 });
  assert.deepEqual(policy, {
    rewindAgeMs: 24 * HOUR,
    rewindBytes: 100_000,
    queueAgeMs: 7 * 24 * HOUR,
    queueBytes: Number.POSITIVE_INFINITY,
    journalTypeBytes: 1.5 * GIB,
    journalBytes: 500_000_000,
    archiveAgeMs: undefined,
    archiveSensorBytes: 12,
    archiveTypeBytes: undefined,
    archiveBytes: 1_000_000,
  });
});

test('the reserve is 1 GiB or 2 %, but not more than a tenth of a small disk', () => {
  assert.equal(byteMarks('auto', 20 * GIB).reserve, GIB);
  assert.equal(byteMarks('auto', 1000 * GIB).reserve, 20 * GIB);
  assert.equal(byteMarks('auto', 100 * 1024 ** 2).reserve, 10 * 1024 ** 2);
  assert.equal(byteMarks('5MB', 100 * 1024 ** 2).reserve, 5_000_000);
  assert.equal(inodeMarks('auto', 10_000_000).reserve, 10_000);
  assert.equal(inodeMarks('7', 10_000).reserve, 7);
  for (const { reserve, stop, resume, pressure, target } of [
    byteMarks('auto', 100 * GIB),
    inodeMarks('auto', 50_000),
  ]) {
    assert.deepEqual(
      [reserve, stop, resume, pressure, target].toSorted((a, b) => a - b),
      [reserve, stop, resume, pressure, target],
    );
  }
});

test('sensors are stopped before the reserve, and read again only with some more space', () => {
  const settings = { reserve: '100B', reserveInodes: '10' };
  // 1,000 bytes: the reserve is 100, and steps of 50 are above it; inodes: 10 and steps of 20.
  const judge = (freeBytes: number, freeInodes: number, before?: ReturnType<typeof judgeSpace>) =>
    judgeSpace({ bytes: 1_000, freeBytes, inodes: 1_000, freeInodes }, settings, before);
  const ok = judge(900, 900);
  assert.deepEqual([ok.state, ok.full, ok.wanted], ['ok', false, { bytes: 0, inodes: 0 }]);
  const pressure = judge(199, 900, ok);
  assert.deepEqual([pressure.state, pressure.wanted], ['pressure', { bytes: 51, inodes: 0 }]);
  const stopped = judge(149, 900, pressure);
  assert.deepEqual([stopped.state, stopped.full], ['stopped', false]);
  assert.equal(judge(160, 900, stopped).state, 'stopped');
  assert.equal(judge(160, 900, pressure).state, 'pressure');
  assert.equal(judge(175, 900, stopped).state, 'pressure');
  assert.equal(judge(99, 900, stopped).full, true);
  assert.equal(judge(120, 900, judge(99, 900)).full, true);
  assert.equal(judge(900, 900, stopped).state, 'ok');
  const fewInodes = judge(900, 29, ok);
  assert.deepEqual([fewInodes.state, fewInodes.wanted], ['stopped', { bytes: 0, inodes: 41 }]);
  const uncounted = judgeSpace({ bytes: 1_000, freeBytes: 900, inodes: 0, freeInodes: 0 }, settings, undefined);
  assert.equal(uncounted.state, 'ok');
});

test('a disk is full when the journal has its window and the archive goes on', () => {
  const day = (growths: [number, number][]) =>
    forecastOf(
      '/d',
      1_000,
      growths.map(([perDay, room]) => ({ perDay, room })),
    );
  assert.deepEqual(
    day([
      [100, 200],
      [50, Number.POSITIVE_INFINITY],
    ]),
    { outcome: 'full', days: 16, disk: '/d' },
  );
  assert.deepEqual(
    day([
      [100, 200],
      [50, 700],
    ]),
    { outcome: 'never' },
  );
  assert.deepEqual(day([[0, 5_000]]), { outcome: 'never' });
  assert.deepEqual(day([[100, 5_000]]), { outcome: 'full', days: 10, disk: '/d' });
});

test('growth is measured over what has passed, a day at the most', () => {
  const meter = new GrowthMeter();
  meter.sample(0);
  meter.add('3', 500);
  assert.equal(meter.perDay(60_000, '3'), undefined);
  assert.equal(meter.perDay(12 * HOUR, '3'), 1_000);
  meter.add('1', 500);
  assert.equal(meter.perDay(12 * HOUR), 2_000);
  for (let hour = 1; hour <= 40; hour++) meter.sample(hour * HOUR);
  assert.equal(meter.perDay(40 * HOUR), 0);
});

test('a jump of the clock pauses age rules until it is back, or accepted', () => {
  const clock = new ClockWatch(undefined);
  assert.equal(clock.look(1_000_000, 0), false);
  assert.equal(clock.look(1_000_000 + HOUR, HOUR), false);
  assert.equal(clock.look(1_000_000 + 5 * HOUR, 2 * HOUR), true);
  assert.equal(clock.pause?.jumpMs, 3 * HOUR);
  assert.equal(clock.look(1_000_000 + 6 * HOUR, 3 * HOUR), false);
  assert.equal(clock.look(1_000_000 + 4 * HOUR, 4 * HOUR), true);
  assert.equal(clock.pause, undefined);
  clock.look(1_000_000 - 9 * HOUR, 4 * HOUR);
  assert.equal(new ClockWatch(clock.pause).accept(), true);
  assert.equal(clock.accept() && !clock.accept(), true);
});
