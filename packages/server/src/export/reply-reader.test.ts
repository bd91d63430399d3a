import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RecordLines } from './record-lines.ts';
import { type Reply, ReplyError, ReplyReader } from './reply-reader.ts';

const MOST_ITEMS = 40;

/** What a reader makes of bytes that come in pieces. Only answers whose number is in `lists` are lists of items. */
function read(
  bytes: Buffer,
  sizes: readonly number[],
  lists: ReadonlySet<number> | 'all',
  as: 'items' | 'runs' = 'items',
): unknown[] {
  const replies: unknown[] = [];
  let items: string[] | undefined;
  const reader = new ReplyReader({
    wantedItems: () => (lists === 'all' || lists.has(replies.length) ? { most: MOST_ITEMS, as } : undefined),
    items: (lines) => {
      items ??= [];
      items.push(...lines.records.map((record) => record.toString('latin1')));
    },
    reply: (reply) => {
      replies.push(items ?? (reply instanceof ReplyError ? { error: reply.message } : reply));
      items = undefined;
    },
  });
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const { room } = reader;
    const taken = bytes.copy(room, 0, at, at + Math.max(1, sizes[i % sizes.length] ?? bytes.length));
    reader.came(taken);
    at += taken;
  }
  return replies;
}

const bulk = (item: Buffer) => Buffer.concat([Buffer.from(`$${item.length}\r\n`), item, Buffer.from('\r\n')]);
const runOf = (items: readonly Buffer[]) =>
  Buffer.concat([Buffer.from(`:${items.length}\r\n`), bulk(RecordLines.of(items).bytes)]);
const list = (items: readonly Buffer[]) => Buffer.concat([Buffer.from(`*${items.length}\r\n`), ...items.map(bulk)]);

test('items are the same, however their bytes are cut up', () => {
  const item = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
  const sizes = fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(fc.array(fc.array(item, { maxLength: 40 }), { maxLength: 5 }), sizes, (lists, pieces) => {
      const texts = lists.map((items) => items.map((each) => each.toString('latin1')));
      assert.deepEqual(read(Buffer.concat(lists.map(list)), pieces, 'all'), texts);
    }),
  );
});

test('items that are larger than what is read at a time, and those that stand behind them', () => {
  const items = [Buffer.alloc(3_000_000, 'a'), Buffer.from('b'), Buffer.alloc(1_100_000, 'c'), Buffer.alloc(0)];
  const found = read(list(items), [65_536], 'all');
  assert.deepEqual(found, [items.map(String)]);
});

test('every kind of answer, between lists of items, byte by byte', () => {
  const bytes = Buffer.from(
    '+OK\r\n:-12\r\n$2\r\n\r\n\r\n$-1\r\n-ERR no\r\n*-1\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n-ERR list\r\n*2\r\n$1\r\nk\r\n*1\r\n:1\r\n*0\r\n',
  );
  const found = read(bytes, [1], new Set([5, 6, 7, 9])) as Reply[];
  assert.deepEqual(found, [
    'OK',
    -12,
    Buffer.from('\r\n'),
    null,
    { error: 'ERR no' },
    null,
    ['a', 'b'],
    { error: 'ERR list' },
    [Buffer.from('k'), [1]],
    [],
  ]);
});

for (const text of ['x', '*1\r\n+a\r\n', '*1\r\n$-1\r\n', '*1\r\n$1\r\nabc\r\n', '*x\r\n', ':1x\r\n', '$\r\n']) {
  test(`what is no answer is refused: ${JSON.stringify(text)}`, () => {
    assert.throws(() => read(Buffer.from(`${text}\r\n`), [100], 'all'), { code: 'D4_REDIS_PROTOCOL' });
  });
}

test('runs of items are the same, however their bytes are cut up', () => {
  const line = fc
    .uint8Array({ maxLength: 60 })
    .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 10 ? 0 : byte))));
  const run = fc.oneof(
    fc.array(line, { minLength: 1, maxLength: 8 }),
    fc.uint8Array({ maxLength: 300 }).map((bytes) => [Buffer.from(bytes)]),
  );
  const sizes = fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(fc.array(fc.array(run, { maxLength: 5 }), { maxLength: 4 }), sizes, (answers, pieces) => {
      const bytes = Buffer.concat(
        answers.map((runs) => Buffer.concat([Buffer.from(`*${runs.length * 2}\r\n`), ...runs.map(runOf)])),
      );
      const texts = answers.map((runs) => runs.flat().map((each) => each.toString('latin1')));
      assert.deepEqual(read(bytes, pieces, 'all', 'runs'), texts);
    }),
  );
});

