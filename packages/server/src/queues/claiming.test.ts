import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newSensorId } from '@d4ts/protocol';
import fc from 'fast-check';
import type { ClaimedItem, Queue } from './port.ts';
import { ACTOR, popAway, QueueHome } from './queue-home-fixture.ts';

const MINUTE_MS = 60_000;

const texts = (items: readonly Buffer[]) => items.map(String);
const itemTexts = (items: readonly ClaimedItem[]) => items.map(({ item }) => String(item));
const ids = (items: readonly ClaimedItem[]) => items.map(({ id }) => id);
const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => String(from + i));

function existing(queue: Queue | undefined): Queue {
  assert.ok(queue);
  return queue;
}

/** What came, and came again, is what went and what is there. */
function assertBalanced(queue: Queue, arrived: number): void {
  const { length, claimed, taken, dropped, flushed, rewound, replayed } = queue.info();
  assert.equal(
    length + claimed + taken + dropped + flushed,
    arrived + rewound + replayed,
    JSON.stringify(queue.info()),
  );
}

async function returned(queue: Queue): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = queue.onItems(resolve);
  await promise;
  stop();
}

test('a claimed item is no one else’s until it is acknowledged, released, or its time is over', async () => {
  await using home = await QueueHome.make();
  const queue = await home.queues.add({ topic: '3' }, ACTOR);
  await home.append(newSensorId(), numbers(1, 6));
  const first = await queue.claim(2, MINUTE_MS);
  const second = await queue.claim(2, MINUTE_MS);
  assert.deepEqual(
    [itemTexts(first), itemTexts(second)],
    [
      ['1', '2'],
      ['3', '4'],
    ],
  );
  assert.deepEqual([queue.length, queue.info().claimed], [2, 4]);
  assert.deepEqual(texts(await popAway(queue, 1)), ['5']);
  assert.deepEqual(queue.acknowledge([...ids(second), 'nothing', '9.9-1']), {
    settled: 2,
    unknown: ['nothing', '9.9-1'],
  });
  assert.deepEqual(queue.release(ids(first).slice(0, 1)), { settled: 1, unknown: [] });
  assert.equal(queue.info().taken, 3);
  assert.deepEqual(texts(await queue.peek(9)), ['1', '6']);
  assert.deepEqual(texts(await queue.range(0, -1)), ['6', '1']);
  const [again] = await queue.claim(1, 1);
  assert.deepEqual([String(again?.item), again?.delivery], ['1', 2]);
  assert.deepEqual(queue.release([first[0]?.id ?? '']).unknown, [first[0]?.id], 'it is somebody else’s now');
  assert.equal(queue.isClaimed(first[0]?.id ?? ''), false);
  await returned(queue);
  assert.deepEqual(texts(await popAway(queue, 9)), ['1', '6']);
  assert.equal(queue.length, 0);
  assertBalanced(queue, 6);
});

test('an acknowledgement holds whoever has the item by then, also after its time', async () => {
  await using home = await QueueHome.make();
  const queue = await home.queues.add({ topic: '3' }, ACTOR);
  await home.append(newSensorId(), numbers(1, 2));
  const late = await queue.claim(2, 1);
  await returned(queue);
  const [other] = await queue.claim(1, MINUTE_MS);
  assert.equal(queue.acknowledge(ids(late)).settled, 2);
  assert.deepEqual(queue.acknowledge([other?.id ?? '']).unknown, [other?.id]);
  assert.deepEqual([queue.length, queue.info().claimed, queue.info().taken], [0, 0, 2]);
});

