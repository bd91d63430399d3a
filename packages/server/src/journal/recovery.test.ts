import assert from 'node:assert/strict';
import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import { crc32 } from 'node:zlib';
import {
  decodeSegmentHeader,
  ENTRY_HEADER_BYTES,
  SEGMENT_HEADER_BYTES,
  SEGMENT_VERSION,
  sealEntry,
} from './entry-format.ts';
import { entriesOf, flipByte, JournalFolder, type PlacedHeader } from './journal-folder.ts';
import { ENTRY_FLAG, ENTRY_KIND, type Entry, type StreamDefinition, type TopicLog } from './port.ts';
import { bytesByStream, itemsOf, lines, mark, newStream, ofKind, readAll } from './sample-streams.ts';

const HEADER_COPIES = [0, SEGMENT_HEADER_BYTES / 2];

/** Numbers in [0, 1) that are the same in every run (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

/** Runs `work` for 0 to `count` - 1, some at a time, each on a journal that no other run uses meanwhile. */
async function inParallel(count: number, work: (folder: JournalFolder, i: number) => Promise<void>): Promise<void> {
  let next = 0;
  const runs = Array.from({ length: 6 }, async () => {
    await using folder = await JournalFolder.make({ segmentBytes: 11_000 });
    await mkdir(folder.folder);
    while (next < count) {
      next += 1;
      await work(folder, next - 1);
    }
  });
  await Promise.all(runs);
}

/** `count` commits of three streams; gives the streams back. */
async function fill(log: TopicLog, count: number): Promise<StreamDefinition[]> {
  const streams = Array.from({ length: 3 }, () => newStream('3'));
  const offsets = [0, 0, 0];
  for (let i = 0; i < count; i++) {
    await Promise.all(
      streams.map((stream, s) => {
        const draft = lines(`${s} ${i} ${'x'.repeat((i * 31 + s * 7) % 120)}\n${i}\n`);
        const offset = offsets[s] ?? 0;
        offsets[s] = offset + draft.bytes;
        return log.append(stream, offset, [draft]);
      }),
    );
  }
  return streams;
}

function assertGrowing(entries: readonly Entry[]): void {
  for (const [i, entry] of entries.entries()) {
    const previous = entries[i - 1];
    if (previous === undefined) continue;
    assert.ok(entry.sequence > previous.sequence, `${entry.sequence} after ${previous.sequence}`);
    assert.ok(entry.time >= previous.time);
  }
}

function entryAt(entries: readonly PlacedHeader[], i: number): PlacedHeader {
  const entry = entries.at(i);
  assert.ok(entry !== undefined);
  return entry;
}

function assertClosedOnce(entries: readonly Entry[], streams: readonly StreamDefinition[]): void {
  for (const { id } of streams) {
    const closes = ofKind(entries, ENTRY_KIND.close).filter((entry) => entry.stream.id === id);
    assert.deepEqual(
      closes.map((entry) => entry.flags),
      [ENTRY_FLAG.crashed],
    );
  }
}

