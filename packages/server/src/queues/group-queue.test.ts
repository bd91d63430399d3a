import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { newSensorId, type SensorId } from '@d4ts/protocol';
import fc from 'fast-check';
import type { Queue } from './port.ts';
import { ACTOR, popAway, QueueHome } from './queue-home-fixture.ts';

const texts = (items: readonly Buffer[]) => items.map(String);
const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => String(from + i));

function existing(queue: Queue | undefined): Queue {
  assert.ok(queue);
  return queue;
}

test('a group queue gives the records of its sensors alone, in commit order', async () => {
  await using home = await QueueHome.make();
  const [a, b, c] = [newSensorId(), newSensorId(), newSensorId()];
  const queue = await home.queues.add({ topic: '3', group: [b, a, b] }, ACTOR);
  assert.deepEqual(queue.info().group, [a, b].sort());
  await home.append(c, ['c1']);
  await home.append(a, ['a1', '', 'a2']);
  await home.append(c, ['c2']);
  await home.append(b, ['b1']);
  assert.equal(queue.length, 3);
  assert.deepEqual(texts(await queue.range(0, 1)), ['b1', 'a2']);
  assert.deepEqual(texts(await popAway(queue, 1)), ['a1']);
  await home.restart();
  const again = existing(home.queues.get(queue.uuid));
  assert.equal(again.length, 2);
  assert.deepEqual(texts(await again.peek(5)), ['a2', 'b1']);
  assert.deepEqual(texts(await popAway(again, 5)), ['a2', 'b1']);
});

test('a changed group holds from the watermark on, while records wait', async () => {
  await using home = await QueueHome.make();
  const [a, b] = [newSensorId(), newSensorId()];
  const { uuid } = await home.queues.add({ topic: '3', group: [a] }, ACTOR);
  await home.append(a, ['a1']);
  await home.append(b, ['b1']);
  await home.queues.edit(uuid, { add: [b] }, ACTOR);
  await home.append(b, ['b2']);
  await home.queues.edit(uuid, { remove: [a], description: 'only b' }, ACTOR);
  await home.append(a, ['a2']);
  await home.append(b, ['b3']);
  for (const restart of [false, true]) {
    if (restart) await home.restart();
    const queue = existing(home.queues.get(uuid));
    assert.equal(queue.length, 3);
    assert.deepEqual(texts(await queue.peek(9)), ['a1', 'b2', 'b3']);
    assert.deepEqual(texts(await queue.range(0, -1)), ['b3', 'b2', 'a1']);
  }
  const queue = existing(home.queues.get(uuid));
  assert.equal(queue.info().description, 'only b');
  assert.deepEqual(queue.info().group, [b]);
  assert.deepEqual(texts(await popAway(queue, 9)), ['a1', 'b2', 'b3']);
  await home.restart();
  await home.queues.edit(uuid, { add: [a] }, ACTOR);
  const filters = home.registry.queues.get(uuid)?.value.filters;
  assert.equal(filters?.length, 2, 'filters that end before the saved cursor are forgotten');
});

test('a change insists on its revision, on a group, and on a sensor in it', async () => {
  await using home = await QueueHome.make();
  const a = newSensorId();
  const { uuid } = await home.queues.add({ topic: '3', group: [a] }, ACTOR);
  const everything = await home.queues.add({ topic: '3' }, ACTOR);
  assert.equal((await home.queues.edit(uuid, { limit: 5 }, ACTOR, 1))?.info().revision, 2);
  await assert.rejects(home.queues.edit(uuid, { limit: 6 }, ACTOR, 1), { code: 'D4_CONFLICT' });
  await assert.rejects(home.queues.edit(uuid, { remove: [a] }, ACTOR), { code: 'D4_BAD_GROUP' });
  await assert.rejects(home.queues.edit(everything.uuid, { add: [a] }, ACTOR), { code: 'D4_BAD_GROUP' });
  await assert.rejects(home.queues.add({ topic: '3', group: [] }, ACTOR), { code: 'D4_BAD_GROUP' });
  assert.equal(await home.queues.edit(randomUUID(), { limit: 6 }, ACTOR), undefined);
  assert.equal(existing(home.queues.get(uuid)).info().limit, 5);
});

