import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readdir, rm, stat, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { crc32 } from 'node:zlib';
import { newSensorId } from '@d4ts/protocol';
import { pino } from 'pino';
import { openFileJournal } from './files.ts';
import { ENTRY_FLAG, ENTRY_KIND, type EntryDraft, type Journal, type StreamDefinition } from './port.ts';

// What the journal keeps for acknowledged streams (docs/journal.md, rules 10, 13 and 28).

const NONE = Buffer.alloc(0);
const SENSOR = newSensorId();

function open(root: string, segmentBytes?: number): Promise<Journal> {
  const log = pino({ level: 'silent' });
  return openFileJournal({ root, policy: 'os', log, ...(segmentBytes === undefined ? {} : { segmentBytes }) });
}

function definition(crc: number, preamble = NONE): StreamDefinition {
  return { id: STREAM, sensor: SENSOR, topic: '3', type: 3, preamble, acknowledged: { crc } };
}

const STREAM = randomBytes(16).toString('hex');

function data(bytes: Buffer, flags = 0): EntryDraft {
  return { kind: ENTRY_KIND.data, flags, pieces: [bytes], bytes: bytes.length, records: 1 };
}

function gap(from: number, to: number, crc: number, within?: string): EntryDraft {
  const body = Buffer.from(JSON.stringify({ from, to, why: 'a test', crc, within }));
  return { kind: ENTRY_KIND.gap, flags: 0, pieces: [body], bytes: body.length, records: 0, leftOut: to - from };
}

async function inFolder(work: (root: string) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'd4-journal-'));
  try {
    await work(root);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** The journal as a `kill -9` leaves it: a copy of what is on disk while it is open. */
async function killed(root: string): Promise<string> {
  const copy = `${root}/killed`;
  await mkdir(join(copy, '3'), { recursive: true });
  for (const name of await readdir(join(root, '3'))) await copyFile(join(root, '3', name), join(copy, '3', name));
  return copy;
}

suite('acknowledged streams in the journal', () => {
  test('stay open over a restart, and their state is that of their last entry', () =>
    inFolder(async (root) => {
      const journal = await open(root);
      const log = await journal.open('3');
      const [one, two] = [Buffer.from('one\n'), Buffer.from('two\n')];
      const preamble = Buffer.from('the preamble');
      await log.append(definition(0), 0, [data(one)], { crc: crc32(one), preamble: NONE });
      const after = { crc: crc32(two, crc32(one)), preamble };
      await log.append(definition(crc32(one)), 4, [data(two)], after);
      assert.deepEqual(log.lastOf(STREAM)?.state, after);
      const crashed = await open(await killed(root));
      const found = (await crashed.open('3')).lastOf(STREAM);
      assert.deepEqual([found?.offset, found?.state.crc, found?.preambleFrom], [8, after.crc, 1]);
      await crashed.close();
      await journal.close();
      const again = await open(root);
      assert.equal((await again.open('3')).lastOf(STREAM)?.state.crc, after.crc);
      assert.deepEqual(
        (await again.open('3')).openStreams().map(({ definition: { id } }) => id),
        [STREAM],
      );
      await again.close();
    }));

  test('a gap says the CRC behind it, and what the cutter was in the middle of', () =>
    inFolder(async (root) => {
      const journal = await open(root);
      const log = await journal.open('3');
      const one = Buffer.from('one\n');
      const after = { crc: 77, preamble: NONE, within: 'a long line' };
      await log.append(definition(0), 0, [data(one), gap(4, 1000, 77, 'a long line')], after);
      const crashed = await open(await killed(root));
      const found = (await crashed.open('3')).lastOf(STREAM);
      assert.deepEqual([found?.offset, found?.state], [1000, { crc: 77, preamble: NONE, within: 'a long line' }]);
      await crashed.close();
      await journal.close();
    }));

  test('are known when the segment of their last entry, and all others that were sealed, are gone', () =>
    inFolder(async (root) => {
      const journal = await open(root, 64 * 1024);
      const log = await journal.open('3');
      const one = Buffer.from('one\n');
      const after = { crc: crc32(one), preamble: Buffer.from('seen') };
      await log.append(definition(0), 0, [data(one)], after);
      const other = { ...definition(0), id: randomBytes(16).toString('hex'), acknowledged: undefined };
      for (let i = 0; i < 20; i++) {
        const { acknowledged: _, ...plain } = other;
        await log.append(plain, i * 10_000, [data(Buffer.alloc(10_000, 'x'))]);
      }
      assert.ok(log.stats().segments > 2);
      await log.truncateBefore(log.endSequence);
      assert.equal(log.stats().segments, 1);
      for (const isCut of [false, true]) {
        // An archiver's cut says nothing new of it.
        if (isCut) await log.cut(definition(0));
        const copy = await killed(root);
        const crashed = await open(copy, 64 * 1024);
        const found = (await crashed.open('3')).lastOf(STREAM);
        assert.deepEqual([found?.offset, found?.state.crc], [4, after.crc]);
        assert.deepEqual(found?.state.preamble, after.preamble);
        await crashed.close();
        await rm(copy, { recursive: true });
      }
      await journal.close();
    }));

  test('a crash at any byte leaves them at a boundary, with the CRC of what is there', () =>
    inFolder(async (root) => {
      const journal = await open(root);
      const log = await journal.open('3');
      const lines = Array.from({ length: 6 }, (_, i) => Buffer.from(`${'line '.repeat(i * 3)}${i}\n`));
      const fragments = [ENTRY_FLAG.first, ENTRY_FLAG.middle, ENTRY_FLAG.last].map((flag) =>
        data(Buffer.alloc(300, flag), flag),
      );
      const drafts = [...lines.map((line) => data(line)), ...fragments];
      const whole = Buffer.concat(drafts.flatMap(({ pieces }) => pieces));
      await log.append(definition(0), 0, drafts, { crc: crc32(whole), preamble: NONE });
      const [name = ''] = (await readdir(join(root, '3'))).filter((file) => file.endsWith('.seg'));
      const { size } = await stat(join(root, '3', name));
      let seen = 0;
      let unfinished = 0;
      for (let length = 8192; length < size; length += 37) {
        const copy = await killed(root);
        await truncate(join(copy, '3', name), length);
        const crashed = await open(copy);
        const found = (await crashed.open('3')).lastOf(STREAM);
        if (found !== undefined) {
          seen += 1;
          assert.equal(found.state.crc, crc32(whole.subarray(0, found.offset)));
          const inFragments = found.offset > whole.length - 900 && found.offset < whole.length;
          assert.equal(found.fragmentFrom !== undefined, inFragments, `${found.offset}`);
          if (inFragments) unfinished += 1;
        }
        await crashed.close();
        await rm(copy, { recursive: true });
      }
      assert.ok(seen > 10 && unfinished > 5);
      await journal.close();
    }));

  test('that nobody came back for in 90 days are closed', () =>
    inFolder(async (root) => {
      const journal = await open(root);
      const log = await journal.open('3');
      const now = Date.now;
      try {
        Date.now = () => now() - 91 * 24 * 60 * 60 * 1000;
        await log.append(definition(0), 0, [data(Buffer.from('one\n'))], { crc: 1, preamble: NONE });
      } finally {
        Date.now = now;
      }
      await journal.close();
      const again = await open(root);
      const reopened = await again.open('3');
      assert.equal(reopened.lastOf(STREAM), undefined);
      const last = (await reopened.read(1, 1000)).at(-1);
      assert.deepEqual([last?.kind, last?.flags], [ENTRY_KIND.close, ENTRY_FLAG.aborted]);
      await again.close();
    }));
});
