import assert from 'node:assert/strict';
import { mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { temporaryFolder } from '@d4ts/testkit';
import pino from 'pino';
import { Folders } from './folders.ts';
import { Slots } from './slots.ts';

async function newRoot(t: TestContext): Promise<{ outside: string; root: string; folders: Folders }> {
  const outside = temporaryFolder(t);
  // A root that is reached through a link is one all the same.
  await mkdir(join(outside, 'real'));
  const root = join(outside, 'root');
  await symlink('real', root);
  return { outside, root, folders: new Folders(root, new Slots(2), pino({ level: 'silent' })) };
}

test('folders are made once, at the same time too, and then found', async (t) => {
  const { root, folders } = await newRoot(t);
  const made = await Promise.all([
    folders.make(['a', 'b', 'c']),
    folders.make(['a', 'b', 'd']),
    folders.make(['a', 'b', 'c']),
  ]);
  assert.deepEqual(made, [join(root, 'a/b/c'), join(root, 'a/b/d'), join(root, 'a/b/c')]);
  assert.equal(await folders.make(['a', 'b', 'd']), join(root, 'a/b/d'));
  await Promise.all([folders.sync(join(root, 'a/b/c')), folders.sync()]);
  assert.deepEqual(await readdir(root), ['a']);
});

test('a link or a file that came in the way of a folder that was found before is renamed aside', async (t) => {
  const { outside, root, folders } = await newRoot(t);
  for (const plant of [
    (path: string) => symlink(outside, path),
    (path: string) => symlink('elsewhere', path),
    (path: string) => writeFile(path, ''),
  ]) {
    await folders.make(['a', 'b', 'c']);
    await rm(join(root, 'a', 'b'), { recursive: true });
    await plant(join(root, 'a', 'b'));
    await folders.make(['a', 'b', 'c']);
    assert.deepEqual(
      await readdir(join(root, 'a', 'b'), { withFileTypes: true }).then((all) => all.map((e) => e.name)),
      ['c'],
    );
    assert.ok((await readdir(join(root, 'a'))).some((name) => name.startsWith('b.not-a-folder-')));
    await rm(join(root, 'a'), { recursive: true });
  }
  assert.deepEqual((await readdir(outside)).sort(), ['real', 'root']);
});

test("folders that somebody removes before they are synced are in nobody's way", async (t) => {
  const { root, folders } = await newRoot(t);
  await folders.make(['a', 'b']);
  await rm(join(root, 'a'), { recursive: true });
  await folders.sync(join(root, 'a', 'b'));
  await folders.make(['a', 'c']);
  await folders.sync(join(root, 'a', 'c'));
});
