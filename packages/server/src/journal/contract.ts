import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { SensorId } from '@d4ts/protocol';
import fc from 'fast-check';
import {
  type CountedEntry,
  ENTRY_FLAG,
  ENTRY_KIND,
  type EntryDraft,
  type Journal,
  type StreamDefinition,
  type TopicLog,
  type TopicSelection,
} from './port.ts';
import { bytesByStream, itemsOf, lines, mark, newStream, ofKind, readAll } from './sample-streams.ts';

/** A journal of an adapter under test, empty. */
export interface OpenedJournal {
  readonly journal: Journal;
  /** Closes it and opens it again with what it holds, where the adapter can. */
  reopen?(): Promise<Journal>;
  cleanUp(): Promise<void>;
}

const RUNS = 20;

/** What every adapter of the journal's port must do (docs/journal.md, rules 1 to 15). Sequences are opaque to it. */
export function journalContract(name: string, open: () => Promise<OpenedJournal>): void {
  const withJournal = (title: string, run: (opened: OpenedJournal) => Promise<void>): void => {
    test(title, async () => {
      const opened = await open();
      try {
        await run(opened);
      } finally {
        await opened.cleanUp();
      }
    });
  };
  const withTopic = (title: string, run: (log: TopicLog) => Promise<void>): void => {
    withJournal(title, async ({ journal }) => run(await journal.open('3')));
  };

  describe(`journal contract: ${name}`, () => {
    withJournal('opens topics, once each, and knows their names', async ({ journal }) => {
      assert.equal(journal.get('3'), undefined);
      const [log, same, files] = await Promise.all([
        journal.open('3'),
        journal.open('3'),
        journal.open('files/maltrail'),
      ]);
      assert.equal(log, same);
      assert.equal(journal.get('3'), log);
      assert.deepEqual(journal.topics().sort(), ['3', 'files/maltrail']);
      await log.append(newStream('3'), 0, [lines('a\n')]);
      assert.equal(files.endOrdinal, 0);
      for (const bad of ['', '.', '..', 'a/b', '../3', 'files/', 'a b', 'x'.repeat(65)]) {
        await assert.rejects(journal.open(bad), { code: 'D4_BAD_TOPIC' }, bad);
      }
    });

    withTopic(
      'reads back what was appended: bytes, offsets, kinds, flags, the stream with all its fields',
      async (log) => {
        const stream = newStream('3', {
          type: 254,
          metaHeader: '{"type":"ja3-jl","é":"\\u0000"}',
          preamble: Buffer.from([0xd4, 0xc3, 0, 0xff]),
        });
        const pieces = [Buffer.from('one\nt'), Buffer.from('wo\n')];
        await log.append(stream, 0, [
          { kind: ENTRY_KIND.data, flags: 0, pieces, bytes: 8, records: 2 },
          lines('three\n'),
        ]);
        await log.append(stream, 14, [
          { ...lines('{"path":"/a"}'), kind: ENTRY_KIND.file },
          { ...lines('rest'), flags: ENTRY_FLAG.partial, records: 1 },
        ]);
        await log.append(stream, 18, [mark(ENTRY_KIND.cut), mark(ENTRY_KIND.close)]);
        const entries = (await readAll(log)).filter((entry) => entry.kind !== ENTRY_KIND.define);
        const seen = entries.map(({ kind, flags, offset, records, bytes }) => [
          kind,
          flags,
          offset,
          records,
          `${bytes}`,
        ]);
        assert.deepEqual(seen, [
          [ENTRY_KIND.data, 0, 0, 2, 'one\ntwo\n'],
          [ENTRY_KIND.data, 0, 8, 1, 'three\n'],
          [ENTRY_KIND.file, 0, 14, 0, '{"path":"/a"}'],
          [ENTRY_KIND.data, ENTRY_FLAG.partial, 14, 1, 'rest'],
          [ENTRY_KIND.cut, 0, 18, 0, ''],
          [ENTRY_KIND.close, 0, 18, 0, ''],
        ]);
        for (const entry of entries) assert.deepEqual(entry.stream, stream);
      },
    );

    withJournal(
      'a gap advances its stream by what it stands for, also after reopening',
      async ({ journal, reopen }) => {
        let log = await journal.open('3');
        const stream = newStream('3');
        const gap: EntryDraft = { ...lines('{"why":"x"}'), kind: ENTRY_KIND.gap, leftOut: 1_000 };
        await log.append(stream, 0, [gap, lines('a\n'), gap]);
        await assert.rejects(log.append(stream, 2, [lines('b\n')]), { code: 'D4_JOURNAL_OFFSET' });
        if (reopen === undefined) await log.append(stream, 2_002, [mark(ENTRY_KIND.close, ENTRY_FLAG.crashed)]);
        else log = await (await reopen()).open('3');
        const entries = (await readAll(log)).filter((entry) => entry.kind !== ENTRY_KIND.define);
        assert.deepEqual(
          entries.map(({ kind, offset }) => [kind, offset]),
          [
            [ENTRY_KIND.gap, 1_000],
            [ENTRY_KIND.data, 1_000],
            [ENTRY_KIND.gap, 2_002],
            [ENTRY_KIND.close, 2_002],
          ],
        );
      },
    );

    withTopic('keeps the fragments of a large record, flagged, up to the largest entry', async (log) => {
      const stream = newStream('3');
      const fragment = (flags: number, records: number): EntryDraft => {
        const bytes = Buffer.alloc(log.maxEntryBytes, flags);
        return { kind: ENTRY_KIND.data, flags, pieces: [bytes], bytes: bytes.length, records };
      };
      const { first, middle, last } = ENTRY_FLAG;
      await log.append(stream, 0, [fragment(first, 0)]);
      await log.append(stream, log.maxEntryBytes, [fragment(middle, 0), fragment(last, 1)]);
      const data = ofKind(await readAll(log), ENTRY_KIND.data);
      assert.deepEqual(
        data.map((entry) => [entry.flags, entry.records, entry.bytes.length]),
        [
          [first, 0, log.maxEntryBytes],
          [middle, 0, log.maxEntryBytes],
          [last, 1, log.maxEntryBytes],
        ],
      );
      assert.ok(data.every((entry) => entry.bytes.every((byte) => byte === entry.flags)));
      assert.equal(log.endOrdinal, 1);
    });

    withTopic(
      'refuses an append at another offset, a second one in flight, and an entry that is too long',
      async (log) => {
        const stream = newStream('3');
        await assert.rejects(log.append(stream, 1, [lines('x\n')]), { code: 'D4_JOURNAL_OFFSET' });
        const first = log.append(stream, 0, [lines('a\n')]);
        await assert.rejects(log.append(stream, 0, [lines('b\n')]), { code: 'D4_JOURNAL_OFFSET' });
        await assert.rejects(log.append(stream, 2, [lines('b\n')]), { code: 'D4_JOURNAL_OFFSET' });
        await first;
        await assert.rejects(log.append(stream, 0, [lines('a\n')]), { code: 'D4_JOURNAL_OFFSET' });
        const long = { ...lines(''), pieces: [Buffer.alloc(log.maxEntryBytes + 1)], bytes: log.maxEntryBytes + 1 };
        await assert.rejects(log.append(stream, 2, [long]), { code: 'D4_JOURNAL_ENTRY' });
        await log.append(stream, 2, [lines('b\n')]);
        assert.deepEqual(itemsOf(await readAll(log)), ['a', 'b']);
      },
    );

    withTopic('times never go back, sequences only grow', async (log) => {
      const before = Date.now();
      for (let i = 0; i < 20; i++) await log.append(newStream('3'), 0, [lines('x\n')]);
      const entries = await readAll(log);
      for (const [i, entry] of entries.entries()) {
        const previous = entries[i - 1];
        assert.ok(entry.time >= (previous?.time ?? before));
        assert.ok(entry.sequence > (previous?.sequence ?? -1));
      }
    });

    withTopic('many streams append at the same time, each keeps its order', async (log) => {
      const streams = Array.from({ length: 100 }, () => newStream('3'));
      await Promise.all(
        streams.map(async (stream, i) => {
          let offset = 0;
          for (let n = 0; n < 8; n++) {
            const draft = lines(`${i} ${n}\n`);
            await log.append(stream, offset, [draft]);
            offset += draft.bytes;
          }
        }),
      );
      const entries = await readAll(log);
      const found = bytesByStream(entries);
      for (const [i, stream] of streams.entries()) {
        const wanted = Array.from({ length: 8 }, (_, n) => `${i} ${n}\n`).join('');
        assert.equal(found.get(stream.id)?.toString(), wanted);
      }
      const ends = new Map<string, number>();
      for (const { stream, offset, bytes } of ofKind(entries, ENTRY_KIND.data)) {
        assert.equal(offset, ends.get(stream.id) ?? 0);
        ends.set(stream.id, offset + bytes.length);
      }
      assert.equal(log.endOrdinal, 800);
    });

    withTopic('an append is readable when it is resolved, not before it is committed', async (log) => {
      let commits = 0;
      const stop = log.onCommit(() => {
        commits += 1;
      });
      const { endSequence } = log;
      const append = log.append(newStream('3'), 0, [lines('a\n')]);
      assert.equal(log.endSequence, endSequence);
      assert.deepEqual(await log.read(endSequence, 1000), []);
      await append;
      assert.ok(log.endSequence > endSequence);
      assert.equal(commits, 1);
      assert.deepEqual(itemsOf(await log.read(endSequence, 1000)), ['a']);
      stop();
      await log.append(newStream('3'), 0, [lines('b\n')]);
      assert.equal(commits, 1);
    });

    withTopic(
      'a reader that follows the commits sees everything, once, in order, and nothing beyond the end',
      async (log) => {
        const total = 60;
        const seen: string[] = [];
        let changed: () => void = () => undefined;
        const stop = log.onCommit(() => changed());
        const follow = async (): Promise<void> => {
          for (let sequence = log.firstSequence; seen.length < total; ) {
            const next = new Promise<void>((resolve) => {
              changed = resolve;
            });
            const entries = await log.read(sequence, 500);
            for (const entry of entries) assert.ok(entry.sequence >= sequence && entry.sequence < log.endSequence);
            seen.push(...itemsOf(entries));
            sequence = (entries.at(-1)?.sequence ?? sequence - 1) + 1;
            if (entries.length === 0) await next;
          }
        };
        const following = follow();
        for (let i = 0; i < total; i++) await log.append(newStream('3'), 0, [lines(`${i}\n`)]);
        await following;
        stop();
        const wanted = Array.from({ length: total }, (_, i) => String(i));
        assert.deepEqual(seen, wanted);
      },
    );

    withTopic(
      'reads from anywhere: before the first, between, at and after the end; small and large blocks',
      async (log) => {
        assert.deepEqual(await log.read(0, 1000), []);
        assert.deepEqual(await log.read(log.endSequence, 1000), []);
        for (let i = 0; i < 20; i++) await log.append(newStream('3'), 0, [lines(`${'x'.repeat(100)} ${i}\n`)]);
        const all = await readAll(log);
        for (const { sequence } of all.toReversed()) {
          assert.equal((await log.read(sequence, 300))[0]?.sequence, sequence);
        }
        for (const maxBytes of [1, 500, 4096, 1_000_000]) {
          assert.deepEqual(await readAll(log, 0, maxBytes), all);
          for (const entry of all) {
            const block = await log.read(entry.sequence, maxBytes);
            assert.equal(block[0]?.sequence, entry.sequence);
            const bytes = block.reduce((sum, { bytes }) => sum + bytes.length, 0);
            assert.ok(bytes <= maxBytes + log.maxEntryBytes);
          }
        }
        assert.equal((await log.read(0, 1)).length, 1);
        assert.deepEqual(await log.read(log.endSequence, 1000), []);
        assert.deepEqual(await log.read(log.endSequence + 1000, 1000), []);
      },
    );

    withTopic('a position by time is that of the first entry at or after it', async (log) => {
      for (let i = 0; i < 10; i++) {
        await log.append(newStream('3'), 0, [lines('x\n')]);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      const large = Array.from({ length: 5 }, () => lines(Buffer.alloc(50_000)));
      await log.append(newStream('3'), 0, large);
      const entries = await readAll(log);
      for (const { time } of entries) {
        for (const wanted of [time - 1, time, time + 1]) {
          const first = entries.find((entry) => entry.time >= wanted);
          const position = { sequence: first?.sequence ?? log.endSequence, record: 0 };
          assert.deepEqual(await log.positionAt(wanted), position);
        }
      }
      assert.deepEqual(await log.positionAt(0), { sequence: entries[0]?.sequence, record: 0 });
    });

    test('ordinals and positions are inverse to each other', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.nat(5), { minLength: 1, maxLength: 30 }), fc.nat(6), async (counts, ahead) => {
          const { journal, cleanUp } = await open();
          try {
            const log = await journal.open('3');
            assert.equal(await log.ordinalOf({ sequence: 0, record: 0 }), log.endOrdinal);
            const origin = log.endOrdinal;
            const stream = newStream('3');
            let offset = 0;
            for (const count of counts) {
              const draft = lines('x\n'.repeat(count));
              await log.append(stream, offset, [draft]);
              offset += draft.bytes;
            }
            const total = counts.reduce((sum, count) => sum + count, 0);
            assert.equal(log.endOrdinal, origin + total);
            let before = origin;
            for (const entry of await readAll(log)) {
              const { sequence, records } = entry;
              for (let record = 0; record < records; record++) {
                assert.equal(await log.ordinalOf({ sequence, record }), before);
                assert.deepEqual(await log.positionOf(before), { sequence, record });
                before += 1;
              }
              assert.equal(await log.ordinalOf({ sequence, record: records + ahead }), before);
            }
            const end = { sequence: log.endSequence, record: 0 };
            assert.deepEqual(await log.positionOf(before + ahead), end);
            assert.equal(await log.ordinalOf(end), before);
            assert.equal(await log.ordinalOf({ ...end, sequence: end.sequence + 100 }), before);
            assert.equal(await log.ordinalOf({ sequence: 0, record: 0 }), origin);
          } finally {
            await cleanUp();
          }
        }),
        { numRuns: RUNS },
      );
    });

    withTopic('truncation forgets at most what is before the sequence, and moves no ordinal', async (log) => {
      for (let i = 0; i < 30; i++) await log.append(newStream('3'), 0, [lines(`${i}\n`), mark(ENTRY_KIND.close)]);
      const all = await readAll(log);
      const middle = all[Math.floor(all.length / 2)]?.sequence ?? 0;
      const ordinal = await log.ordinalOf({ sequence: middle, record: 0 });
      for (const sequence of [0, middle, middle, log.endSequence + 5]) {
        const { endOrdinal, endSequence } = log;
        await log.truncateBefore(sequence);
        assert.equal(log.endOrdinal, endOrdinal);
        assert.equal(log.endSequence, endSequence);
        const held = await readAll(log);
        assert.deepEqual(held, all.slice(all.length - held.length));
        assert.ok(sequence > middle || held.some((entry) => entry.sequence === middle));
        const first = held[0]?.sequence ?? log.endSequence;
        assert.ok(log.firstSequence <= first);
        const removed = log.stats().records;
        assert.equal(removed, ofKind(held, ENTRY_KIND.data).length);
        const lowest = await log.ordinalOf({ sequence: 0, record: 0 });
        assert.equal(lowest, endOrdinal - removed);
        assert.equal(await log.ordinalOf({ sequence: first, record: 0 }), lowest);
        if (sequence <= middle) assert.equal(await log.ordinalOf({ sequence: middle, record: 0 }), ordinal);
        assert.equal((await log.positionOf(0)).record, 0);
      }
      await log.append(newStream('3'), 0, [lines('after\n')]);
      assert.equal(itemsOf(await readAll(log)).at(-1), 'after');
    });

    withJournal('a selection is what some sensors have sent, counted for itself', async ({ journal, reopen }) => {
      let log = await journal.open('3');
      const streams = Array.from({ length: 5 }, () => newStream('3'));
      const chosen = streams.filter((_, i) => i % 2 === 0);
      const sensors = chosen.map((stream) => stream.sensor);
      const ends = new Map<string, number>();
      const appendAll = async (rounds: number): Promise<void> => {
        for (let i = 0; i < rounds; i++) {
          const appends = streams.map((stream, n) => {
            const draft = lines(`${n} ${i}\n`.repeat((i + n) % 3));
            const offset = ends.get(stream.id) ?? 0;
            ends.set(stream.id, offset + draft.bytes);
            return log.append(stream, offset, [draft]);
          });
          await Promise.all(appends);
        }
      };
      await appendAll(6);
      const early = await log.select(sensors);
      await appendAll(9);
      await assertSelection(log, early, sensors);
      await assertSelection(log, await log.select(sensors), sensors);
      const none = await log.select([newStream('3').sensor]);
      assert.deepEqual([none.endOrdinal, await none.read(0, 1000)], [0, []]);
      const all = await readAll(log);
      await log.truncateBefore(all[Math.floor(all.length / 2)]?.sequence ?? 0);
      await assertSelection(log, early, sensors);
      early.close();
      const { endOrdinal } = early;
      await appendAll(1);
      assert.equal(early.endOrdinal, endOrdinal);
      if (reopen === undefined) return;
      log = await (await reopen()).open('3');
      const again = await log.select(sensors);
      await assertSelection(log, again, sensors);
      assert.equal(again.endOrdinal, (await log.select(sensors)).endOrdinal);
    });

    withTopic('its figures agree with what it holds', async (log) => {
      const stream = newStream('3');
      await log.append(stream, 0, [lines('a\nb\n')]);
      const stats = log.stats();
      assert.equal(stats.topic, '3');
      assert.equal(stats.records, 2);
      assert.equal(stats.firstSequence, log.firstSequence);
      assert.equal(stats.endSequence, log.endSequence);
      assert.ok(stats.bytes >= 4);
      assert.deepEqual([stats.gaps, stats.gapBytes], [0, 0]);
    });

    withTopic('a listener that throws stops nothing', async (log) => {
      let heard = 0;
      log.onCommit(() => {
        throw new Error('from a listener');
      });
      log.onCommit(() => {
        heard += 1;
      });
      const stream = newStream('3');
      for (let i = 0; i < 3; i++) await log.append(stream, 2 * i, [lines('a\n')]);
      assert.equal(heard, 3);
    });

    withJournal('closing commits what was appended; after it an append is refused', async ({ journal, reopen }) => {
      const log = await journal.open('3');
      const appends = Array.from({ length: 5 }, (_, i) => log.append(newStream('3'), 0, [lines(`${i}\n`)]));
      const again = reopen === undefined ? undefined : await reopen();
      if (again === undefined) await journal.close();
      await Promise.all(appends);
      await assert.rejects(log.append(newStream('3'), 0, [lines('late\n')]), { code: 'D4_JOURNAL_FAILED' });
      await assert.rejects(journal.open('8'), { code: 'D4_JOURNAL_FAILED' });
      if (again === undefined) return;
      assert.deepEqual(again.topics(), ['3']);
      assert.deepEqual(itemsOf(await readAll(await again.open('3'))), ['0', '1', '2', '3', '4']);
    });

    test('whatever is appended in whatever pieces, each stream reads as it was written, also after reopening', async () => {
      const draft = fc.record({
        pieces: fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 4 }),
        times: fc.constantFrom(1, 1, 1, 1, 100),
        records: fc.nat(5),
      });
      const append = fc.record({ stream: fc.nat(3), drafts: fc.array(draft, { minLength: 1, maxLength: 3 }) });
      const rounds = fc.array(fc.array(append, { maxLength: 12 }), { minLength: 1, maxLength: 3 });
      await fc.assert(
        fc.asyncProperty(rounds, async (plan) => {
          const opened = await open();
          try {
            await appendAndCompare(opened, plan);
          } finally {
            await opened.cleanUp();
          }
        }),
        { numRuns: RUNS },
      );
    });
  });
}

