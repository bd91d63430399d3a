import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runD4 } from '@d4ts/testkit';

test('help goes as deep as the commands do, and knows which there are', async () => {
  const program = await runD4(['help']);
  assert.equal(program.code, 0);
  assert.match(program.stdout, /^Usage: d4 \[options\] \[command\]\n[\s\S]*Exit codes: 0 done, 1 failed, 2 wrong use/);
  const udp = await runD4(['help', 'export', 'udp']);
  assert.equal(udp.code, 0);
  assert.match(udp.stdout, /^Usage: d4 export udp \[options\]\n[\s\S]*--rate <number>/);
  const none = await runD4(['help', 'sensor', 'nosuch']);
  assert.deepEqual([none.code, none.stdout], [2, '']);
  assert.match(none.stderr, /there is no command "sensor nosuch": try d4 sensor --help/);
});
