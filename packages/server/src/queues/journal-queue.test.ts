import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { newSensorId } from '@d4ts/protocol';
import fc from 'fast-check';
import pino from 'pino';
import { formatFor } from '../formats/registry.ts';
import { openFileJournal } from '../journal/files.ts';
import { ENTRY_FLAG, ENTRY_KIND, type EntryDraft, type StreamDefinition, type TopicLog } from '../journal/port.ts';
import type { CursorState, QueueDefinition } from '../registry/port.ts';
import { JournalQueue } from './journal-queue.ts';
import { popAway } from './queue-home-fixture.ts';

const log = pino({ level: 'silent' });
const START: CursorState = { sequence: 1, record: 0, taken: 0, dropped: 0, flushed: 0, givenBack: [] };

async function topicIn(t: TestContext, segmentBytes = 64 * 1024 * 1024) {
  const root = await mkdtemp(join(tmpdir(), 'd4-queue-'));
  const journal = await openFileJournal({ root, policy: 'os', log, segmentBytes });
  t.after(async () => {
    await journal.close();
    await rm(root, { recursive: true, force: true });
  });
  return { root, journal, topic: await journal.open('3') };
}

function newStream(): StreamDefinition {
  const id = randomBytes(16).toString('hex');
  return { id, sensor: newSensorId(), topic: '3', type: 3, preamble: Buffer.alloc(0) };
}

function draft(text: string, records: number, flags = 0): EntryDraft {
  const piece = Buffer.from(text);
  return { kind: ENTRY_KIND.data, flags, pieces: [piece], bytes: piece.length, records };
}

interface TestOptions {
  readonly cursor?: CursorState;
  readonly limit?: number;
  readonly changed?: () => void;
}

async function queueOn(topic: TopicLog, options: TestOptions = {}): Promise<JournalQueue> {
  const cursor = options.cursor ?? START;
  const definition: QueueDefinition = {
    uuid: newSensorId(),
    topic: '3',
    description: '',
    limit: options.limit ?? 1_000_000,
    filters: [{ from: 1, sensors: 'all' }],
    createdAt: 0,
  };
  return JournalQueue.open(definition, {
    log: topic,
    format: formatFor('3'),
    cursor,
    changed: options.changed ?? (() => {}),
    revision: () => 1,
    readReplay: () => {
      throw new Error('not here');
    },
    replayFailed: () => {},
  });
}

const texts = (items: readonly Buffer[]) => items.map((item) => item.toString());

test('a queue gives the lines of a topic in commit order, without newlines and empty lines', async (t) => {
  const { topic } = await topicIn(t);
  const stream = newStream();
  await topic.append(stream, 0, [draft('a\n\nb\r\n', 2), draft('c\0d\n\n', 1)]);
  const queue = await queueOn(topic);
  assert.equal(queue.length, 3);
  assert.deepEqual(texts(await popAway(queue, 10)), ['a', 'b\r', 'c\0d']);
  assert.equal(queue.length, 0);
  assert.deepEqual(await popAway(queue, 1), []);
  await topic.append(stream, 11, [draft('e\n', 1)]);
  assert.deepEqual(texts(await popAway(queue, 1)), ['e']);
  assert.deepEqual(queue.info().taken, 4);
});

test('concurrent pops share the items without a loss or a double, in order of the calls', async (t) => {
  const { topic } = await topicIn(t, 64 * 1024);
  const stream = newStream();
  let offset = 0;
  for (let i = 0; i < 200; i++) {
    const lines = Array.from({ length: 50 }, (_, k) => `line ${i * 50 + k} ${'x'.repeat(40)}\n`).join('');
    await topic.append(stream, offset, [draft(lines, 50)]);
    offset += lines.length;
  }
  const queue = await queueOn(topic);
  assert.equal(queue.length, 10_000);
  const parts = await Promise.all(Array.from({ length: 100 }, () => popAway(queue, 100)));
  const numbers = parts.flat().map((item) => Number(item.toString().split(' ')[1]));
  assert.deepEqual(
    numbers,
    Array.from({ length: 10_000 }, (_, i) => i),
  );
});

