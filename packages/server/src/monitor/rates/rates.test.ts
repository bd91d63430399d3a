import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newSensorId } from '@d4ts/protocol';
import { MemoryActivity } from '../../registry/activity.ts';
import { Rates } from './rates.ts';
import { RateWindow } from './window.ts';

const START = 1_790_000_000_000;

function newActivity(): MemoryActivity {
  return new MemoryActivity({ sensors: new Map(), refusalTotals: {}, claimedRefusals: [], knocks: [] });
}

function topicOf(activity: MemoryActivity, sensor = newSensorId(), topic = '3') {
  const counts = {
    frames: 0,
    bytes: 0,
    records: 0,
    sessions: 0,
    skippedBytes: 0,
    cutRecords: 0,
    firstSeen: START,
    lastSeen: START,
  };
  activity.sensor(sensor).topics[topic] = counts;
  return { sensor, counts };
}

test('a rate is the mean of five seconds, and the minutes of an hour keep what came', () => {
  const window = new RateWindow();
  const second = START / 1_000;
  window.add(10, 1_000, second);
  window.add(5, 500, second + 1);
  assert.deepEqual(window.rate(second + 1), { frames: 3, bytes: 300 });
  assert.deepEqual(window.rate(second + 5), { frames: 1, bytes: 100 });
  assert.deepEqual(window.rate(second + 6), { frames: 0, bytes: 0 });
  const { frames, bytes } = window.minutes(second + 120);
  assert.equal(frames.length, 60);
  assert.deepEqual([frames.at(-1), frames.at(-3), bytes.at(-3)], [0, 15, 1_500]);
  assert.equal(window.isIdle(second + 3_540), false);
  assert.equal(window.isIdle(second + 3_660), true);
  assert.deepEqual(new Set(window.minutes(second + 3_660).bytes), new Set([0]));
});

test('what was counted before does not count, what came since does, and what begins anew is no loss', () => {
  const activity = newActivity();
  const { sensor, counts } = topicOf(activity);
  counts.frames = 1_000;
  const rates = new Rates(activity, START);
  rates.tick(START + 1_000, []);
  assert.deepEqual(rates.active(), []);
  counts.frames += 10;
  counts.bytes += 50;
  rates.tick(START + 2_000, []);
  assert.deepEqual(rates.sensor(sensor), { frames: 2, bytes: 10 });
  assert.deepEqual(rates.total, { frames: 2, bytes: 10 });
  assert.deepEqual(rates.topics(), [['3', { frames: 2, bytes: 10 }]]);
  assert.equal(rates.sparkline(sensor)?.at(-1), 50);
  counts.frames = 3;
  counts.bytes = 0;
  rates.tick(START + 3_000, []);
  counts.frames = 8;
  rates.tick(START + 4_000, []);
  assert.deepEqual(rates.sensor(sensor), { frames: 3, bytes: 10 });
  for (let second = 5; second < 12; second++) rates.tick(START + second * 1_000, []);
  assert.deepEqual(rates.active(), []);
});

test('a queue: what comes is what it grows by and what leaves it', () => {
  const rates = new Rates(newActivity(), START);
  const queue = { uuid: 'q', topic: '3', length: 100, taken: 0, dropped: 0, flushed: 0 };
  rates.tick(START + 1_000, [queue]);
  rates.tick(START + 2_000, [{ ...queue, length: 110, taken: 20, dropped: 5 }]);
  assert.deepEqual(rates.queue('q'), { in: 7, out: 5 });
  rates.tick(START + 3_000, [{ ...queue, length: 115, taken: 15, dropped: 5 }]);
  assert.deepEqual(rates.queue('q'), { in: 7, out: 5 }, 'five were given back');
  assert.deepEqual(rates.queue('unknown'), { in: 0, out: 0 });
});