for (const [text, message] of [
  ['*1\r\n', /a run is missing/],
  ['*82\r\n', /41 items come where 40 were asked for/],
  ['*2\r\n$2\r\na\n\r\n', /a run begins with byte 36/],
  ['*2\r\n:1\r\n:1\r\n', /the bytes of a run begin with byte 58/],
  ['*2\r\n:0\r\n$0\r\n\r\n', /0 items come in a run/],
  [`*4\r\n:39\r\n$78\r\n${'a\n'.repeat(39)}\r\n:2\r\n$4\r\na\nb\n\r\n`, /2 items come in a run where 1 are left/],
  ['*2\r\n:3\r\n$2\r\na\n\r\n', /does not end where it should/],
  ['*2\r\n:1\r\n$1\r\na\r\n', /does not end where it should/],
  ['*2\r\n:1\r\n$67108866\r\n', /more than 67108864 bytes/],
  ['*2\r\n:2\r\n$3\r\nab\n\r\n', /2 records came in 1 lines/],
] as const) {
  test(`what is no run is refused: ${JSON.stringify(text)}`, () => {
    assert.throws(() => read(Buffer.from(text), [100], 'all', 'runs'), { code: 'D4_REDIS_PROTOCOL', message });
  });
}

test('lines are cut into runs of whole lines', () => {
  const items = ['one', '', 'a longer one', 'x', 'y'].map((text) => Buffer.from(text));
  const lines = RecordLines.of(items);
  const runs = [...lines.runs(6)];
  assert.deepEqual(
    runs.map(({ bytes, records }) => [bytes.toString(), records]),
    [
      ['one\n\n', 2],
      ['a longer one\n', 1],
      ['x\ny\n', 2],
    ],
  );
  assert.deepEqual(lines.recordsFrom(2).map(String), ['a longer one', 'x', 'y']);
  assert.equal(lines.line(1).toString(), '\n');
});

test('a server that sends without end is told apart by what it would cost to go on', () => {
  const piece = Buffer.alloc(60_000, 'a');
  const flood = (head: string, body = piece) => Buffer.concat([Buffer.from(head), ...Array<Buffer>(40).fill(body)]);
  const digits = 'x'.repeat(70_000);
  for (const [bytes, lists, message] of [
    [flood('+'), [], /a line has more than 65536 bytes/],
    [flood(`-${digits}`), [0], /a line has more/],
    [flood('*2\r\n$1\r\nk\r\n$99999999999\r\n'), [], /an item has more than 67108864 bytes/],
    [flood('*1\r\n$99999999999\r\n'), [0], /an item has more than/],
    [flood(`*1\r\n$${'9'.repeat(200)}`), [0], /an item has more than/],
    [flood('$67108865\r\n'), [], /an item has more than/],
    [flood('*1\r\n$', Buffer.alloc(60_000, '0')), [0], /an item has more than/],
    [flood('*41\r\n'), [0], /41 items come where 40 were asked for/],
    [flood('*99999999999\r\n'), [], /a list of 99999999999 comes/],
    [flood('*900\r\n', Buffer.from('*2\r\n:1\r\n:2\r\n'.repeat(20))), [], /an answer has no end/],
    [flood('*5\r\n', Buffer.from('*1\r\n')), [], /nested too deeply/],
  ] as const) {
    const tell = () => read(bytes, [50_000], new Set<number>(lists));
    assert.throws(tell, { code: 'D4_REDIS_PROTOCOL', message });
  }
});

test('an answer in many pieces is read once, not from its beginning for each', () => {
  const parts = 900;
  const bytes = Buffer.from(`*${parts}\r\n${'$3\r\nabc\r\n'.repeat(parts)}`);
  const [answer] = read(bytes, [1], new Set()) as Buffer[][];
  assert.deepEqual(answer?.map(String), Array(parts).fill('abc'));
});