describe('recovery of the journal: the end of the open segment', () => {
  test('a batch that is cut off at any byte, or goes on as zeros, costs that batch alone', async () => {
    await using folder = await JournalFolder.make();
    const log = await folder.topic();
    const kept = newStream('3');
    await log.append(kept, 0, [lines('kept\n')]);
    await folder.close();
    const [path = ''] = await folder.files('.seg');
    const name = basename(path);
    const before = (await folder.snapshot()).get(name) ?? Buffer.alloc(0);
    const again = await folder.topic();
    const { endSequence } = again;
    await Promise.all([
      again.append(newStream('3'), 0, [lines('first\n'), lines('second\n')]),
      again.append(newStream('3'), 0, [lines('third\n')]),
    ]);
    await folder.close();
    const after = (await folder.snapshot()).get(name) ?? Buffer.alloc(0);
    const entries = entriesOf(after);
    await inParallel(after.length - before.length, async (folder, i) => {
      const end = before.length + i;
      const zeros = end % 2 === 0 ? 0 : (end * 7) % 100;
      await folder.restore(new Map([[name, Buffer.concat([after.subarray(0, end), Buffer.alloc(zeros)])]]));
      const whole = entries.filter((entry) => entry.to <= end);
      const opened = await folder.topic();
      const held = await readAll(opened);
      const data = ofKind(held, ENTRY_KIND.data);
      const wanted = whole.filter(({ header }) => header.kind === ENTRY_KIND.data).map(({ header }) => header.sequence);
      assert.deepEqual(
        data.map((entry) => entry.sequence),
        wanted,
        `cut at ${end}`,
      );
      assertGrowing(held);
      // Whole blocks as soon as something was written.
      const { bytes } = opened.stats();
      const { size } = await stat(join(folder.folder, name));
      assert.ok(size === bytes || size === Math.ceil(bytes / 4096) * 4096);
      assert.ok(opened.endSequence > entryAt(whole, -1).header.sequence);
      await opened.append(newStream('3'), 0, [lines('next\n')]);
      if (end % 16 !== 0) return;
      const items = itemsOf(await readAll(await folder.topic()));
      assert.deepEqual(items, [...itemsOf(data), 'next']);
      assert.deepEqual(await folder.files('.damaged'), []);
    });
    assert.ok(endSequence < entryAt(entries, -1).header.sequence);
  });

  test('streams that a crash left open are closed once, flagged, wherever their data are', async () => {
    await using folder = await JournalFolder.make({ segmentBytes: 9000 });
    const log = await folder.topic();
    const early = newStream('3');
    await log.append(early, 0, [lines('early\n')]);
    const streams = [early, ...(await fill(log, 30))];
    const ended = newStream('3');
    await log.append(ended, 0, [lines('ended\n'), mark(ENTRY_KIND.close)]);
    await folder.close();
    const files = await folder.snapshot();
    const indexes = [...files.keys()].filter((name) => name.endsWith('.idx'));
    assert.ok(indexes.length > 3);
    const damagedIndexes = indexes.map((name): [string, Buffer] => {
      const bytes = Buffer.from(files.get(name) ?? '');
      bytes.subarray(-20).fill('x');
      return [name, bytes];
    });
    const withoutNewest = [...files].filter(([name]) => name !== indexes.at(-1));
    const withoutAny = [...files].filter(([name]) => !indexes.includes(name));
    for (const held of [[...files], withoutNewest, withoutAny, [...files, ...damagedIndexes]]) {
      await folder.restore(new Map(held));
      for (let opening = 0; opening < 3; opening++) {
        const entries = await readAll(await folder.topic());
        assertClosedOnce(entries, streams);
        const flags = ofKind(entries, ENTRY_KIND.close).filter((entry) => entry.stream.id === ended.id);
        assert.deepEqual(
          flags.map((entry) => entry.flags),
          [0],
        );
      }
    }
  });

  test('a sequence that was recorded elsewhere is never given again; the hole is a gap, once', async () => {
    await using folder = await JournalFolder.make();
    const log = await folder.topic();
    const [stream] = [newStream('3')];
    await log.append(stream, 0, [lines('a\n'), mark(ENTRY_KIND.close)]);
    const { endSequence } = log;
    const same = await folder.topic({ minimumSequence: () => endSequence });
    assert.deepEqual([same.endSequence, same.stats().gaps], [endSequence, 0]);
    const minimum = endSequence + 40;
    const higher = await folder.topic({ minimumSequence: () => minimum });
    assert.equal(higher.stats().gaps, 1);
    await higher.append(newStream('3'), 0, [lines('b\n')]);
    const again = await folder.topic({ minimumSequence: () => minimum });
    const entries = await readAll(again);
    assert.deepEqual(itemsOf(entries), ['a', 'b']);
    assertGrowing(entries);
    assert.ok(ofKind(entries, ENTRY_KIND.data).at(-1)?.sequence ?? 0 >= minimum);
    const [gap, ...others] = ofKind(entries, ENTRY_KIND.gap);
    assert.equal(others.length, 0);
    assert.deepEqual(JSON.parse(`${gap?.bytes}`), { fromSequence: endSequence, toSequence: minimum });
    assert.deepEqual(await again.read(endSequence, 1), await again.read(minimum, 1));
  });

  test('entries of a batch whose sync had failed are void where the next segment took them over', async () => {
    await using folder = await JournalFolder.make();
    const stream = newStream('3');
    const log = await folder.topic();
    await log.append(stream, 0, [lines('one\n')]);
    const before = await folder.snapshot();
    await log.append(stream, 4, [lines('two\n')]);
    await log.append(stream, 8, [lines('three\n')]);
    const [suspect = ''] = (await folder.snapshot()).keys();
    await folder.close();
    const unsynced = (await folder.snapshot()).get(suspect) ?? Buffer.alloc(0);
    // What that leaves: the suspect segment as it was synced, and the same sequences once more in the next ones.
    await folder.restore(before);
    const retried = await folder.topic({ segmentBytes: 1 });
    for (const text of ['two\n', 'three\n']) await retried.append(newStream('3'), 0, [lines(text)]);
    await folder.close();
    const files = await folder.snapshot();
    files.delete(suspect.replace('.seg', '.idx'));
    const [, next = ''] = [...files.keys()].sort().filter((name) => name.endsWith('.seg'));
    assert.equal(Number.parseInt(next, 10), entryAt(entriesOf(unsynced), -2).header.sequence);
    for (const tail of [unsynced, unsynced.subarray(0, unsynced.length - 3), damaged(unsynced, -2)]) {
      await folder.restore(new Map([...files, [suspect, tail]]));
      const opened = await folder.topic();
      const entries = await readAll(opened);
      assert.deepEqual(itemsOf(entries), ['one', 'two', 'three']);
      assertGrowing(entries);
      assertClosedOnce(entries, [stream]);
      assert.equal(opened.stats().gaps, 0);
    }
  });
});