test('changes of a group, made at the same time as pops and appends, lose and double nothing', async () => {
  await using home = await QueueHome.make(2_000);
  const [a, b] = [newSensorId(), newSensorId()];
  const queue = await home.queues.add({ topic: '3', group: [a] }, ACTOR);
  const popped: string[] = [];
  let done = false;
  const popping = (async () => {
    while (!done || queue.length > 0) {
      popped.push(...texts(await popAway(queue, 7)));
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  for (let i = 0; i < 60; i++) {
    const change = i % 2 === 0 ? { add: [b] } : { remove: [b] };
    const changed = i % 3 === 0 ? home.queues.edit(queue.uuid, change, ACTOR) : undefined;
    await Promise.all([home.append(a, [`a ${i} ${'.'.repeat(i)}`]), home.append(b, [`b ${i}`]), changed]);
  }
  done = true;
  await popping;
  const ofA = popped.filter((item) => item.startsWith('a')).map((item) => item.split(' ')[1]);
  assert.deepEqual(ofA, numbers(0, 59));
  assert.equal(new Set(popped).size, popped.length);
  assert.equal(queue.info().taken, popped.length);
});

test('pushed items stand behind what was committed before them, also after a restart', async () => {
  await using home = await QueueHome.make();
  const a = newSensorId();
  const { uuid } = await home.queues.add({ topic: '3', limit: 6 }, ACTOR);
  const queue = existing(home.queues.get(uuid));
  assert.equal(queue.push([Buffer.from('p1'), Buffer.from('p2')]), 2);
  await home.append(a, ['a1', 'a2']);
  assert.equal(queue.push([Buffer.from('p3')]), 5);
  await home.append(a, ['a3']);
  const all = ['p1', 'p2', 'a1', 'a2', 'p3', 'a3'];
  assert.deepEqual(texts(await queue.peek(9)), all);
  assert.deepEqual(texts(await queue.range(0, -1)), all.toReversed());
  for (let from = 0; from < 6; from++) {
    assert.deepEqual(texts(await queue.range(from, from + 1)), all.toReversed().slice(from, from + 2));
  }
  await home.restart();
  const again = existing(home.queues.get(uuid));
  assert.equal(again.length, 6);
  assert.deepEqual(texts(await popAway(again, 1)), ['p1']);
  await home.append(a, ['a4', 'a5', 'a6']);
  assert.deepEqual(again.info().dropped, 2);
  assert.deepEqual(texts(await popAway(again, 9)), ['a2', 'p3', 'a3', 'a4', 'a5', 'a6']);
  again.push([Buffer.from('p4')]);
  assert.equal(again.flush(), 1);
  assert.throws(() => again.push(Array.from({ length: 10_001 }, () => Buffer.from('x'))), { code: 'D4_QUEUE_FULL' });
  assert.equal(again.length, 0);
});

test('a queue of paths reads the announcements of finished files, of its group alone', async () => {
  await using home = await QueueHome.make();
  const [a, b] = [newSensorId(), newSensorId()];
  const everything = await home.queues.add({ topic: '1' }, ACTOR);
  const ofB = await home.queues.add({ topic: '1', group: [b] }, ACTOR);
  await home.append(a, ['bytes of a capture'], '1');
  await home.announce('1', a, '/archive/a-1.cap.gz');
  await home.announce('1', b, '/archive/b-rest', false);
  await home.announce('1', b, '/archive/b-1.cap.gz');
  assert.equal(everything.topic, '1');
  assert.deepEqual([everything.length, ofB.length], [2, 1]);
  assert.deepEqual(texts(await popAway(everything, 1)), ['/archive/a-1.cap.gz']);
  await home.restart();
  assert.deepEqual(texts(await existing(home.queues.get(everything.uuid)).pop(9)), ['/archive/b-1.cap.gz']);
  assert.deepEqual(texts(await existing(home.queues.get(ofB.uuid)).pop(9)), ['/archive/b-1.cap.gz']);
  const past = await home.queues.add({ topic: '1', from: 0 }, ACTOR);
  assert.deepEqual(texts(await past.peek(9)), ['/archive/a-1.cap.gz', '/archive/b-1.cap.gz']);
  await home.queues.edit(past.uuid, { limit: 1 }, ACTOR);
  assert.deepEqual(texts(await past.pop(9)), ['/archive/b-1.cap.gz']);
});

test('damage costs a group queue the damaged records, which count as dropped', async () => {
  await using home = await QueueHome.make(2_000);
  const [a, b] = [newSensorId(), newSensorId()];
  const { uuid } = await home.queues.add({ topic: '3', group: [a] }, ACTOR);
  for (let i = 0; i < 30; i++) {
    await home.append(a, [`a${i}-1 ${'.'.repeat(100)}`, `a${i}-2`]);
    await home.append(b, [`b${i}`]);
  }
  const folder = join(home.root, 'journal', '3');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.seg')).sort();
  assert.ok(names.length > 3);
  for (const name of names) {
    const at = (await readFile(join(folder, name))).indexOf('a2-1');
    if (at < 0) continue;
    const file = await open(join(folder, name), 'r+');
    await file.write(Buffer.from('?'), 0, 1, at);
    await file.close();
  }
  const queue = existing(home.queues.get(uuid));
  assert.equal(queue.length, 60);
  const popped = texts(await popAway(queue, 100));
  assert.equal(popped.length, 58);
  assert.ok(!popped.some((item) => item.startsWith('a2-')));
  assert.deepEqual([queue.length, queue.info().taken, queue.info().dropped], [0, 58, 2]);
});

test('a credential opens its queue alone, until it is replaced or revoked', async () => {
  await using home = await QueueHome.make();
  const { uuid } = await home.queues.add({ topic: '3' }, ACTOR);
  const other = await home.queues.add({ topic: '3' }, ACTOR);
  const secret = (await home.queues.issueCredential(uuid, { push: false }, ACTOR)) ?? '';
  assert.match(secret, /^[\w-]{41}$/);
  const access = home.queues.accessBy(secret);
  assert.deepEqual([access?.queue, access?.push, access?.isCurrent()], [uuid, false, true]);
  assert.equal(home.queues.accessBy(secret, uuid)?.queue, uuid);
  assert.equal(home.queues.accessBy(secret, other.uuid), undefined);
  assert.equal(home.queues.accessBy('x'), undefined);
  assert.equal(home.queues.get(uuid)?.info().credential?.push, false);
  await home.restart();
  assert.equal(home.queues.accessBy(secret)?.queue, uuid);
  const stored = (await readFile(join(home.root, 'registry.db'))).toString('latin1');
  assert.ok(!stored.includes(secret), 'the secret is not kept');
  const again = home.queues.accessBy(secret);
  assert.equal(again?.isCurrent(), true);
  const next = (await home.queues.issueCredential(uuid, { push: true }, ACTOR)) ?? '';
  assert.equal(again?.isCurrent(), false);
  assert.equal(home.queues.accessBy(secret), undefined);
  assert.equal(home.queues.accessBy(next)?.push, true);
  assert.equal(await home.queues.revokeCredential(uuid, ACTOR), true);
  assert.equal(await home.queues.revokeCredential(uuid, ACTOR), false);
  assert.equal(home.queues.accessBy(next), undefined);
  assert.equal(await home.queues.issueCredential(randomUUID(), { push: true }, ACTOR), undefined);
});

test('a rare sensor’s queue reads the indexes and its own entries, and scans nothing', async () => {
  await using home = await QueueHome.make(1024 * 1024);
  const sensors = Array.from({ length: 20 }, newSensorId);
  const rare = newSensorId();
  const line = '.'.repeat(50);
  for (let round = 0; round < 64; round++) {
    const frequent = sensors.map((sensor) =>
      home.append(
        sensor,
        Array.from({ length: 300 }, () => line),
      ),
    );
    await Promise.all([...frequent, ...(round % 24 === 12 ? [home.append(rare, [`rare ${round}`])] : [])]);
  }
  const log = await home.journal.open('3');
  const { bytes, segments } = log.stats();
  assert.ok(segments > 10);
  const { uuid } = await home.queues.add({ topic: '3', group: [rare], from: 0 }, ACTOR);
  await home.restart();
  const before = await bytesRead();
  const queue = existing(home.queues.get(uuid));
  assert.equal(queue.length, 3);
  assert.deepEqual(texts(await queue.peek(9)), ['rare 12', 'rare 36', 'rare 60']);
  assert.deepEqual(texts(await popAway(queue, 2)), ['rare 12', 'rare 36']);
  assert.equal(queue.length, 1);
  const read = (await bytesRead()) - before;
  assert.ok(read < bytes / 20, `${read} of ${bytes} bytes were read`);
});

/** What this process has read by system calls so far. */
async function bytesRead(): Promise<number> {
  return Number(/^rchar: (\d+)$/m.exec(await readFile('/proc/self/io', 'utf8'))?.[1]);
}

test('lengths and contents stay exact under any mix of sensors, groups, pushes, limits, rotations and restarts', async () => {
  await using home = await QueueHome.make(1_500);
  const sensors = Array.from({ length: 4 }, newSensorId);
  const sensor = fc.integer({ min: 0, max: 3 });
  const count = fc.integer({ min: 1, max: 8 });
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('append' as const),
        sensor,
        lines: fc.array(fc.nat(300), { minLength: 1, maxLength: 5 }),
      }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('pop' as const), count }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('add' as const), sensor }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('remove' as const), sensor }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('push' as const), count }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('look' as const), count }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('back' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('limit' as const), limit: fc.integer({ min: 1, max: 20 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('flush' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 50 }), async (steps) => {
      const { uuid } = await home.queues.add({ topic: '3', group: [sensors[0] as SensorId] }, ACTOR);
      const group = new Set([0]);
      let model: string[] = [];
      let limit = Number.POSITIVE_INFINITY;
      let dropped = 0;
      let held: Buffer[] = [];
      let number = 0;
      const dropOver = () => {
        const over = Math.max(0, model.length - limit);
        model = model.slice(over);
        dropped += over;
      };
      for (const action of steps) {
        const queue = existing(home.queues.get(uuid));
        if (action.do === 'append') {
          const items = action.lines.map((length) => `${number++}${'.'.repeat(length)}`);
          await home.append(sensors[action.sensor] as SensorId, items);
          if (group.has(action.sensor)) model.push(...items);
        } else if (action.do === 'pop') {
          held = await popAway(queue, action.count);
          assert.deepEqual(texts(held), model.splice(0, action.count));
        } else if (action.do === 'add' || action.do === 'remove') {
          if (action.do === 'remove' && group.size === 1 && group.has(action.sensor)) continue;
          if (action.do === 'add') group.add(action.sensor);
          else group.delete(action.sensor);
          await home.queues.edit(uuid, { [action.do]: [sensors[action.sensor]] }, ACTOR);
        } else if (action.do === 'push') {
          const items = Array.from({ length: action.count }, () => `pushed ${number++}`);
          model.push(...items);
          queue.push(items.map((item) => Buffer.from(item)));
        } else if (action.do === 'look') {
          assert.deepEqual(texts(await queue.peek(action.count)), model.slice(0, action.count));
          const from = Math.floor(model.length / 2);
          const wanted = model.toReversed().slice(from, from + action.count);
          assert.deepEqual(texts(await queue.range(from, from + action.count - 1)), wanted);
        } else if (action.do === 'back') {
          queue.giveBack(held.toReversed());
          model.unshift(...texts(held));
          held = [];
          // The limit drops with the next commit or push, not what was just given back.
          if (model.length > limit) queue.push([]);
        } else if (action.do === 'limit') {
          limit = action.limit;
          await home.queues.edit(uuid, { limit }, ACTOR);
        } else if (action.do === 'flush') {
          assert.equal(queue.flush(), model.length);
          model = [];
        } else {
          await home.restart();
        }
        dropOver();
        const now = existing(home.queues.get(uuid));
        assert.deepEqual([now.length, now.info().dropped], [model.length, dropped], action.do);
      }
      assert.deepEqual(texts(await existing(home.queues.get(uuid)).pop(1000)), model);
      await home.queues.remove(uuid, ACTOR);
    }),
    { numRuns: 60 },
  );
});
