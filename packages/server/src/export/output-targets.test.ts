import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { constants, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { runD4, startD4, temporaryFolder } from '@d4ts/testkit';
import { ExportUnderTest } from './export-fixture.ts';

const lines = (count: number): string[] => Array.from({ length: count }, (_, i) => `line ${i} ${'x'.repeat(90)}`);
const joined = (records: readonly string[]): string => records.map((record) => `${record}\n`).join('');

test('file: appends lines, and goes on in a new file when somebody has moved it', async (t) => {
  const under = await ExportUnderTest.for(t, '3');
  const path = join(temporaryFolder(t), 'out');
  writeFileSync(path, 'before\n');
  under.queue.add('a', 'b');
  under.start({ kind: 'file', path });
  while (readFileSync(path, 'utf8') !== 'before\na\nb\n') await sleep(5);
  renameSync(path, `${path}.1`);
  // It is looked once a second.
  for (let i = 0; ; i++) {
    under.queue.add(`c${i}`);
    await sleep(100);
    try {
      readFileSync(path);
      break;
    } catch {}
  }
  assert.equal(await under.stop(), 0);
  const all = readFileSync(`${path}.1`, 'utf8') + readFileSync(path, 'utf8');
  assert.match(all, /^before\na\nb\n(c\d+\n)+$/);
});

test('file: a folder that is not there is waited for', async (t) => {
  const under = await ExportUnderTest.for(t, '3');
  const path = join(temporaryFolder(t), 'none', 'out');
  under.queue.add('a');
  under.start({ kind: 'file', path });
  await under.said.until(/cannot write to .*ENOENT.*: records are held/);
  assert.equal(await under.stop(), 0);
  assert.deepEqual(await under.left(), ['a']);
});

test('file: a named pipe without a reader, with a slow one, and a full one', async (t) => {
  const under = await ExportUnderTest.for(t, '3');
  const path = join(temporaryFolder(t), 'pipe');
  execFileSync('mkfifo', [path]);
  const sent = lines(5_000);
  under.queue.add(...sent);
  under.start({ kind: 'file', path });
  await under.said.until('nobody reads the pipe');
  const reader = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  await under.said.until('takes records again');
  // It is full, and yet stops at once, and nothing is lost.
  assert.equal(await under.stop(), 0);
  const rest = under.start({ kind: 'file', path });
  let text = '';
  const buffer = Buffer.alloc(16_384);
  while (!text.endsWith(`${sent.at(-1)}\n`)) {
    const { bytesRead } = await reader.read(buffer).catch(() => ({ bytesRead: 0 }));
    if (bytesRead === 0) await sleep(2);
    text += buffer.toString('latin1', 0, bytesRead);
  }
  under.abort();
  assert.equal(await rest, 0);
  await reader.close();
  const found = [...new Set(text.split('\n').filter((line) => sent.includes(line)))];
  assert.deepEqual(found, sent);
});

test('stdout: lines; and of paths the content of the files, decompressed, those that are gone counted', async (t) => {
  const under = await ExportUnderTest.for(t, '1');
  const folder = temporaryFolder(t);
  under.queue.add('a', 'b');
  under.start({ kind: 'stdout' });
  await under.until(0);
  while (under.stdout.readableLength < 4) await sleep(5);
  assert.equal(await under.stop(), 0);
  assert.equal(String(under.stdout.read()), 'a\nb\n');

  const content = Buffer.from(joined(lines(20_000)));
  writeFileSync(join(folder, '1.cap.gz'), Buffer.concat([gzipSync(content), gzipSync('second member\n')]));
  writeFileSync(join(folder, '2.cap'), 'plain');
  writeFileSync(join(folder, '3.cap.gz'), 'this is not gzip');
  under.queue.add(...['1.cap.gz', 'gone.cap', '3.cap.gz', '2.cap'].map((name) => join(folder, name)));
  const chunks: Buffer[] = [];
  under.stdout.on('data', (chunk) => chunks.push(chunk));
  under.start({ kind: 'stdout', files: true });
  while (!String(chunks.at(-1)).endsWith('plain')) await sleep(5);
  assert.equal(await under.stop(), 0);
  assert.equal(Buffer.concat(chunks).toString(), `${content}second member\nplain`);
  assert.match(under.said.text, /gone.cap cannot be read and is skipped: ENOENT/);
  assert.match(under.said.text, /3.cap.gz cannot be read and is skipped: incorrect header check/);
  assert.match(under.said.text, /2 delivered, 0 errors, 2 skipped\n$/);
});

test('stdout: a pipe that is full stops neither the signal nor the giving back; a reader that has gone is a failure', async (t) => {
  const under = await ExportUnderTest.for(t, '3');
  const sent = lines(5_000);
  under.queue.add(...sent);
  const queue = [
    '-t',
    '3',
    '-u',
    under.queue.uuid,
    '-i',
    under.socket.address.host,
    '-p',
    `${under.socket.address.port}`,
  ];
  const child = startD4(['export', 'stdout', ...queue]);
  // Nobody reads; and what is left is not thrown away at its end.
  child.stdout.on('readable', () => {});
  // The pipe and our side of it take 128 KiB.
  while (under.queue.length === sent.length) await sleep(10);
  await sleep(50);
  child.kill('SIGTERM');
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const code = await ended;
  assert.equal(code, 0);
  child.stdout.removeAllListeners('readable');
  const read: Buffer[] = [];
  for await (const chunk of child.stdout) read.push(chunk);
  const got = Buffer.concat(read).toString().split('\n').slice(0, -1);
  const all = new Set([...got, ...(await under.left())]);
  assert.deepEqual(
    sent.filter((line) => !all.has(line)),
    [],
  );

  const gone = startD4(['export', 'stdout', ...queue]);
  gone.stdout.destroy();
  let said = '';
  gone.stderr.on('data', (chunk) => {
    said += chunk;
  });
  const [second] = await Promise.all([new Promise<number | null>((resolve) => gone.once('exit', resolve))]);
  assert.equal(second, 1, said);
  assert.match(said, /the standard output cannot be written: .*EPIPE/);
  assert.ok(under.queue.length > 0);
  const wrong = await runD4(['export', 'stdout', '-t', '3']);
  assert.equal(wrong.code, 2);
});