test('a cursor goes on at the record where it was saved', async (t) => {
  const { topic } = await topicIn(t);
  await topic.append(newStream(), 0, [draft('a\n\nb\nc\n', 3), draft('d\n', 1)]);
  for (let taken = 0; taken <= 4; taken++) {
    const queue = await queueOn(topic);
    const first = texts(await popAway(queue, taken));
    const again = await queueOn(topic, { cursor: await queue.cursor() });
    assert.equal(again.length, 4 - taken);
    assert.deepEqual([...first, ...texts(await popAway(again, 10))], ['a', 'b', 'c', 'd']);
  }
});

test('a cursor is never saved within a pop: what is not handed out yet would be lost with a crash', async (t) => {
  const { topic } = await topicIn(t);
  const stream = newStream();
  const lines = Array.from({ length: 100 }, (_, i) => `${i} ${'x'.repeat(2_000)}\n`).join('');
  // More than a block of the journal is read at once.
  for (let at = 0; at < 12; at++) await topic.append(stream, at * lines.length, [draft(lines, 100)]);
  const queue = await queueOn(topic);
  let taken = (await popAway(queue, 10)).length;
  let slow = 0;
  while (taken < 1_200) {
    const popped = queue.pop(70);
    const saved = queue.cursor();
    if (popped instanceof Promise) slow++;
    const items = await popped;
    const { taken: counted, givenBack } = await saved;
    assert.deepEqual([counted, givenBack.length], [taken, items.length]);
    taken += items.length;
    queue.letGo(items);
  }
  assert.ok(slow > 0, 'a pop had to read');
});

test('what was popped is in the state that is saved until it has left', async (t) => {
  const { topic } = await topicIn(t);
  await topic.append(newStream(), 0, [draft('a\nb\nc\nd\ne\n', 5)]);
  let changes = 0;
  const queue = await queueOn(topic, { changed: () => changes++ });
  const [first, second, third] = [await queue.pop(1), await queue.pop(2), await queue.pop(1)];
  queue.giveBack(third);
  queue.letGo(third);
  const after = async () => {
    const again = await queueOn(topic, { cursor: await queue.cursor() });
    const { taken, length } = again.info();
    return { taken, length, items: texts(await again.peek(9)) };
  };
  assert.equal(queue.keptBytes, 3);
  assert.deepEqual(await after(), { taken: 0, length: 5, items: ['a', 'b', 'c', 'd', 'e'] });
  const before = changes;
  queue.letGo(first);
  assert.equal(changes, before + 1, 'what was saved of it is to be replaced');
  assert.deepEqual(await after(), { taken: 1, length: 4, items: ['b', 'c', 'd', 'e'] });
  queue.letGo(second);
  assert.deepEqual(await after(), { taken: 3, length: 2, items: ['d', 'e'] });
  assert.equal(queue.keptBytes, 0);
});

test('whole entries of lines are taken as they lie in the journal, all else item by item', async (t) => {
  const { topic } = await topicIn(t);
  const stream = newStream();
  await topic.append(stream, 0, [draft('a\nb\r\nc\n', 3), draft('d\n\ne\n', 2)]);
  const queue = await queueOn(topic);
  const all = Number.POSITIVE_INFINITY;
  const take = async (count: number, bytes = all): Promise<[string, number][]> =>
    (await queue.popRuns(count, bytes)).runs.map((run) => [run.bytes.toString(), run.count]);
  assert.deepEqual(await take(9), [['a\nb\r\nc\n', 3]]);
  assert.deepEqual(await take(9), [['d\ne\n', 2]], 'an empty line is no item');
  // What has not left comes again after a crash.
  assert.equal(queue.keptBytes, 'ab\rcde'.length);
  const again = await queueOn(topic, { cursor: await queue.cursor() });
  assert.deepEqual(texts(await again.peek(9)), ['a', 'b\r', 'c', 'd', 'e']);

  await topic.append(newStream(), 0, [draft('f\n', 1), draft('g\n', 1), draft('h\ni\nj\n', 3), draft('k\n', 1)]);
  assert.deepEqual(await take(9, 1), [['f\n', 1]]);
  assert.deepEqual(await take(3), [['g\n', 1]], 'no entry is taken apart behind others');
  assert.deepEqual(await take(2), [['h\ni\n', 2]]);
  assert.deepEqual(await take(9), [['j\n', 1]], 'the rest of it, so that the next one can be had whole');
  assert.deepEqual(await take(9), [['k\n', 1]]);
  assert.deepEqual(await take(9), []);
  queue.giveBack([Buffer.from('x'), Buffer.from('two\nlines'), Buffer.from('y')]);
  assert.deepEqual(await take(9), [
    ['y\n', 1],
    ['two\nlines\n', 1],
    ['x\n', 1],
  ]);
  assert.equal(queue.info().taken, 11);
});

