import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { temporaryFolder } from '@d4ts/testkit';
import { contentStream, fileState, openAnnounced } from './file-content.ts';

const CONTENT = Buffer.from('what was received');

function newRoot(t: TestContext): { folder: string; root: string; day: string; path: string } {
  const folder = temporaryFolder(t);
  const root = join(folder, 'archive');
  const day = join(root, 'sensor', 'day');
  mkdirSync(day, { recursive: true });
  const path = join(day, 'file.txt');
  writeFileSync(path, CONTENT);
  return { folder, root, day, path };
}

async function check(root: string, path: string, expected: string, bytes = CONTENT.length): Promise<void> {
  assert.equal(await fileState(root, { path, bytes }), expected);
  const opened = await openAnnounced(root, { path, bytes });
  if (typeof opened === 'string') {
    assert.equal(opened, expected);
    return;
  }
  assert.equal(expected, 'there');
  assert.deepEqual(await buffer(contentStream(opened, path, 'decompressed')), CONTENT);
}

test('a file is there, removed, or changed', async (t) => {
  const { root, day, path } = newRoot(t);
  await check(root, path, 'there');
  await check(root, path, 'changed', 3);
  rmSync(path);
  await check(root, path, 'removed');
  mkdirSync(path);
  await check(root, path, 'changed', 4096);
  rmSync(day, { recursive: true });
  await check(root, path, 'removed');
  writeFileSync(day, 'a file where the folder was');
  await check(root, path, 'changed');
});

test('links are not followed, pipes not waited for, and nothing outside of the root is read', async (t) => {
  const { folder, root, day, path } = newRoot(t);
  const secret = join(folder, 'secret');
  writeFileSync(secret, CONTENT);
  await check(root, secret, 'outside');
  await check(root, join(root, '..', 'secret'), 'outside');
  await check(root, `${root}-2/secret`, 'outside');
  await check(root, root, 'outside');

  rmSync(path);
  symlinkSync(secret, path);
  await check(root, path, 'changed');
  rmSync(path);
  execFileSync('mkfifo', [path]);
  await check(root, path, 'changed', 0);
  rmSync(path);
  linkSync(secret, path);
  renameSync(day, join(folder, 'elsewhere'));
  symlinkSync(join(folder, 'elsewhere'), day);
  await check(root, path, 'changed');
});

test('a root that is itself reached by a link is a root', async (t) => {
  const { folder, root } = newRoot(t);
  symlinkSync(root, join(folder, 'link'));
  await check(join(folder, 'link'), join(folder, 'link', 'sensor', 'day', 'file.txt'), 'there');
});

test('compressed content comes decompressed, all members of it, or as it is stored', async (t) => {
  const { root, day } = newRoot(t);
  const path = join(day, 'file.gz');
  const stored = Buffer.concat([gzipSync('one '), gzipSync('two ', { level: 0 }), gzipSync('three')]);
  writeFileSync(path, stored);
  const read = async (form: 'stored' | 'decompressed', bytes = stored.length): Promise<Buffer> => {
    const opened = await openAnnounced(root, { path, bytes });
    assert.ok(typeof opened !== 'string');
    return buffer(contentStream(opened, path, form));
  };
  assert.equal((await read('decompressed')).toString(), 'one two three');
  assert.deepEqual(await read('stored'), stored);
  writeFileSync(path, stored.subarray(0, -6));
  await assert.rejects(read('decompressed', stored.length - 6), { code: 'Z_BUF_ERROR' });
});
