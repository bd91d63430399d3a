import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import { pino } from 'pino';
import { type MemoryQueue, MemoryQueues, type PopMode } from './memory-queues-fixture.ts';
import { formatQueueKey, parseQueueKey } from './queue-key.ts';
import { type Wait, type WaitedKey, WaitingLines } from './waiting-lines.ts';

const log = pino({ level: 'silent' });

function keyOf(queue: { topic: string; uuid: string }): WaitedKey {
  const text = Buffer.from(formatQueueKey(queue));
  return { text, key: parseQueueKey(text) };
}

async function itemOf(wait: Wait): Promise<string | undefined> {
  return (await wait.outcome)?.items[0]?.toString();
}

/** Lets everything that is under way in memory go on. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

for (const mode of ['at once', 'later'] satisfies PopMode[]) {
  describe(`WaitingLines over a queue that answers ${mode}`, () => {
    let queues: MemoryQueues;
    let queue: MemoryQueue;
    let lines: WaitingLines;

    beforeEach(() => {
      queues = new MemoryQueues();
      queues.mode = mode;
      queue = queues.make('3');
      lines = new WaitingLines(queues, log);
    });

    it('serves first come, first served', async () => {
      const waits = Array.from({ length: 5 }, () => lines.wait([keyOf(queue)], 0));
      queue.add('a', 'b');
      queue.add('c', 'd', 'e');
      assert.deepEqual(await Promise.all(waits.map(itemOf)), ['a', 'b', 'c', 'd', 'e']);
      assert.equal(lines.size, 0);
      assert.equal(queue.listeners, 0);
    });

    it('serves at once what is there', async () => {
      queue.add('a', 'b');
      assert.equal(await itemOf(lines.wait([keyOf(queue)], 0)), 'a');
      assert.equal(queue.length, 1);
    });

    it('serves from the first key that has items, or the first to get some, and takes one item only', async () => {
      const other = queues.make('8');
      other.add('o');
      assert.equal(await itemOf(lines.wait([keyOf(queue), keyOf(other)], 0)), 'o');
      const wait = lines.wait([keyOf(queue), keyOf(other)], 0);
      other.add('p');
      queue.add('q');
      assert.ok(['p', 'q'].includes((await itemOf(wait)) ?? ''));
      await settled();
      assert.equal(queue.length + other.length, 1);
    });

    it('ends without an item after the time-out', async () => {
      assert.equal(await itemOf(lines.wait([keyOf(queue)], 5)), undefined);
      queue.add('a');
      await settled();
      assert.equal(queue.length, 1);
    });

    it('gives an item back that was popped for a client that has gone', async () => {
      const first = lines.wait([keyOf(queue)], 0);
      const second = lines.wait([keyOf(queue)], 0);
      queue.add('a', 'b');
      first.cancel();
      second.cancel();
      await Promise.all([first.outcome, second.outcome]);
      await lines.close();
      const served = [await itemOf(first), await itemOf(second)].filter((item) => item !== undefined);
      assert.deepEqual([...served, ...(await queue.peek(9)).map(String)], ['a', 'b']);
    });

    it('serves a client that came before its queue, and again after the queue was removed and made anew', async () => {
      const uuid = 'b1b3bf40-5bd4-4a8f-8a4c-0d3b0d3b3b10';
      const wait = lines.wait([keyOf({ topic: '8', uuid })], 0);
      const made = queues.make('8', uuid);
      made.add('a');
      assert.equal(await itemOf(wait), 'a');
      const again = lines.wait([keyOf(made)], 0);
      await queues.remove(uuid);
      queues.make('8', uuid).add('b');
      assert.equal(await itemOf(again), 'b');
    });

    it('fails the waits where reading the queue fails, and works on afterwards', async () => {
      const wait = lines.wait([keyOf(queue)], 0);
      queue.failure = new Error('broken');
      queue.add('a');
      await assert.rejects(wait.outcome, /broken/);
      assert.equal(await itemOf(lines.wait([keyOf(queue)], 0)), 'a');
    });

    it('ends all waits when it closes', async () => {
      const waits = [lines.wait([keyOf(queue)], 0), lines.wait([keyOf(queue)], 1000)];
      await lines.close();
      assert.deepEqual(await Promise.all(waits.map(itemOf)), [undefined, undefined]);
    });

    it('neither loses nor doubles an item whatever clients do', async () => {
      const action = fc.oneof(
        fc.record({ kind: fc.constant('add' as const), count: fc.integer({ min: 1, max: 4 }) }),
        fc.record({ kind: fc.constant('wait' as const), both: fc.boolean() }),
        fc.record({ kind: fc.constant('cancel' as const), which: fc.nat() }),
        fc.record({ kind: fc.constant('pause' as const) }),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(action, { maxLength: 40 }), async (actions) => {
          const world = new MemoryQueues();
          world.mode = mode;
          const [one, two] = [world.make('3'), world.make('8')];
          const all = new WaitingLines(world, log);
          const waits: Wait[] = [];
          let next = 0;
          for (const each of actions) {
            if (each.kind === 'add') {
              for (let i = 0; i < each.count; i++) (next % 3 === 0 ? two : one).add(String(next++));
            } else if (each.kind === 'wait') {
              waits.push(all.wait(each.both ? [keyOf(one), keyOf(two)] : [keyOf(one)], 0));
            } else if (each.kind === 'cancel') {
              waits[each.which % Math.max(waits.length, 1)]?.cancel();
            } else {
              await settled();
            }
          }
          await all.close();
          const served = (await Promise.all(waits.map(itemOf))).filter((item) => item !== undefined);
          const left = [...(await one.peek(1000)), ...(await two.peek(1000))].map(String);
          const numbers = [...served, ...left].map(Number).sort((a, b) => a - b);
          assert.deepEqual(
            numbers,
            Array.from({ length: next }, (_, i) => i),
          );
        }),
        { numRuns: 200 },
      );
    });
  });
}
