import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PowerDisk } from '@d4ts/testkit';
import { crashAcknowledging } from './ack-rounds.ts';
import { crashServer } from './server-rounds.ts';

// Run by power-loss.test.ts in a mount namespace of its own: node power-rounds.ts ordered|journalled COUNT v1|acknowledged

const [mode, count, protocol] = process.argv.slice(2);
if (mode !== 'ordered' && mode !== 'journalled') throw new Error(`no such mode: ${mode}`);
const disk = PowerDisk.make(tmpdir(), 600, mode);
try {
  const home = join(disk.path, 'home');
  if (protocol === 'acknowledged') {
    // Acknowledged is what is synced, whatever the policy is for others.
    mkdirSync(home);
    writeFileSync(join(home, 'd4.yaml'), 'journal:\n  policy: os\n');
  }
  const crashRounds = protocol === 'acknowledged' ? crashAcknowledging : crashServer;
  await crashRounds({
    count: Number(count),
    home,
    crash: async (server) => {
      await disk.cut();
      await server.kill9();
      disk.restore();
    },
  });
} finally {
  await disk.remove();
}
