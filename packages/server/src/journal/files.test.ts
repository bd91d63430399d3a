import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { describe, test } from 'node:test';
import { journalContract, type OpenedJournal } from './contract.ts';
import { entriesOf, flipByte, JournalFolder } from './journal-folder.ts';
import { ENTRY_FLAG, ENTRY_KIND, type TopicLog } from './port.ts';
import { bytesByStream, itemsOf, lines, mark, newStream, ofKind, readAll } from './sample-streams.ts';
import type { SyncPolicy } from './topic-log.ts';

async function openedJournal(settings: { policy: SyncPolicy; segmentBytes?: number }): Promise<OpenedJournal> {
  const folder = await JournalFolder.make(settings);
  return {
    journal: await folder.open(),
    reopen: () => folder.open(),
    cleanUp: () => folder[Symbol.asyncDispose](),
  };
}

journalContract('files', () => openedJournal({ policy: 'fsync' }));
journalContract('files, synced each second, a segment for each commit', () =>
  openedJournal({ policy: 'interval', segmentBytes: 1 }),
);

/** Two streams that stay open and write in turn, `count` commits; a third one is closed after its first. */
async function fill(log: TopicLog, count: number): Promise<void> {
  const streams = [newStream('3'), newStream('3', { preamble: Buffer.from('preamble') })];
  const offsets = [0, 0];
  const short = newStream('3');
  await log.append(short, 0, [lines('short\n'), mark(ENTRY_KIND.close)]);
  for (let i = 0; i < count; i++) {
    const appends = streams.map((stream, s) => {
      const draft = lines(`${s} ${i} ${'x'.repeat((i * 37) % 200)}\n`);
      const offset = offsets[s] ?? 0;
      offsets[s] = offset + draft.bytes;
      return log.append(stream, offset, [draft]);
    });
    await Promise.all(appends);
  }
}

