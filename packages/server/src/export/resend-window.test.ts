import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ResendWindow } from './resend-window.ts';

const LIMITS = { settleMs: 1_000, receiverBytes: 100, keepMs: 60_000 };

/** A window with chunks of these lengths, one record each, all of them written. */
function written(...lengths: number[]): ResendWindow {
  const window = new ResendWindow(LIMITS);
  for (const length of lengths) window.add(Buffer.alloc(length, length), 1);
  while (window.next() !== undefined);
  return window;
}

const rest = (window: ResendWindow): number[] => {
  const lengths: number[] = [];
  for (let chunk = window.next(); chunk !== undefined; chunk = window.next()) lengths.push(chunk.bytes.length);
  return lengths;
};

test('what was acknowledged counts as delivered when the connection has lived on, or enough lies behind it', () => {
  const window = written(10, 20, 30);
  window.acknowledged(29, 0);
  assert.equal(window.takeDelivered(999), 0);
  assert.equal(window.takeDelivered(1_000), 1);
  assert.equal(window.takeDelivered(5_000), 0);
  window.add(Buffer.alloc(150), 1);
  assert.deepEqual(rest(window), [150]);
  window.acknowledged(210, 5_000);
  assert.equal(window.takeDelivered(5_000), 2);
  assert.equal(window.takeAcknowledged(5_000), 1);
  assert.deepEqual([window.records, window.bytes], [0, 0]);
});

test('after a broken connection all that does not count as delivered is sent again, from a chunk’s start', () => {
  const window = written(10, 20, 30);
  window.acknowledged(30, 0);
  window.takeDelivered(1_000);
  window.add(Buffer.alloc(40), 1);
  assert.equal(window.restart(false, 1_000), 1);
  assert.deepEqual(rest(window), [30, 40]);
  // Offsets go on from what was acknowledged.
  assert.equal(window.start, 30);
  window.acknowledged(window.start + 70, 1_000);
  assert.equal(window.takeDelivered(2_000), 2);
});

test('after a reset also what was delivered not long ago, but it does not count twice', () => {
  const window = written(10, 20, 30);
  window.acknowledged(30, 0);
  assert.equal(window.takeDelivered(1_000), 2);
  assert.equal(window.restart(true, 2_000), 3);
  assert.deepEqual(rest(window), [10, 20, 30]);
  window.acknowledged(window.start + 60, 2_000);
  assert.equal(window.takeDelivered(3_000), 1);
  assert.equal(window.restart(true, 70_000), 0);
  assert.deepEqual(rest(window), []);
});

test('whatever happens, each record counts once and in order, and none is forgotten before it was acknowledged', () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('add' as const), bytes: fc.integer({ min: 1, max: 60 }) }),
    fc.record({ do: fc.constant('write' as const) }),
    fc.record({ do: fc.constant('ack' as const), bytes: fc.nat({ max: 200 }), ms: fc.nat({ max: 2_000 }) }),
    fc.record({ do: fc.constant('break' as const), reset: fc.boolean() }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const window = new ResendWindow(LIMITS);
      let now = 0;
      let added = 0;
      let delivered = 0;
      let handed = window.start;
      let acknowledged = window.start;
      const received = new Set<number>();
      let inFlight: { end: number; id: number }[] = [];
      for (const action of steps) {
        if (action.do === 'add') {
          const bytes = Buffer.alloc(action.bytes + 4);
          bytes.writeUInt32BE(added++);
          window.add(bytes, 1);
        } else if (action.do === 'write') {
          const chunk = window.next();
          if (chunk === undefined) continue;
          handed = chunk.end;
          inFlight.push({ end: chunk.end, id: chunk.bytes.readUInt32BE() });
        } else if (action.do === 'ack') {
          now += action.ms;
          acknowledged = Math.min(handed, acknowledged + action.bytes);
          for (const { end, id } of inFlight) if (end <= acknowledged) received.add(id);
          window.acknowledged(acknowledged, now);
          delivered += window.takeDelivered(now);
        } else {
          window.restart(action.reset, now);
          handed = window.start;
          acknowledged = window.start;
          inFlight = [];
        }
        assert.ok(delivered <= added);
        for (let id = 0; id < delivered; id++) assert.ok(received.has(id), `${id} counts, but never arrived`);
        assert.equal(window.records, added - delivered);
      }
    }),
  );
});
