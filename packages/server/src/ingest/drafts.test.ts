import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { linesFormat } from '../formats/lines.ts';
import { rawFormat } from '../formats/raw.ts';
import { ENTRY_FLAG, ENTRY_KIND, type EntryDraft } from '../journal/port.ts';
import { DraftBuilder } from './drafts.ts';

const { first, middle, last, partial, continued } = ENTRY_FLAG;

/** What a draft holds, short. */
function brief({ flags, pieces, bytes, records }: EntryDraft): [string, number, number] {
  const joined = Buffer.concat(pieces);
  assert.equal(joined.length, bytes);
  return [joined.toString('latin1'), records, flags];
}

function add(builder: DraftBuilder, text: string): void {
  const records = text.split('\n').filter((line) => line !== '').length;
  builder.records([Buffer.from(text)], text.length, records);
}

test('records go together up to the limit of an entry', () => {
  const builder = new DraftBuilder(linesFormat(), 8);
  for (const text of ['a\n', 'b\nc\n', '\n\n', 'd\n']) add(builder, text);
  assert.deepEqual(builder.take().map(brief), [
    ['a\nb\nc\n\n\n', 3, 0],
    ['d\n', 1, 0],
  ]);
  assert.ok(builder.isEmpty);
  assert.equal(builder.cost, 0);
});

test('what is over the limit is divided at records, a larger record into fragments', () => {
  const builder = new DraftBuilder(linesFormat(), 4);
  add(builder, 'a\nbb\n\nccccccccc\nd\n');
  assert.deepEqual(builder.take().map(brief), [
    ['a\n', 1, 0],
    ['bb\n\n', 1, 0],
    ['cccc', 0, first],
    ['cccc', 0, middle],
    ['c\n', 1, last],
    ['d\n', 1, 0],
  ]);
});

test('a record that was cut ends its entry', () => {
  const builder = new DraftBuilder(linesFormat(), 100);
  add(builder, 'a\n');
  add(builder, 'bbbb');
  builder.cut();
  add(builder, 'b\n');
  assert.deepEqual(builder.take().map(brief), [
    ['a\nbbbb', 2, 0],
    ['b\n', 1, 0],
  ]);
});

test('a record that may continue flags its first entry, a partial one all of its own, and a close comes last', () => {
  const builder = new DraftBuilder(linesFormat(), 4);
  builder.beginContinued();
  add(builder, 'aaaaa\nb\n');
  builder.beginPartial();
  add(builder, 'ccccc');
  builder.close();
  const drafts = builder.take();
  assert.equal(drafts.at(-1)?.kind, ENTRY_KIND.close);
  assert.deepEqual(drafts.slice(0, -1).map(brief), [
    ['aaaa', 0, first | continued],
    ['a\n', 1, last],
    ['b\n', 1, 0],
    ['cccc', 0, first | partial],
    ['c', 1, last | partial],
  ]);
});

test('bytes without known records are divided anywhere, without fragments', () => {
  const builder = new DraftBuilder(rawFormat, 100_000);
  builder.records([Buffer.alloc(150_000)], 150_000, 0);
  const drafts = builder.take();
  assert.ok(drafts.every(({ flags, records, bytes }) => flags === 0 && records === 0 && bytes <= 100_000));
  assert.equal(
    drafts.reduce((sum, { bytes }) => sum + bytes, 0),
    150_000,
  );
});

test('whatever the limit, bytes and records are the same, and entries end where records do', () => {
  const format = linesFormat();
  const lines = fc
    .array(fc.string({ maxLength: 12 }), { maxLength: 12 })
    .map((texts) => texts.map((text) => `${text.replaceAll('\n', '')}\n`).join(''));
  fc.assert(
    fc.property(fc.array(lines), fc.integer({ min: 1, max: 30 }), (texts, limit) => {
      const builder = new DraftBuilder(format, limit);
      for (const text of texts) {
        const bytes = Buffer.from(text);
        const half = bytes.length >> 1;
        const records = text.split('\n').filter((line) => line !== '').length;
        if (bytes.length > 0) builder.records([bytes.subarray(0, half), bytes.subarray(half)], bytes.length, records);
      }
      const drafts = builder.take();
      const all = Buffer.from(texts.join(''));
      assert.deepEqual(Buffer.concat(drafts.flatMap(({ pieces }) => pieces)), all);
      const items = texts
        .join('')
        .split('\n')
        .filter((line) => line !== '').length;
      assert.equal(
        drafts.reduce((sum, { records }) => sum + records, 0),
        items,
      );
      for (const { pieces, bytes, flags, records } of drafts) {
        assert.ok(bytes <= limit);
        const text = Buffer.concat(pieces).toString();
        if ((flags & (first | middle)) === 0) assert.ok(text.endsWith('\n'));
        if (flags === 0) assert.equal(records, text.split('\n').filter((line) => line !== '').length);
      }
    }),
  );
});