/** Whether a selection agrees with the topic, entry by entry and item by item. */
async function assertSelection(log: TopicLog, selection: TopicSelection, sensors: readonly SensorId[]): Promise<void> {
  const entries = ofKind(await readAll(log), ENTRY_KIND.data);
  const wanted = entries.filter((entry) => sensors.includes(entry.stream.sensor));
  for (const maxBytes of [1, 200, 100_000]) {
    const found: CountedEntry[] = [];
    for (let sequence = 0; ; ) {
      const block = await selection.read(sequence, maxBytes);
      found.push(...block.filter(({ entry }) => entry.records > 0));
      const last = block.at(-1);
      if (last === undefined) break;
      sequence = last.entry.sequence + 1;
    }
    assert.deepEqual(
      found.map(({ entry }) => entry),
      wanted.filter((entry) => entry.records > 0),
    );
  }
  let before = await selection.ordinalOf({ sequence: 0, record: 0 });
  for (const entry of entries) {
    const { sequence, records } = entry;
    if (!wanted.includes(entry)) {
      assert.equal(await selection.ordinalOf({ sequence, record: 1 }), before);
      continue;
    }
    for (let record = 0; record < records; record++) {
      assert.equal(await selection.ordinalOf({ sequence, record }), before);
      assert.deepEqual(await selection.positionOf(before), { sequence, record });
      before += 1;
    }
    assert.equal(await selection.ordinalOf({ sequence, record: records + 1 }), before);
  }
  assert.equal(selection.endOrdinal, before);
  const end = { sequence: log.endSequence, record: 0 };
  assert.deepEqual(await selection.positionOf(before), end);
  assert.equal(await selection.ordinalOf(end), before);
}