describe('segment files', () => {
  test('each segment can be read alone: a define precedes the data of each of its streams', async () => {
    await using folder = await JournalFolder.make({ segmentBytes: 10_000 });
    const log = await folder.topic();
    await fill(log, 40);
    const all = ofKind(await readAll(log), ENTRY_KIND.data);
    await folder.close();
    const segments = await folder.files('.seg');
    assert.ok(segments.length > 4, `${segments.length}`);
    for (const path of segments) {
      await using alone = await JournalFolder.make();
      await mkdir(alone.folder);
      await folder.copyTo(alone, path);
      const data = ofKind(await readAll(await alone.topic()), ENTRY_KIND.data);
      assert.ok(data.length > 0);
      const first = all.findIndex((entry) => entry.sequence === data[0]?.sequence);
      assert.deepEqual(data, all.slice(first, first + data.length));
    }
  });

  test('indexes that are missing, damaged, cut short or of another segment are made again', async () => {
    await using folder = await JournalFolder.make({ segmentBytes: 10_000 });
    await fill(await folder.topic(), 40);
    const whole = await readAll(await folder.topic());
    const streams = new Set(whole.map((entry) => entry.stream.id)).size;
    assert.equal(ofKind(whole, ENTRY_KIND.close).length, streams);
    await folder.close();
    const files = await folder.snapshot();
    const indexes = [...files.keys()].filter((name) => name.endsWith('.idx'));
    const other = files.get(indexes.at(-2) ?? '') ?? Buffer.alloc(0);
    const changes: Record<string, (bytes: Buffer) => Buffer | undefined> = {
      missing: () => undefined,
      empty: () => Buffer.alloc(0),
      'of another segment': () => other,
      'damaged in the front': (bytes) => bytes.fill('x', 30, 40),
      'damaged at the end': (bytes) => bytes.fill('x', bytes.length - 8),
      'cut short': (bytes) => bytes.subarray(0, bytes.length - 1),
    };
    for (const [what, change] of Object.entries(changes)) {
      const changed = new Map(files);
      for (const name of indexes) {
        const bytes = change(Buffer.from(files.get(name) ?? ''));
        if (bytes === undefined) changed.delete(name);
        else changed.set(name, bytes);
      }
      await folder.restore(changed);
      const log = await folder.topic();
      assert.deepEqual(await readAll(log), whole, what);
      assert.deepEqual([log.stats().gaps, log.stats().records], [0, 81], what);
      assert.equal((await folder.files('.idx')).length, indexes.length, what);
    }
  });

  test('the index of another journal with the same first sequence is not taken', async () => {
    await using folder = await JournalFolder.make({ segmentBytes: 10_000 });
    await using other = await JournalFolder.make({ segmentBytes: 10_000 });
    await fill(await folder.topic(), 40);
    await fill(await other.topic(), 45);
    await folder.close();
    await other.close();
    const [index = ''] = await other.files('.idx');
    await other.copyTo(folder, index);
    assert.equal(itemsOf(await readAll(await folder.topic())).length, 81);
  });

  test('a segment is not sealed inside a fragmented record', async () => {
    await using folder = await JournalFolder.make({ segmentBytes: 20_000 });
    const log = await folder.topic();
    const stream = newStream('3');
    const piece = 'x'.repeat(5000);
    for (let i = 0; i < 6; i++) {
      const flags = i === 0 ? ENTRY_FLAG.first : i === 5 ? ENTRY_FLAG.last : ENTRY_FLAG.middle;
      await log.append(stream, i * 5000, [{ ...lines(piece), flags, records: i === 5 ? 1 : 0 }]);
    }
    assert.equal(log.stats().segments, 1);
    await log.append(stream, 30_000, [lines('y\n')]);
    assert.equal(log.stats().segments, 2);
    // A stream that never ends its record cannot hold a segment open for ever.
    await log.append(stream, 30_002, [{ ...lines(piece), flags: ENTRY_FLAG.first, records: 0 }]);
    for (let i = 0; i < 40; i++) await log.append(newStream('3'), 0, [lines(piece)]);
    assert.ok(log.stats().segments > 2);
  });

  test('reading, appending, rotation and retention at the same time', async () => {
    await using folder = await JournalFolder.make({ segmentBytes: 9000 });
    const log = await folder.topic();
    const total = 300;
    let done = false;
    const readers = Array.from({ length: 6 }, async (_, reader) => {
      const seen: string[] = [];
      for (let sequence = 0; ; ) {
        const finished = done;
        const entries = await log.read(sequence, reader % 2 === 0 ? 1 : 3000);
        const last = entries.at(-1);
        if (last === undefined && finished) return seen;
        seen.push(...itemsOf(entries));
        if (last !== undefined) sequence = last.sequence + 1;
        if (reader === 5) await log.ordinalOf(await log.positionOf(await log.ordinalOf({ sequence, record: 0 })));
        if (last === undefined) await new Promise((resolve) => setImmediate(resolve));
      }
    });
    for (let i = 0; i < total; i++) {
      await log.append(newStream('3'), 0, [lines(`${i}\n`), mark(ENTRY_KIND.close)]);
      if (i % 50 === 49) await log.truncateBefore(log.endSequence - 100);
    }
    done = true;
    for (const seen of await Promise.all(readers)) {
      const numbers = seen.map(Number);
      assert.ok(numbers.every((number, i) => i === 0 || number > (numbers[i - 1] ?? 0)));
      assert.equal(numbers.at(-1), total - 1);
    }
    const held = itemsOf(await readAll(log)).map(Number);
    assert.deepEqual(
      held,
      Array.from({ length: held.length }, (_, i) => total - held.length + i),
    );
    await folder.close();
    assert.equal((await folder.files('.seg')).length, log.stats().segments);
    assert.ok((await folder.files('.idx')).length < log.stats().segments);
  });

  test('more readers at more places than descriptors are kept open', async () => {
    await using folder = await JournalFolder.make({ segmentBytes: 1 });
    const log = await folder.topic();
    const count = 15;
    for (let i = 0; i < count; i++) await log.append(newStream('3'), 0, [lines(`${i}\n`)]);
    const { firstSequence } = log;
    const readers = Array.from({ length: count }, async (_, reader) => {
      for (let round = 0; round < 2 * count; round++) {
        const segment = (reader * 7 + round * 4) % count;
        assert.deepEqual(itemsOf(await log.read(firstSequence + 2 * segment, 1000)), [String(segment)]);
      }
    });
    await Promise.all(readers);
    await folder.close();
    const late = Array.from({ length: 30 }, (_, i) => log.read(firstSequence + 2 * (i % 3), 1000));
    for (const [i, entries] of (await Promise.all(late)).entries()) {
      assert.deepEqual(itemsOf(entries), [String(i % 3)], 'a read after the close still works');
    }
  });

  test('a read that has begun when retention removes its segment goes on with the next', async () => {
    await using folder = await JournalFolder.make({ segmentBytes: 1 });
    const log = await folder.topic();
    for (let i = 0; i < 12; i++) await log.append(newStream('3'), 0, [lines(`${i}\n`)]);
    const reads = Array.from({ length: 12 }, (_, i) => log.read(log.firstSequence + 2 * i, 1000));
    const ordinal = log.ordinalOf({ sequence: log.firstSequence + 1, record: 0 });
    const position = log.positionOf(0);
    const byTime = log.positionAt(0);
    await log.truncateBefore(log.endSequence);
    for (const entries of await Promise.all(reads)) assert.ok(entries.length > 0);
    assert.ok((await ordinal) <= log.endOrdinal);
    assert.ok((await position).sequence <= log.endSequence);
    assert.ok((await byTime).sequence <= log.endSequence);
    assert.deepEqual(await folder.files('.idx'), []);
  });

  test('damage while the journal is open costs the entries that were hit, and lengths stay sane', async () => {
    await using folder = await JournalFolder.make({ segmentBytes: 60_000 });
    const log = await folder.topic();
    await fill(log, 400);
    const all = ofKind(await readAll(log), ENTRY_KIND.data);
    const { endOrdinal } = log;
    const before = await folder.snapshot();
    const hit = new Set<number>();
    for (const path of await folder.files('.seg')) {
      const entries = entriesOf(before.get(basename(path)) ?? Buffer.alloc(0));
      for (const [i, { header, from, to }] of entries.entries()) {
        if (i % 40 !== 20 || header.kind !== ENTRY_KIND.data) continue;
        hit.add(header.sequence);
        await flipByte(path, i % 80 === 20 ? from + 9 : to - 1);
      }
    }
    assert.ok(hit.size > 8);
    const read = ofKind(await readAll(log), ENTRY_KIND.data);
    const wanted = all.filter((entry) => !hit.has(entry.sequence));
    assert.deepEqual(read, wanted);
    let previous = 0;
    for (const { sequence } of read) {
      const ordinal = await log.ordinalOf({ sequence, record: 0 });
      assert.ok(ordinal >= previous && ordinal <= endOrdinal);
      previous = ordinal;
    }
    for (let ordinal = 0; ordinal < endOrdinal; ordinal += 13) {
      const { sequence } = await log.positionOf(ordinal);
      assert.ok(sequence >= log.firstSequence && sequence <= log.endSequence);
    }
    assert.equal(await log.ordinalOf({ sequence: log.endSequence, record: 0 }), endOrdinal);
  });

  test('times do not go back with the clock, nor when the journal is opened again', async (context) => {
    await using folder = await JournalFolder.make({ segmentBytes: 1 });
    const log = await folder.topic();
    await log.append(newStream('3'), 0, [lines('a\n')]);
    context.mock.timers.enable({ apis: ['Date'], now: Date.now() - 3_600_000 });
    await log.append(newStream('3'), 0, [lines('b\n')]);
    const again = await folder.topic();
    await again.append(newStream('3'), 0, [lines('c\n')]);
    const times = (await readAll(again)).map((entry) => entry.time);
    assert.equal(new Set(times).size, 1, `${times}`);
  });

  test('a segment that is cut short from outside, while it is open, ends reading there', async () => {
    await using folder = await JournalFolder.make({ segmentBytes: 100_000 });
    const log = await folder.topic();
    await fill(log, 100);
    const [path = ''] = await folder.files('.seg');
    const { length } = (await folder.snapshot()).get(basename(path)) ?? '';
    execFileSync('truncate', ['-s', String(length - 3000), path]);
    const items = itemsOf(await readAll(log));
    assert.ok(items.length > 100 && items.length < 201);
    assert.deepEqual(await log.positionOf(200), { sequence: log.endSequence, record: 0 });
  });

  test('what a crash left of a new segment is deleted, and is no gap', async () => {
    await using folder = await JournalFolder.make();
    await (await folder.topic()).append(newStream('3'), 0, [lines('a\n')]);
    await folder.close();
    const [segment = ''] = await folder.files('.seg');
    const header = ((await folder.snapshot()).get(basename(segment)) ?? Buffer.alloc(0)).subarray(0, 8192);
    for (const bytes of [Buffer.alloc(0), header.subarray(0, 10), Buffer.alloc(8192), header]) {
      await writeFile(segment.replace(/\d+\.seg/, '0000000000000777.seg'), bytes);
      const log = await folder.topic();
      assert.equal(log.stats().segments, 1);
      assert.equal(log.stats().gaps, 0);
      assert.deepEqual(itemsOf(await readAll(log)), ['a']);
    }
  });

  test('a topic of the type "files", and topics of files, are found again', async () => {
    await using folder = await JournalFolder.make();
    const journal = await folder.open();
    for (const name of ['files', 'files/maltrail', 'Files-2', '254']) {
      const log = await journal.open(name);
      await log.append(newStream(name), 0, [lines('a\n')]);
    }
    await rm(folder.folder, { recursive: true, force: true });
    assert.deepEqual((await folder.open()).topics().sort(), ['254', 'Files-2', 'files', 'files/maltrail']);
  });
});