test('what is given back is served first, in its order, and saved', async (t) => {
  const { topic } = await topicIn(t);
  await topic.append(newStream(), 0, [draft('a\nb\nc\nd\n', 4)]);
  const queue = await queueOn(topic);
  const [a, b, c] = await popAway(queue, 3);
  assert.ok(a && b && c);
  assert.equal(queue.giveBack([c, b, a]), 4);
  const again = await queueOn(topic, { cursor: await queue.cursor() });
  assert.equal(again.length, 4);
  assert.deepEqual(texts(await again.peek(10)), ['a', 'b', 'c', 'd']);
  assert.deepEqual(texts(await popAway(again, 4)), ['a', 'b', 'c', 'd']);
});

test('a record in fragments is one item, also for a cursor that was saved before it and after a jump into it', async (t) => {
  const { topic } = await topicIn(t);
  const parts = ['first-', 'middle-', 'last\n'] as const;
  const drafts = [
    draft('a\n', 1),
    draft(parts[0], 0, ENTRY_FLAG.first),
    draft(parts[1], 0, ENTRY_FLAG.middle),
    draft(parts[2], 1, ENTRY_FLAG.last),
    draft('z\n', 1),
  ];
  await topic.append(newStream(), 0, drafts);
  const expected = ['a', 'first-middle-last', 'z'];
  const queue = await queueOn(topic);
  const first = texts(await popAway(queue, 1));
  const again = await queueOn(topic, { cursor: await queue.cursor() });
  assert.deepEqual([...first, ...texts(await popAway(again, 5))], expected);
  const limited = await queueOn(topic, { limit: 2 });
  assert.deepEqual(texts(await popAway(limited, 5)), expected.slice(1));
});

test('the limit drops the oldest, to the record, and counts them at once', async (t) => {
  const { topic } = await topicIn(t);
  const stream = newStream();
  const queue = await queueOn(topic, { limit: 3 });
  await topic.append(stream, 0, [draft('1\n2\n3\n4\n5\n', 5)]);
  assert.equal(queue.length, 3);
  assert.equal(queue.info().dropped, 2);
  assert.deepEqual(texts(await popAway(queue, 1)), ['3']);
  await topic.append(stream, 10, [draft('6\n7\n', 2)]);
  assert.equal(queue.info().dropped, 3);
  assert.deepEqual(texts(await popAway(queue, 9)), ['5', '6', '7']);
});

test('flush moves the cursor to the end and counts', async (t) => {
  const { topic } = await topicIn(t);
  const stream = newStream();
  await topic.append(stream, 0, [draft('1\n2\n3\n', 3)]);
  const queue = await queueOn(topic);
  await popAway(queue, 1);
  assert.equal(queue.flush(), 2);
  assert.equal(queue.length, 0);
  await topic.append(stream, 6, [draft('4\n', 1)]);
  assert.deepEqual(texts(await popAway(queue, 9)), ['4']);
  assert.equal(queue.info().flushed, 2);
});

test('range counts from the newest, as a list that is filled from the left', async (t) => {
  const { topic } = await topicIn(t);
  const lines = Array.from({ length: 1000 }, (_, i) => `${i}`);
  await topic.append(newStream(), 0, [draft(`${lines.join('\n')}\n`, 1000)]);
  const queue = await queueOn(topic);
  const taken = await popAway(queue, 2);
  queue.giveBack(taken.toReversed());
  const list = lines.toReversed();
  const cases: [number, number][] = [
    [0, 0],
    [0, -1],
    [-1, -1],
    [-3, -2],
    [5, 9],
    [990, 5000],
    [10, 5],
    [2000, 3000],
    [200, 700],
  ];
  for (const [start, stop] of cases) {
    const from = start < 0 ? Math.max(0, start + 1000) : start;
    const to = stop < 0 ? stop + 1000 : stop;
    assert.deepEqual(texts(await queue.range(start, stop)), list.slice(from, to + 1), `range ${start} ${stop}`);
  }
  assert.equal(queue.length, 1000);
});

