import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { dailyFolder, type FolderOptions, folderSource } from './folder-source.ts';

const root = mkdtempSync(join(tmpdir(), 'd4-client-folder-'));
after(() => rmSync(root, { recursive: true }));

interface Watched {
  readonly folder: string;
  readonly troubles: string[];
  /** The next `count` lines. */
  lines(count: number): Promise<string[]>;
  stop(): Promise<void>;
}

/** Reads the lines of a folder as a client does. */
function watched(changes: Partial<FolderOptions> = {}, folder = mkdtempSync(join(root, 'f-'))): Watched {
  const troubles: string[] = [];
  const stop = new AbortController();
  const options = { path: folder, daily: false, json: false, quietMs: 30, now: Date.now, ...changes };
  const source = folderSource({ ...options, onTrouble: (text) => troubles.push(text) });
  const pieces = source.read(stop.signal)[Symbol.asyncIterator]();
  let text = '';
  return {
    folder,
    troubles,
    async lines(count) {
      while (text.split('\n').length <= count) {
        const { done, value } = await pieces.next();
        assert.ok(!done);
        text += value.toString('latin1');
      }
      const lines = text.split('\n');
      text = lines.slice(count).join('\n');
      return lines.slice(0, count);
    },
    async stop() {
      stop.abort();
      while (!(await pieces.next()).done);
    },
  };
}

test('existing files first, oldest first, each as one line of base64; then new ones, once', async () => {
  const folder = mkdtempSync(join(root, 'f-'));
  const big = Buffer.alloc(150_001, 'content \n');
  mkdirSync(join(folder, 'sub'));
  for (const [i, [name, content]] of [
    ['b', 'second'],
    ['sub/a', big],
    ['c', ''],
  ].entries()) {
    writeFileSync(join(folder, name as string), content as string);
    utimesSync(join(folder, name as string), 1_700_000_000 + i, 1_700_000_000 + i);
  }
  const reader = watched({}, folder);
  const base64 = (content: string | Buffer) => Buffer.from(content).toString('base64');
  assert.deepEqual(await reader.lines(3), [base64('second'), base64(big), '']);
  writeFileSync(join(folder, 'later'), 'new');
  assert.deepEqual(await reader.lines(1), [base64('new')]);
  writeFileSync(join(root, 'outside'), 'moved in');
  renameSync(join(root, 'outside'), join(folder, 'sub', 'inside'));
  assert.deepEqual(await reader.lines(1), [base64('moved in')]);
  assert.deepEqual(reader.troubles, []);
  await reader.stop();
});

test('a file that changes comes again', async () => {
  const reader = watched();
  writeFileSync(join(reader.folder, 'a'), 'one');
  const [first] = await reader.lines(1);
  assert.equal(first, Buffer.from('one').toString('base64'));
  writeFileSync(join(reader.folder, 'a'), 'one and two');
  assert.deepEqual(await reader.lines(1), [Buffer.from('one and two').toString('base64')]);
  await reader.stop();
});

test('json files are sent as they are', async () => {
  const reader = watched({ json: true });
  writeFileSync(join(reader.folder, 'a.json'), '{"a":1}');
  assert.deepEqual(await reader.lines(1), ['{"a":1}']);
  await reader.stop();
});

test('the folder of the day is waited for, and changes at midnight', async () => {
  let time = new Date(2026, 10, 22, 23, 59, 59).getTime();
  const reader = watched({ daily: true, json: true, now: () => time });
  writeFileSync(join(reader.folder, 'elsewhere'), 'not of the day');
  const lines = reader.lines(1);
  mkdirSync(join(reader.folder, '20261122'));
  writeFileSync(join(reader.folder, '20261122', 'a'), 'of the day');
  assert.deepEqual(await lines, ['of the day']);
  mkdirSync(join(reader.folder, '20261123'));
  writeFileSync(join(reader.folder, '20261123', 'b'), 'of the next day');
  time += 2000;
  assert.deepEqual(await reader.lines(1), ['of the next day']);
  await reader.stop();
});

test('the folder of a day is named in local time', () => {
  assert.equal(dailyFolder('/x', new Date(2026, 0, 5).getTime()), '/x/20260105');
});
