import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { crashServer } from './crash/server-rounds.ts';

// `kill -9` of the server in mid-stream, again and again on the same home (D4_TEST_KILLS of them).

const KILLS = Number(process.env.D4_TEST_KILLS ?? 3);

test(`${KILLS} kills of the server: sensors are served at once, nothing is doubled, the journal is sound`, async () => {
  const home = mkdtempSync(join(tmpdir(), 'd4-server-'));
  try {
    await crashServer({ count: KILLS, home, crash: async (server) => void (await server.kill9()) });
  } finally {
    rmSync(home, { recursive: true, force: true, maxRetries: 3 });
  }
});
