import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { SegmentFacts } from '../journal/port.ts';
import { type JournalFacts, planJournal, type Release, type TopicFacts, waitsFor } from './journal-plan.ts';
import type { RetentionPolicy } from './port.ts';

const HOUR = 3_600_000;
const NOW = 1_000 * HOUR;
const KEEP_ALL: RetentionPolicy = {
  rewindAgeMs: Number.POSITIVE_INFINITY,
  rewindBytes: Number.POSITIVE_INFINITY,
  queueAgeMs: Number.POSITIVE_INFINITY,
  queueBytes: Number.POSITIVE_INFINITY,
  journalTypeBytes: undefined,
  journalBytes: undefined,
  archiveAgeMs: undefined,
  archiveSensorBytes: undefined,
  archiveTypeBytes: undefined,
  archiveBytes: undefined,
};

/** Segments of ten entries and 100 bytes, one for each hour, the last of them written now and open. */
function hourly(count: number): SegmentFacts[] {
  return Array.from({ length: count }, (_, i) => ({
    firstSequence: 1 + i * 10,
    endSequence: 11 + i * 10,
    bytes: 100,
    records: 10,
    lastTime: NOW - (count - 1 - i) * HOUR,
    sealed: i < count - 1,
  }));
}

function topic(segments: SegmentFacts[], more: Partial<TopicFacts> = {}): TopicFacts {
  const neededFrom = segments.at(-1)?.endSequence ?? 0;
  return { topic: '3', segments, neededFrom, queues: [], maxBytes: undefined, ...more };
}

function facts(topics: TopicFacts[], policy: Partial<RetentionPolicy>, wantedBytes = 0): JournalFacts {
  return { now: NOW, ageRules: true, topics, policy: { ...KEEP_ALL, ...policy }, wantedBytes };
}

function releases(given: JournalFacts): Release[] {
  return planJournal(given).filter((step) => step.kind === 'release');
}

test('the rewind window is the smaller of its age and its size', () => {
  const held = [topic(hourly(30))];
  const [byAge] = releases(facts(held, { rewindAgeMs: 24 * HOUR, rewindBytes: 10_000 }));
  assert.deepEqual([byAge?.before, byAge?.why, byAge?.bytes], [51, 'age', 500]);
  const [bySize] = releases(facts(held, { rewindAgeMs: 24 * HOUR, rewindBytes: 1_000 })).slice(1);
  // 30 segments hold 3,000 bytes; the open one is none of the window.
  assert.deepEqual([bySize?.before, bySize?.why], [191, 'total-bytes']);
  assert.deepEqual(releases({ ...facts(held, { rewindAgeMs: 24 * HOUR }), ageRules: false }), []);
});

test('a queue holds what it needs within its bound, and gives up the rest', () => {
  const waiting = (sequence: number) => [topic(hourly(30), { queues: [{ uuid: 'q', sequence }] })];
  const policy = { rewindAgeMs: 2 * HOUR, queueAgeMs: 20 * HOUR };
  const [held, ...more] = releases(facts(waiting(41), policy));
  assert.deepEqual([held?.before, held?.giveUp, more], [91, [{ queue: 'q', why: 'age' }], []]);
  const [within] = releases(facts(waiting(151), policy));
  assert.deepEqual([within?.before, within?.giveUp], [151, []]);
  const bySize = releases(facts(waiting(1), { rewindAgeMs: 2 * HOUR, queueBytes: 2_500 }));
  assert.deepEqual(
    bySize.map(({ before, giveUp }) => [before, giveUp]),
    [[51, [{ queue: 'q', why: 'queue-bytes' }]]],
  );
});