/** A copy of a segment in which one entry is damaged. */
function damaged(segment: Buffer, entry: number): Buffer {
  const copy = Buffer.from(segment);
  const { from } = entryAt(entriesOf(segment), entry);
  copy.writeUInt8(copy.readUInt8(from + 20) ^ 0xff, from + 20);
  return copy;
}

describe('recovery of the journal: damage', () => {
  test('bytes changed anywhere cost the entries that they hit, are set aside, and are one gap for ever', async () => {
    await using folder = await JournalFolder.make({ segmentBytes: 11_000 });
    await fill(await folder.topic(), 30);
    await folder.close();
    const files = await folder.snapshot();
    const names = [...files.keys()].sort();
    const placed = new Map<string, PlacedHeader[]>();
    const original = new Map<number, string>();
    for (const name of names.filter((name) => name.endsWith('.seg'))) {
      const bytes = files.get(name) ?? Buffer.alloc(0);
      placed.set(name, entriesOf(bytes));
      for (const { header, from, to } of entriesOf(bytes)) {
        if (header.kind !== ENTRY_KIND.data) continue;
        original.set(header.sequence, bytes.toString('latin1', from + ENTRY_HEADER_BYTES, to));
      }
    }
    assert.ok(placed.size > 3);
    await inParallel(150, async (folder, round) => {
      const random = randomNumbers(round);
      const changed = new Map([...files].map(([name, bytes]) => [name, Buffer.from(bytes)]));
      if (round % 3 === 0) for (const name of names) if (name.endsWith('.idx')) changed.delete(name);
      const hit = new Set<number>();
      for (let flips = 1 + Math.floor(random() * 6); flips > 0; flips--) {
        const name = names[Math.floor(random() * names.length)] ?? '';
        const bytes = changed.get(name);
        if (bytes === undefined) continue;
        const at = Math.floor(random() * bytes.length);
        bytes.writeUInt8(bytes.readUInt8(at) ^ (1 + Math.floor(random() * 255)), at);
        const entry = placed.get(name)?.find(({ from, to }) => from <= at && at < to);
        if (entry !== undefined) hit.add(entry.header.sequence);
      }
      await folder.restore(changed);
      const log = await folder.topic();
      const entries = await readAll(log);
      assertGrowing(entries);
      const found = new Set<number>();
      for (const { sequence, bytes } of ofKind(entries, ENTRY_KIND.data)) {
        assert.equal(bytes.toString('latin1'), original.get(sequence), `round ${round}`);
        found.add(sequence);
      }
      for (const sequence of original.keys()) {
        assert.ok(found.has(sequence) || hit.has(sequence), `round ${round} lost ${sequence}`);
      }
      const gaps = ofKind(entries, ENTRY_KIND.gap).length;
      const setAside = await folder.files('.damaged');
      assert.equal(setAside.length, gaps);
      assert.equal(log.stats().gaps, gaps);
      await log.append(newStream('3'), 0, [lines('after\n')]);
      const again = await folder.topic();
      const later = await readAll(again);
      assert.equal(ofKind(later, ENTRY_KIND.gap).length, gaps, `round ${round}`);
      assert.deepEqual([again.stats().gaps, await folder.files('.damaged')], [gaps, setAside]);
      const data = ofKind(entries, ENTRY_KIND.data).length + 1;
      assert.equal(ofKind(later, ENTRY_KIND.data).length, data);
      assert.equal(await again.ordinalOf({ sequence: again.endSequence, record: 0 }), again.endOrdinal);
    });
  });

  test('the bytes between valid entries are set aside as they are, and lengths count what is left', async () => {
    await using folder = await JournalFolder.make();
    await fill(await folder.topic(), 10);
    await folder.close();
    const [path = ''] = await folder.files('.seg');
    const bytes = (await folder.snapshot()).get(basename(path)) ?? Buffer.alloc(0);
    const data = entriesOf(bytes).filter(({ header }) => header.kind === ENTRY_KIND.data);
    const { from, to, header } = entryAt(data, 7);
    await flipByte(path, from + 30);
    const log = await folder.topic();
    const entries = await readAll(log);
    const [gap] = ofKind(entries, ENTRY_KIND.gap);
    const kept = `${basename(path, '.seg')}-${from}.damaged`;
    assert.deepEqual(JSON.parse(`${gap?.bytes}`), { segment: basename(path), from, to, kept });
    const wanted = Buffer.from(bytes.subarray(from, to));
    wanted.writeUInt8(wanted.readUInt8(30) ^ 0x55, 30);
    assert.deepEqual((await folder.snapshot()).get(kept), wanted);
    assert.deepEqual([log.stats().gaps, log.stats().gapBytes], [1, to - from]);
    assert.equal(log.stats().records, 58);
    assert.equal(log.endOrdinal, 58);
    assert.equal(await log.ordinalOf({ sequence: header.sequence, record: 1 }), 14);
    assert.equal(await log.ordinalOf({ sequence: header.sequence + 1, record: 0 }), 14);
    assert.deepEqual(await log.positionOf(14), { sequence: header.sequence + 1, record: 0 });
    assert.equal(await log.ordinalOf({ sequence: log.endSequence, record: 0 }), log.endOrdinal);
  });

  test('one damaged copy of a segment header costs nothing', async () => {
    await using folder = await JournalFolder.make({ segmentBytes: 10_000 });
    await fill(await folder.topic(), 20);
    await folder.close();
    const files = await folder.snapshot();
    for (const copy of HEADER_COPIES) {
      await folder.restore(files);
      for (const path of await folder.files('.seg')) await flipByte(path, copy + 33);
      const log = await folder.topic();
      assert.equal(itemsOf(await readAll(log)).length, 120);
      assert.equal(log.stats().gaps, 0);
    }
  });

  test('a segment without a readable header is set aside, and its sequences are not used again', async () => {
    await using folder = await JournalFolder.make({ segmentBytes: 10_000 });
    const log = await folder.topic();
    await fill(log, 20);
    const { endSequence } = log;
    await folder.close();
    const files = await folder.snapshot();
    const segments = [...files.keys()].filter((name) => name.endsWith('.seg'));
    for (const lost of [segments.at(0), segments.at(1), segments.at(-1)]) {
      await folder.restore(files);
      for (const copy of HEADER_COPIES) await flipByte(join(folder.folder, lost ?? ''), copy + 33);
      let first = 0;
      for (let opening = 0; opening < 2; opening++) {
        const opened = await folder.topic();
        const entries = await readAll(opened);
        assertGrowing(entries);
        const gaps = ofKind(entries, ENTRY_KIND.gap);
        assert.deepEqual([gaps.length, opened.stats().gaps], [1, 1]);
        assert.equal(opened.stats().gapBytes, files.get(lost ?? '')?.length);
        assert.ok((gaps[0]?.sequence ?? 0) >= endSequence);
        const items = itemsOf(entries).length;
        assert.ok(items > 0 && items < 120);
        if (opening === 0) first = items;
        assert.equal(items, first);
      }
    }
  });

  test('the last entry of a sealed segment is a gap too, where it is damaged and no index tells of it', async () => {
    await using folder = await JournalFolder.make({ segmentBytes: 10_000 });
    await fill(await folder.topic(), 20);
    await folder.close();
    const [path = ''] = await folder.files('.seg');
    const bytes = (await folder.snapshot()).get(basename(path)) ?? Buffer.alloc(0);
    const last = entryAt(entriesOf(bytes), -1);
    await flipByte(path, last.from + 60);
    await rm(path.replace(/seg$/, 'idx'));
    for (let opening = 0; opening < 2; opening++) {
      const log = await folder.topic();
      const gaps = ofKind(await readAll(log), ENTRY_KIND.gap);
      assert.deepEqual([gaps.length, log.stats().gaps], [1, 1]);
      assert.deepEqual(JSON.parse(`${gaps[0]?.bytes}`).from, last.from);
    }
  });

  test('a newer format is refused and left as it is', async () => {
    await using folder = await JournalFolder.make();
    await fill(await folder.topic(), 3);
    await folder.close();
    const [path = ''] = await folder.files('.seg');
    const bytes = (await folder.snapshot()).get(basename(path)) ?? Buffer.alloc(0);
    bytes.writeUInt16LE(SEGMENT_VERSION + 1, 8);
    const length = 40 + bytes.readUInt16LE(10);
    bytes.writeUInt32LE(crc32(bytes.subarray(0, length)), length);
    await writeFile(path, bytes);
    const before = await folder.snapshot();
    await assert.rejects(folder.open(), { code: 'D4_JOURNAL_VERSION' });
    assert.deepEqual(await folder.snapshot(), before);
  });

  test('bytes of a sensor that look like an entry are never taken for one', async () => {
    await using folder = await JournalFolder.make();
    const log = await folder.topic();
    const stream = newStream('3');
    await log.append(stream, 0, [lines('before\n')]);
    const [path = ''] = await folder.files('.seg');
    const file = (await folder.snapshot()).get(basename(path)) ?? Buffer.alloc(0);
    const salt = decodeSegmentHeader(file)?.salt ?? 0;
    const real = entryAt(entriesOf(file), -1);
    const at = real.to + ENTRY_HEADER_BYTES;
    // All that a sensor can know but for the salt; then, worse, a true entry of this very file at another place.
    const body = Buffer.from('forged\n');
    const forged = Buffer.alloc(ENTRY_HEADER_BYTES + body.length);
    body.copy(forged, ENTRY_HEADER_BYTES);
    const header = { ...real.header, length: body.length, sequence: real.header.sequence + 2 };
    sealEntry(forged, 0, header, { salt: salt ^ 0x1000, position: at });
    const copied = Buffer.alloc(forged.length);
    body.copy(copied, ENTRY_HEADER_BYTES);
    sealEntry(copied, 0, header, { salt, position: at });
    const payload = Buffer.concat([forged, copied, file.subarray(real.from, real.to), Buffer.from('\n')]);
    await log.append(stream, 7, [{ ...lines(payload), records: 1 }]);
    await log.append(stream, 7 + payload.length, [lines('after\n')]);
    const hit = entryAt(entriesOf((await folder.snapshot()).get(basename(path)) ?? Buffer.alloc(0)), -2);
    assert.equal(hit.from + ENTRY_HEADER_BYTES, at);
    await flipByte(path, hit.from);
    assert.deepEqual(itemsOf(await readAll(log)), ['before', 'after']);
    const again = await folder.topic();
    assert.deepEqual(itemsOf(await readAll(again)), ['before', 'after']);
    assert.equal(again.stats().gapBytes, hit.to - hit.from);
  });

  test('data whose define is damaged can be read, as of no sensor', async () => {
    await using folder = await JournalFolder.make();
    const log = await folder.topic();
    const streams = [newStream('3'), newStream('3')];
    for (const [i, stream] of streams.entries()) await log.append(stream, 0, [lines(`${i}\n`)]);
    await folder.close();
    const [path = ''] = await folder.files('.seg');
    await flipByte(path, SEGMENT_HEADER_BYTES + 60);
    for (let opening = 0; opening < 2; opening++) {
      const entries = await readAll(await folder.topic());
      const data = ofKind(entries, ENTRY_KIND.data);
      assert.deepEqual(itemsOf(data), ['0', '1']);
      assert.deepEqual(
        data.map((entry) => entry.stream.sensor),
        ['00000000-0000-0000-0000-000000000000', streams[1]?.sensor],
      );
      assert.deepEqual([...bytesByStream(entries).keys()], ['0'.repeat(32), streams[1]?.id]);
    }
  });

  test('a journal of which everything is lost starts above what cursors have recorded', async () => {
    await using folder = await JournalFolder.make();
    await fill(await folder.topic(), 3);
    await folder.close();
    await rm(folder.folder, { recursive: true });
    const log = await folder.topic({ minimumSequence: () => 500 });
    await log.append(newStream('3'), 0, [lines('a\n')]);
    assert.ok(log.firstSequence >= 500);
    assert.equal(log.stats().gaps, 1);
  });
});
