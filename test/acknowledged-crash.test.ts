import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { crashAcknowledging } from './crash/ack-rounds.ts';

// `kill -9` of a server with acknowledged streams, again and again on the same home (D4_TEST_KILLS of them).

const KILLS = Number(process.env.D4_TEST_KILLS ?? 2);

for (const policy of process.env.D4_TEST_KILLS === undefined ? (['os'] as const) : (['fsync', 'os'] as const)) {
  test(`${KILLS} kills of a server (journal policy ${policy}): every byte is in the journal once`, async () => {
    const home = mkdtempSync(join(tmpdir(), 'd4-server-'));
    try {
      writeFileSync(join(home, 'd4.yaml'), `journal:\n  policy: ${policy}\n`);
      const crash = async (server: { kill9(): Promise<unknown> }): Promise<void> => void (await server.kill9());
      const acknowledged = await crashAcknowledging({ count: KILLS, home, crash });
      assert.ok(acknowledged > KILLS * 100_000, `only ${acknowledged} bytes were acknowledged`);
    } finally {
      rmSync(home, { recursive: true, force: true, maxRetries: 3 });
    }
  });
}