test('limits and pressure take the rewind window first, then what queues hold, never what the archive needs', () => {
  const free = topic(hourly(5));
  const held = topic(hourly(9), { topic: '1', queues: [{ uuid: 'q', sequence: 1 }] });
  const needed = topic(hourly(9), { topic: '8', neededFrom: 21 });
  const pressed = releases(facts([free, held, needed], {}, 1_000));
  assert.deepEqual(
    pressed.map(({ topic: name, before, why, giveUp }) => [name, before, why, giveUp.length]),
    [
      ['8', 21, 'pressure', 0],
      ['3', 41, 'pressure', 0],
      ['1', 41, 'pressure', 1],
    ],
  );
  const limited = releases(facts([topic(hourly(9), { maxBytes: 500, queues: [{ uuid: 'q', sequence: 1 }] })], {}));
  assert.deepEqual(
    limited.map(({ before, why, giveUp }) => [before, why, giveUp]),
    [[41, 'type-bytes', [{ queue: 'q', why: 'type-bytes' }]]],
  );
});

test('an open segment is ended where it is all that is left and has to go', () => {
  const old = hourly(1).map((segment) => ({ ...segment, sealed: false, lastTime: NOW - 30 * HOUR }));
  const step = { kind: 'renew', topic: '3', why: 'age' };
  assert.deepEqual(planJournal(facts([topic(old)], { rewindAgeMs: 24 * HOUR })), [step]);
  // The note that says so has no items: it is not ended again and again.
  const note = old.map((segment) => ({ ...segment, records: 0 }));
  assert.deepEqual(planJournal(facts([topic(note)], { rewindAgeMs: 24 * HOUR })), []);
  const large = old.map((segment) => ({ ...segment, bytes: 5_000_000 }));
  assert.deepEqual(planJournal(facts([topic(large)], {}, 1)), [{ ...step, why: 'pressure' }]);
  assert.deepEqual(planJournal(facts([topic(large, { neededFrom: 5 })], {}, 1)), []);
});

test('announcements of files are kept for their own time, and by no limit of bytes', () => {
  const files = topic(hourly(30), { topic: 'files/3', keepMs: 10 * HOUR });
  const steps = releases(
    facts([files], { rewindAgeMs: HOUR, rewindBytes: 1, journalBytes: 1, journalTypeBytes: 1 }, 9_999),
  );
  assert.deepEqual(
    steps.map(({ before, why }) => [before, why]),
    [[191, 'age']],
  );
});

test('what a topic waits for is said', () => {
  assert.equal(waitsFor(topic([])), undefined);
  assert.equal(waitsFor(topic(hourly(3), { neededFrom: 5 })), 'archive');
  assert.equal(waitsFor(topic(hourly(3), { queues: [{ uuid: 'q', sequence: 5 }] })), 'queue q');
  assert.equal(waitsFor(topic(hourly(3))), 'window');
  assert.equal(waitsFor(topic(hourly(1))), 'open');
});

const anySegments = fc
  .array(fc.record({ bytes: fc.integer({ min: 50, max: 3_000_000 }), hours: fc.integer({ min: 0, max: 40 }) }), {
    maxLength: 12,
  })
  .map((parts) => {
    const segments = hourly(parts.length);
    let hours = parts.reduce((sum, each) => sum + each.hours, 0);
    return segments.map((segment, i): SegmentFacts => {
      hours -= parts[i]?.hours ?? 0;
      return { ...segment, bytes: parts[i]?.bytes ?? 0, lastTime: NOW - hours * HOUR };
    });
  });
const sequence = fc.integer({ min: 0, max: 130 });
const anyTopic = fc.record({
  segments: anySegments,
  neededFrom: sequence,
  queues: fc.array(sequence, { maxLength: 3 }).map((all) => all.map((at, i) => ({ uuid: `q${i}`, sequence: at }))),
  maxBytes: fc.option(fc.integer({ min: 0, max: 9_000_000 }), { nil: undefined }),
});
const anyFacts = fc.record({
  now: fc.constant(NOW),
  ageRules: fc.boolean(),
  topics: fc
    .array(anyTopic, { maxLength: 4 })
    .map((all) => all.map((each, i): TopicFacts => ({ ...each, topic: `${i}` }))),
  policy: fc
    .record({
      rewindAgeMs: fc.integer({ min: 0, max: 300 * HOUR }),
      rewindBytes: fc.integer({ min: 0, max: 30_000_000 }),
      queueAgeMs: fc.integer({ min: 0, max: 300 * HOUR }),
      queueBytes: fc.integer({ min: 0, max: 30_000_000 }),
      journalTypeBytes: fc.option(fc.integer({ min: 0, max: 20_000_000 }), { nil: undefined }),
      journalBytes: fc.option(fc.integer({ min: 0, max: 60_000_000 }), { nil: undefined }),
    })
    .map((policy): RetentionPolicy => ({ ...KEEP_ALL, ...policy })),
  wantedBytes: fc.integer({ min: 0, max: 40_000_000 }),
});

