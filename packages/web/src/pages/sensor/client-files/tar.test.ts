import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { tar } from './tar.ts';

test('tar reads what was packed, with permissions', () => {
  const key = Uint8Array.from({ length: 700 }, (_, at) => at % 256);
  const archive = tar(
    [
      { name: 'd4-sensor/uuid', content: Buffer.from('abc\n'), mode: 0o644 },
      { name: 'd4-sensor/key', content: key, mode: 0o600 },
    ],
    1_700_000_000_000,
  );
  const listed = execFileSync('tar', ['-tvf', '-'], { input: archive, encoding: 'utf8' });
  assert.match(listed, /^-rw-r--r-- .* 4 .* d4-sensor\/uuid\n-rw------- .* 700 .* d4-sensor\/key\n$/);
  assert.deepEqual(execFileSync('tar', ['-xOf', '-', 'd4-sensor/key'], { input: archive }), Buffer.from(key));
});