interface PlannedDraft {
  readonly pieces: readonly Uint8Array[];
  readonly times: number;
  readonly records: number;
}

type Plan = readonly (readonly { readonly stream: number; readonly drafts: readonly PlannedDraft[] }[])[];

/** Appends round after round, in each to four streams of its own at once, and reopens in between. */
async function appendAndCompare(opened: OpenedJournal, plan: Plan): Promise<void> {
  const written = new Map<string, Buffer>();
  const definitions = new Map<string, StreamDefinition>();
  let log = await opened.journal.open('3');
  let records = 0;
  for (const [round, appends] of plan.entries()) {
    if (round > 0 && opened.reopen !== undefined) log = await (await opened.reopen()).open('3');
    const streams = Array.from({ length: 4 }, () => newStream('3'));
    for (const stream of streams) definitions.set(stream.id, stream);
    const run = async (number: number, stream: StreamDefinition): Promise<void> => {
      for (const planned of appends.filter((append) => append.stream === number)) {
        const drafts = planned.drafts.map(draftOf);
        const before = written.get(stream.id) ?? Buffer.alloc(0);
        const bytes = drafts.flatMap((draft) => draft.pieces);
        written.set(stream.id, Buffer.concat([before, ...bytes]));
        records += drafts.reduce((sum, draft) => sum + draft.records, 0);
        await log.append(stream, before.length, drafts);
      }
    };
    await Promise.all(streams.map((stream, number) => run(number, stream)));
  }
  if (opened.reopen !== undefined) log = await (await opened.reopen()).open('3');
  const entries = await readAll(log);
  assert.deepEqual(bytesByStream(entries), written);
  for (const { stream } of entries) assert.deepEqual(stream, definitions.get(stream.id));
  assert.equal(log.stats().records, records);
  if (opened.reopen === undefined) return;
  const closed = ofKind(entries, ENTRY_KIND.close);
  assert.deepEqual(closed.map((entry) => entry.stream.id).sort(), [...written.keys()].sort());
  assert.ok(closed.every((entry) => entry.flags === ENTRY_FLAG.crashed));
}

function draftOf(planned: PlannedDraft): EntryDraft {
  const pieces = Array.from({ length: planned.times }, () => planned.pieces.map((piece) => Buffer.from(piece))).flat();
  const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
  return { kind: ENTRY_KIND.data, flags: 0, pieces, bytes, records: planned.records };
}