test('after a restart what was not acknowledged comes again, what was does not, in whatever order', async () => {
  await using home = await QueueHome.make(600);
  const [a, b] = [newSensorId(), newSensorId()];
  const { uuid } = await home.queues.add({ topic: '3', group: [a] }, ACTOR);
  for (let i = 0; i < 10; i++) {
    await home.append(a, numbers(i * 50 + 1, i * 50 + 50));
    await home.append(b, ['other']);
  }
  const queue = existing(home.queues.get(uuid));
  queue.push([Buffer.from('pushed')]);
  const claimed = await queue.claim(300, MINUTE_MS);
  queue.giveBack([Buffer.from('back')]);
  const [back] = await queue.claim(1, MINUTE_MS);
  assert.equal(String(back?.item), 'back');
  const kept = claimed.filter((_, i) => i % 7 === 3);
  queue.acknowledge(ids(claimed.filter((each) => !kept.includes(each))));
  assertBalanced(queue, 501);
  const before = queue.info();
  await home.restart();
  const again = existing(home.queues.get(uuid));
  assert.deepEqual([again.info().claimed, again.length], [0, before.length + before.claimed]);
  assertBalanced(again, 501);
  assert.deepEqual(texts(await again.peek(3)), [...itemTexts(kept).slice(0, 3)]);
  // An acknowledgement from before the restart still holds.
  assert.equal(again.acknowledge(ids(kept).slice(0, 1)).settled, 1);
  const rest = await again.claim(1000, MINUTE_MS);
  assert.deepEqual(itemTexts(rest), [...itemTexts(kept).slice(1), 'back', ...numbers(301, 500), 'pushed']);
  assert.equal(rest[0]?.delivery, 2);
  again.acknowledge(ids(rest));
  assertBalanced(again, 501);
  await home.restart();
  assert.equal(existing(home.queues.get(uuid)).length, 0);
});

test('the journal is held for what is not acknowledged, until it is given up', async () => {
  await using home = await QueueHome.make(1000);
  const sensor = newSensorId();
  const queue = await home.queues.add({ topic: '3' }, ACTOR);
  for (let i = 0; i < 40; i++) await home.append(sensor, ['x'.repeat(90)]);
  const claimed = await queue.claim(40, MINUTE_MS);
  queue.acknowledge(ids(claimed.slice(1)));
  assert.deepEqual(
    (await home.queues.places()).map(({ sequence }) => sequence),
    [Number(claimed[0]?.id.split('.')[0])],
  );
  const given = await home.queues.giveUpBefore(queue.uuid, (await home.journal.open('3')).endSequence);
  assert.deepEqual([...given], [[sensor, 1]]);
  assert.deepEqual([queue.info().dropped, queue.info().claimed], [1, 0]);
  assert.equal(queue.acknowledge(ids(claimed).slice(0, 1)).settled, 0);
  assertBalanced(queue, 40);
});

test('what consumers have in their hands is bounded', async () => {
  await using home = await QueueHome.make();
  const queue = await home.queues.add({ topic: '3' }, ACTOR);
  for (let i = 0; i < 11; i++) await home.append(newSensorId(), numbers(1, 1000));
  const claimed = await queue.claim(20_000, MINUTE_MS);
  assert.equal(claimed.length, 10_000);
  await assert.rejects(queue.claim(1, MINUTE_MS), { code: 'D4_TOO_MANY_CLAIMED' });
  queue.acknowledge(ids(claimed).slice(0, 5));
  assert.equal((await queue.claim(9, MINUTE_MS)).length, 5);
  const large = await home.queues.add({ topic: '3' }, ACTOR);
  for (let i = 0; i < 40; i++) await home.append(newSensorId(), ['y'.repeat(250_000)]);
  assert.equal((await large.claim(99, MINUTE_MS)).length, 34);
  assertBalanced(large, 40);
});

test('a flush takes what consumers have as well; the limit drops what came back first', async () => {
  await using home = await QueueHome.make();
  const queue = await home.queues.add({ topic: '3', limit: 5 }, ACTOR);
  const sensor = newSensorId();
  await home.append(sensor, numbers(1, 5));
  const claimed = await queue.claim(3, MINUTE_MS);
  await home.append(sensor, numbers(6, 8));
  queue.release(ids(claimed).slice(1));
  await home.append(sensor, ['9']);
  assert.deepEqual(texts(await queue.peek(9)), ['5', '6', '7', '8', '9']);
  assertBalanced(queue, 9);
  assert.equal(queue.flush(), 6);
  assert.deepEqual(queue.acknowledge(ids(claimed)).settled, 0);
  assertBalanced(queue, 9);
});

