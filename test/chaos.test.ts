import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';

// The short form of `npm run chaos`.

const CHAOS = join(import.meta.dirname, 'crash', 'chaos.ts');
const ROUNDS = 4;

test(`${ROUNDS} faults of machines and the network: every byte is there once, in order`, async () => {
  const words = ['--mount', process.execPath, CHAOS, '--rounds', String(ROUNDS), '--seed', '3'];
  const run = spawn('unshare', words, { stdio: 'pipe' });
  const [printed, said, [code]] = await Promise.all([text(run.stderr), text(run.stdout), once(run, 'close')]);
  assert.equal(code, 0, `${printed}\n(this test needs to be root, and a kernel with loop devices and ext4)`);
  assert.match(said, /Every byte is there once/);
});