describe('a journal that cannot be written', () => {
  /** Limits the length of every file that this process writes, as a full disk does. */
  function limitFileBytes(limit: number | 'unlimited'): void {
    execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${limit}:`]);
  }

  test('a write that fails goes to a new segment; nothing is lost or doubled', async () => {
    await using folder = await JournalFolder.make({ policy: 'fsync' });
    const log = await folder.topic();
    const stream = newStream('3');
    const text = `${'x'.repeat(999)}\n`;
    try {
      // Five blocks: less than the commits below need in one segment.
      limitFileBytes(20_480);
      for (let i = 0; i < 30; i++) await log.append(stream, i * 1000, [lines(text)]);
    } finally {
      limitFileBytes('unlimited');
    }
    assert.equal(log.stats().segments, 3);
    for (const held of [log, await folder.topic()]) {
      assert.equal(
        bytesByStream(await readAll(held))
          .get(stream.id)
          ?.toString(),
        text.repeat(30),
      );
      assert.equal(held.stats().gaps, 0);
    }
  });

  test('where no new segment can be written the append is refused; with space it works again', async () => {
    await using folder = await JournalFolder.make({ policy: 'fsync' });
    const log = await folder.topic();
    const [stream, other] = [newStream('3'), newStream('3')];
    await log.append(stream, 0, [lines('a\n')]);
    const { endSequence } = log;
    try {
      for (const limit of [0, 5000, 8500, 0]) {
        limitFileBytes(limit);
        const appends = [
          log.append(stream, 2, [lines(`${'lost'.repeat(500)}\n`)]),
          log.append(other, 0, [lines('lost\n')]),
        ];
        for (const append of appends) await assert.rejects(append, { code: 'D4_JOURNAL_FAILED' });
        assert.equal(log.endSequence, endSequence);
        assert.deepEqual(itemsOf(await readAll(log)), ['a']);
      }
    } finally {
      limitFileBytes('unlimited');
    }
    await log.append(stream, 2, [lines('b\n')]);
    await log.append(other, 0, [lines('c\n')]);
    for (const held of [log, await folder.topic()]) {
      assert.deepEqual(itemsOf(await readAll(held)), ['a', 'b', 'c']);
      assert.deepEqual([held.stats().gaps, held.stats().records], [0, 3]);
    }
  });
});