test('a position that is moved back gives what came since again, and knows if that is less than wanted', async () => {
  await using home = await QueueHome.make(1000);
  const [a, b] = [newSensorId(), newSensorId()];
  await home.append(a, numbers(1, 5));
  await home.append(b, ['b']);
  const { uuid } = await home.queues.add({ topic: '3', group: [a] }, ACTOR);
  const queue = existing(home.queues.get(uuid));
  assert.equal(queue.length, 0);
  const all = await home.queues.rewind(uuid, 0, ACTOR);
  assert.deepEqual(all, { items: 5, from: 0, complete: true });
  assert.equal(queue.length, 5);
  assertBalanced(queue, 0);
  assert.deepEqual(texts(await popAway(queue, 4)), numbers(1, 4));
  const [five] = await queue.claim(1, MINUTE_MS);
  assert.equal((await home.queues.rewind(uuid, 0, ACTOR))?.items, 4, 'the fifth was not done with');
  assert.equal(queue.acknowledge([five?.id ?? '']).settled, 0);
  assertBalanced(queue, 0);
  await home.restart();
  const again = existing(home.queues.get(uuid));
  assert.deepEqual(texts(await popAway(again, 9)), numbers(1, 5));
  assertBalanced(again, 0);
  const later = await home.queues.rewind(uuid, Date.now() + MINUTE_MS, ACTOR);
  assert.equal(later?.items, 0);
  for (let i = 0; i < 40; i++) await home.append(a, ['x'.repeat(90)]);
  const log = await home.journal.open('3');
  await home.queues.giveUpBefore(uuid, 20);
  await log.truncateBefore(20);
  const less = await home.queues.rewind(uuid, 0, ACTOR);
  assert.equal(less?.complete, false);
  assert.ok((less?.from ?? 0) > 0);
  assertBalanced(again, 40);
  const [record] = home.registry.audit.list({ kind: 'queue-rewound' }, 1).records;
  assert.deepEqual([record?.key, record?.actor], [uuid, ACTOR.name]);
  assert.equal(await home.queues.rewind(newSensorId(), 0, ACTOR), undefined);
});

test('counts are exact whatever consumers do', async () => {
  const operation = fc.oneof(
    fc.record({ kind: fc.constant('append' as const), count: fc.integer({ min: 1, max: 9 }) }),
    fc.record({ kind: fc.constant('claim' as const), count: fc.integer({ min: 1, max: 9 }) }),
    fc.record({ kind: fc.constant('acknowledge' as const), count: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ kind: fc.constant('release' as const), count: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ kind: fc.constant('pop' as const), count: fc.integer({ min: 1, max: 5 }) }),
    fc.record({
      kind: fc.constantFrom('flush' as const, 'restart' as const, 'rewind' as const, 'push' as const),
      count: fc.constant(1),
    }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength: 25 }), async (operations) => {
      await using home = await QueueHome.make(400);
      const sensor = newSensorId();
      const { uuid } = await home.queues.add({ topic: '3', limit: 30 }, ACTOR);
      let arrived = 0;
      let pushed = 0;
      let mine: ClaimedItem[] = [];
      for (const { kind, count } of operations) {
        const queue = existing(home.queues.get(uuid));
        if (kind === 'append') {
          await home.append(sensor, numbers(arrived + 1, arrived + count));
          arrived += count;
        }
        if (kind === 'claim') mine.push(...(await queue.claim(count, MINUTE_MS)));
        if (kind === 'acknowledge') queue.acknowledge(ids(mine.splice(-count)));
        if (kind === 'release') queue.release(ids(mine.splice(0, count)));
        if (kind === 'pop') await popAway(queue, count);
        if (kind === 'flush') queue.flush();
        if (kind === 'push') {
          pushed += 1;
          queue.push([Buffer.from('pushed')]);
        }
        if (kind === 'rewind') await home.queues.rewind(uuid, 0, ACTOR);
        if (kind === 'restart') {
          await home.restart();
          mine = [];
        }
        const now = existing(home.queues.get(uuid));
        assertBalanced(now, arrived + pushed);
        assert.equal((await now.peek(100)).length, now.length);
      }
    }),
    { numRuns: 15 },
  );
});
