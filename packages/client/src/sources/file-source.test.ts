import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileSource } from './file-source.ts';
import type { Source } from './source.ts';

const root = mkdtempSync(join(tmpdir(), 'd4-client-file-'));
after(() => rmSync(root, { recursive: true }));

async function all(source: Source): Promise<Buffer[]> {
  const pieces: Buffer[] = [];
  for await (const piece of source.read(new AbortController().signal)) pieces.push(piece);
  return pieces;
}

test('a file, to its end', async () => {
  const path = join(root, 'a');
  const content = Buffer.alloc(200_000, 'line\n');
  writeFileSync(path, content);
  const source = fileSource(path, false, 10);
  assert.equal(source.endless, false);
  const pieces = await all(source);
  assert.deepEqual(Buffer.concat(pieces), content);
});

test('a file that grows', async () => {
  const path = join(root, 'b');
  writeFileSync(path, 'one\n');
  const stop = new AbortController();
  const source = fileSource(path, true, 5);
  assert.equal(source.endless, true);
  const pieces = source.read(stop.signal)[Symbol.asyncIterator]();
  assert.equal(String((await pieces.next()).value), 'one\n');
  const next = pieces.next();
  appendFileSync(path, 'two\n');
  assert.equal(String((await next).value), 'two\n');
  const end = pieces.next();
  stop.abort();
  assert.equal((await end).done, true);
});

test('a file that cannot be read is an error', async () => {
  const source = fileSource(join(root, 'nothing'), false, 10);
  await assert.rejects(all(source), { code: 'ENOENT' });
});
