import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newSensorId } from '@d4ts/protocol';
import fc from 'fast-check';
import { type ArchiveFacts, type PairFacts, planAges, planRoom } from './archive-plan.ts';

const NOW = 1_000_000;
const SENSORS = Array.from({ length: 4 }, () => newSensorId());
const NO_LIMIT = { sensorMaxBytes: undefined, typeMaxBytes: undefined, maxAgeMs: undefined };
const NOTHING = { bytes: 0, inodes: 0 };

function pair(sensor: number, topic: string, more: Partial<PairFacts> = {}): PairFacts {
  const of = { sensor: SENSORS[sensor] as PairFacts['sensor'], topic, files: 10, bytes: 1_000, oldest: NOW - 500 };
  return { ...of, hold: false, priority: 0, ...NO_LIMIT, ...more };
}

function facts(pairs: PairFacts[], more: Partial<ArchiveFacts> = {}): ArchiveFacts {
  return { now: NOW, ageRules: true, pairs, policy: { archiveBytes: undefined }, wanted: NOTHING, ...more };
}

test('files that are too old go, but not on hold, and not while the clock is not to be trusted', () => {
  const pairs = [
    pair(0, '1', { maxAgeMs: 400 }),
    pair(1, '1', { maxAgeMs: 600 }),
    pair(2, '1', { maxAgeMs: 400, hold: true }),
    pair(3, '1', { maxAgeMs: 400, files: 0 }),
  ];
  assert.deepEqual(planAges(facts(pairs)), [{ pair: { sensor: SENSORS[0], topic: '1' }, olderThan: NOW - 400 }]);
  assert.deepEqual(planAges(facts(pairs, { ageRules: false })), []);
});

test('limits of sensors, types and the whole count on each other; what is lower in priority goes first', () => {
  const pairs = [
    pair(0, '1', { sensorMaxBytes: 1_500 }),
    pair(0, '3', { sensorMaxBytes: 1_500, priority: -1, typeMaxBytes: 1_600 }),
    pair(1, '3', { priority: 5, typeMaxBytes: 1_600 }),
  ];
  const steps = planRoom(facts(pairs, { policy: { archiveBytes: 2_400 }, wanted: { bytes: 100, inodes: 0 } }));
  assert.deepEqual(
    steps.map(({ why, amount, classes }) => [why, amount.bytes, classes.map(({ priority }) => priority)]),
    [
      ['sensor-bytes', 500, [-1, 0]],
      // 500 of type 3 have gone by then, so it keeps its limit.
      ['total-bytes', 100, [-1, 0, 5]],
      ['pressure', 100, [-1, 0, 5]],
    ],
  );
});

const anyPair = fc.record({
  sensor: fc.constantFrom(...SENSORS),
  topic: fc.constantFrom('1', '3', 'maltrail'),
  files: fc.integer({ min: 0, max: 50 }),
  bytes: fc.integer({ min: 0, max: 5_000 }),
  oldest: fc.integer({ min: 0, max: NOW }),
  hold: fc.boolean(),
  priority: fc.integer({ min: -3, max: 3 }),
  maxAgeMs: fc.option(fc.integer({ min: 0, max: NOW }), { nil: undefined }),
  sensorMaxBytes: fc.option(fc.integer({ min: 0, max: 9_000 }), { nil: undefined }),
  typeMaxBytes: fc.option(fc.integer({ min: 0, max: 9_000 }), { nil: undefined }),
});
const anyFacts = fc.record({
  now: fc.constant(NOW),
  ageRules: fc.boolean(),
  pairs: fc.uniqueArray(anyPair, { maxLength: 12, selector: ({ sensor, topic }) => `${sensor} ${topic}` }),
  policy: fc.record({ archiveBytes: fc.option(fc.integer({ min: 0, max: 30_000 }), { nil: undefined }) }),
  wanted: fc.record({ bytes: fc.integer({ min: 0, max: 20_000 }), inodes: fc.integer({ min: 0, max: 200 }) }),
});

test('what is on hold is never named, and each step goes by priority', () => {
  fc.assert(
    fc.property(anyFacts, (given) => {
      const held = given.pairs.filter(({ hold }) => hold).map(({ sensor, topic }) => `${sensor} ${topic}`);
      for (const {
        pair: { sensor, topic },
      } of planAges(given))
        assert.ok(!held.includes(`${sensor} ${topic}`));
      for (const { classes, amount } of planRoom(given)) {
        const priorities = classes.map(({ priority }) => priority);
        assert.deepEqual(
          priorities,
          [...new Set(priorities)].sort((a, b) => a - b),
        );
        assert.ok(amount.bytes > 0 || amount.inodes > 0);
        for (const { priority, pairs } of classes) {
          for (const { sensor, topic } of pairs) {
            assert.ok(!held.includes(`${sensor} ${topic}`));
            const known = given.pairs.find((each) => each.sensor === sensor && each.topic === topic);
            assert.equal(known?.priority, priority);
          }
        }
      }
    }),
  );
});

test('pressure names every file that may go, if less is not enough', () => {
  fc.assert(
    fc.property(anyFacts, (given) => {
      const pressure = planRoom(given).find(({ why }) => why === 'pressure');
      const { bytes, inodes } = given.wanted;
      if (pressure === undefined) return;
      const named = pressure.classes.flatMap(({ pairs }) => pairs).length;
      const possible = given.pairs.filter(({ hold, files }) => !hold && files > 0).length;
      assert.ok(named <= possible && (bytes > 0 || inodes > 0));
      assert.ok(pressure.available.inodes > 0);
    }),
  );
});