test('nothing goes that the archive needs, that is open, or that a queue has not given up', () => {
  fc.assert(
    fc.property(anyFacts, (given) => {
      for (const { topic: name, before, giveUp } of releases(given)) {
        const { segments, neededFrom, queues } = given.topics[Number(name)] as TopicFacts;
        const gone = segments.filter(({ endSequence }) => endSequence <= before);
        assert.ok(gone.length > 0 && gone.at(-1)?.endSequence === before, 'whole segments');
        assert.ok(gone.every(({ sealed }) => sealed) && gone.length < segments.length);
        assert.ok(before <= neededFrom);
        for (const { uuid, sequence: at } of queues) {
          const lags = gone.some(({ endSequence }) => at < endSequence);
          assert.ok(
            !lags ||
              releases(given).some((each) => each.topic === name && each.giveUp.some(({ queue }) => queue === uuid)),
          );
        }
        for (const { queue } of giveUp)
          assert.ok((queues.find(({ uuid }) => uuid === queue)?.sequence ?? before) < before);
      }
    }),
  );
});

test('under pressure enough goes, or all that may; what queues hold only when nothing else is left', () => {
  fc.assert(
    fc.property(anyFacts, (given) => {
      const steps = releases(given);
      const freed = steps.reduce((sum, { bytes }) => sum + bytes, 0);
      if (freed < given.wantedBytes) {
        for (const { topic: name, segments, neededFrom } of given.topics) {
          const before = Math.max(0, ...steps.filter((step) => step.topic === name).map((step) => step.before));
          const next = segments.find(({ firstSequence }) => firstSequence >= before);
          const mayGo = next?.sealed === true && next.endSequence <= neededFrom;
          assert.ok(!mayGo, `${name} has more to give`);
        }
      }
      const pressed = steps.filter(({ why }) => why === 'pressure');
      const firstHeld = pressed.findIndex(({ giveUp }) => giveUp.some(({ why }) => why === 'pressure'));
      if (firstHeld >= 0) {
        // What is behind something that a queue held comes free with it.
        for (const [i, { topic: name, giveUp }] of pressed.entries()) {
          if (i <= firstHeld || giveUp.length > 0) continue;
          assert.ok(pressed.slice(0, i).some((step) => step.topic === name && step.giveUp.length > 0));
        }
      }
    }),
  );
});

test('without limits and pressure only what is old or too much goes, and a queue gives up only what is beyond its bound', () => {
  fc.assert(
    fc.property(anyFacts, (anything) => {
      const policy = { ...anything.policy, journalTypeBytes: undefined, journalBytes: undefined };
      const topics = anything.topics.map((each) => ({ ...each, maxBytes: undefined }));
      const given = { ...anything, topics, policy, wantedBytes: 0 };
      for (const { topic: name, before, why, giveUp } of releases(given)) {
        const { segments } = topics[Number(name)] as TopicFacts;
        const last = segments.find(({ endSequence }) => endSequence === before) as SegmentFacts;
        assert.ok(why === 'age' ? given.ageRules && NOW - last.lastTime > policy.rewindAgeMs : why === 'total-bytes');
        for (const { why: bound } of giveUp) assert.ok(bound === 'age' ? given.ageRules : bound === 'queue-bytes');
      }
    }),
  );
});