test('lengths and contents stay exact under any mix of appends, pops, give-backs and restarts', async (t) => {
  const { topic } = await topicIn(t, 2000);
  const step = fc.oneof(
    fc.record({
      do: fc.constant('append' as const),
      lines: fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 6 }),
    }),
    fc.record({ do: fc.constant('pop' as const), count: fc.integer({ min: 1, max: 8 }) }),
    fc.record({ do: fc.constant('run' as const), count: fc.integer({ min: 1, max: 8 }) }),
    fc.record({ do: fc.constant('fragments' as const) }),
    fc.record({ do: fc.constant('back' as const) }),
    fc.record({ do: fc.constant('restart' as const) }),
    fc.record({ do: fc.constant('release' as const) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const stream = newStream();
      let offset = 0;
      let number = 0;
      let queue = await queueOn(topic, { cursor: { ...START, sequence: topic.endSequence } });
      const model: string[] = [];
      let held: Buffer[] = [];
      for (const action of steps) {
        if (action.do === 'append') {
          const lines = action.lines.map((length) => (length === 0 ? '' : `${number++}${'.'.repeat(length)}`));
          const text = lines.map((line) => `${line}\n`).join('');
          if (text === '') continue;
          const items = lines.filter((line) => line !== '');
          await topic.append(stream, offset, [draft(text, items.length)]);
          offset += text.length;
          model.push(...items);
        } else if (action.do === 'fragments') {
          const [first, last] = [`${number++}-`, 'end\n'];
          await topic.append(stream, offset, [draft(first, 0, ENTRY_FLAG.first), draft(last, 1, ENTRY_FLAG.last)]);
          offset += first.length + last.length;
          model.push(`${first}end`);
        } else if (action.do === 'run') {
          const taken = await queue.popRuns(action.count, Number.POSITIVE_INFINITY);
          queue.letGo(taken);
          held = [...taken.items];
          assert.ok(held.length <= action.count && (held.length > 0 || model.length === 0));
          assert.equal(held.length, taken.count);
          assert.deepEqual(texts(held), model.splice(0, held.length));
        } else if (action.do === 'pop') {
          held = await popAway(queue, action.count);
          assert.deepEqual(texts(held), model.splice(0, action.count));
        } else if (action.do === 'back') {
          queue.giveBack(held.toReversed());
          model.unshift(...texts(held));
          held = [];
        } else if (action.do === 'restart') {
          const cursor = await queue.cursor();
          queue.close();
          queue = await queueOn(topic, { cursor });
        } else {
          queue.forgetBlocks();
        }
        assert.equal(queue.length, model.length);
      }
      assert.deepEqual(texts(await popAway(queue, 1000)), model);
      queue.close();
    }),
    { numRuns: 60 },
  );
});

test('a read that fails is an error of the pop that needs it, not of the process, and loses nothing that was taken', async (t) => {
  const { topic } = await topicIn(t);
  const stream = newStream();
  // Several times what is read ahead.
  for (let i = 0; i < 24; i++) await topic.append(stream, i * 200_000, [draft(`${'x'.repeat(199_999)}\n`, 1)]);
  let broken = false;
  const unreadable: TopicLog = new Proxy(topic, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      const reads = String(name).startsWith('read');
      return (...args: unknown[]) =>
        reads && broken ? Promise.reject(new Error('the disk')) : (Reflect.apply(value, target, args) as unknown);
    },
  });
  const queue = await queueOn(unreadable);
  assert.equal((await popAway(queue, 1)).length, 1);
  broken = true;
  const some = await popAway(queue, 24);
  assert.ok(some.length < 23);
  await assert.rejects(async () => popAway(queue, 24), /the disk/);
  // An unhandled rejection would be reported by now.
  await new Promise((resolve) => setImmediate(resolve));
  broken = false;
  assert.equal((await popAway(queue, 24)).length, 23 - some.length);
  assert.equal(queue.length, 0);
});
