import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { newSensorId } from '@d4ts/protocol';
import type { AuditEntry } from '@d4ts/server';
import { launchServer, runD4 } from '@d4ts/testkit';
import { Redis } from 'ioredis';
import { ArchivingServer, KEY } from './archiving-server.ts';

const folder = mkdtempSync(join(tmpdir(), 'd4-backup-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function linesOf(name: string, count: number): string[] {
  return Array.from({ length: count }, (_, number) => `${name} ${number} ${'x'.repeat(40)}`);
}

test('a backup of a server under load is a server elsewhere: identity, sensors, users, queues, records', async () => {
  const running = await ArchivingServer.launch();
  const file = join(folder, 'all.tar.gz');
  const home = join(folder, 'elsewhere');
  try {
    const sensor = newSensorId();
    await running.done('sensor', 'add', '--uuid', sensor, '--key', KEY, '--approve');
    await running.done('user', 'add', 'user@example.org', '--role', 'user');
    const queue = (await running.done('queue', 'add', '3')).trim();
    const before = linesOf('before', 2_000);
    await running.send({ sensor, type: 3 }, `${before.join('\n')}\n`);
    const redis = new Redis(`redis://${running.server.info.redis}/2`);
    const taken = (await redis.rpop(`analyzer:3:${queue}`, 500)) ?? [];
    redis.disconnect();
    assert.deepEqual(taken, before.slice(0, 500));
    // While sensors send on.
    const during = running.send({ sensor, type: 3 }, `${linesOf('during', 20_000).join('\n')}\n`);
    const printed = await running.done('backup', file, '--data', 'all');
    await during;
    assert.match(printed, /compared with what was read/);
    assert.match(printed, /keep it as a secret/);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const records: AuditEntry[] = JSON.parse(await running.done('audit', '--json'));
    assert.ok(records.some(({ kind, key }) => kind === 'backup-made' && key === 'all'));
    const again = await running.d4('backup', file);
    assert.equal(again.code, 2);
    assert.match(again.stderr, /is there already/);

    const restored = await runD4(['restore', file, '--home', home]);
    assert.equal(restored.code, 0, restored.stderr);
    assert.match(restored.stdout, /Start it with: d4 server --home/);
    for (const name of ['registry.sqlite', 'registry.key', 'server.pem', 'rootCA.key']) {
      assert.equal(statSync(join(home, name)).mode & 0o777, 0o600, name);
    }
    const checked = await runD4(['fsck', '--home', home, '--deep']);
    assert.match(checked.stdout, /nothing is damaged/);
    assert.equal(checked.code, 0, checked.stdout + checked.stderr);

    await using server = await launchServer({ home });
    assert.equal(server.info.ca, running.server.info.ca, 'the CA that sensors have pinned');
    assert.equal(server.info.certificateSha256, running.server.info.certificateSha256);
    const d4 = async (...words: string[]): Promise<string> => {
      const { code, stdout, stderr } = await runD4([...words, '--home', home]);
      assert.equal(code, 0, stderr);
      return stdout;
    };
    assert.match(await d4('user', 'list'), /user@example\.org/);
    assert.match(await d4('sensor', 'list'), new RegExp(sensor));
    // A client that was set up for the first one, with its CA pinned.
    const client = running.clientDirectory({ sensor, type: 3 });
    writeFileSync(join(client, 'destination'), server.info.listen);
    const later = linesOf('later', 10);
    const sent = await runD4(['client', '-c', client], { input: `${later.join('\n')}\n` });
    assert.deepEqual([sent.code, sent.stderr], [0, '']);
    const there = new Redis(`redis://${server.info.redis}/2`);
    const popped: string[] = [];
    for (;;) {
      const more = (await there.rpop(`analyzer:3:${queue}`, 10_000)) ?? [];
      if (more.length === 0) break;
      popped.push(...more);
    }
    there.disconnect();
    assert.deepEqual(
      popped.filter((line) => line.startsWith('before')),
      before.slice(500),
    );
    assert.deepEqual(
      popped.filter((line) => line.startsWith('later')),
      later,
    );
    const during1 = popped.filter((line) => line.startsWith('during'));
    assert.deepEqual(during1, linesOf('during', during1.length), 'a beginning of what came while it was made');
    assert.doesNotMatch(server.log(), /"level":(50|60)/);
  } finally {
    await running.dispose();
  }
});

test('a backup of a server that is stopped, by what of the data is wanted', async () => {
  const running = await ArchivingServer.launch();
  try {
    const sensor = newSensorId();
    await running.done('sensor', 'add', '--uuid', sensor, '--key', KEY, '--approve');
    await running.send({ sensor, type: 3 }, `${linesOf('a', 100).join('\n')}\n`);
    await running.untilFiles((files) => files.length > 0);
    await running.server.stop();
    const held = new Map<string, string[]>();
    for (const data of ['none', 'archive', 'journal', 'all']) {
      const file = join(folder, `${data}-stopped.tar.gz`);
      await running.done('backup', file, '--data', data);
      const home = join(folder, `of-${data}`);
      const restored = await runD4(['restore', file, '--home', home, '--json']);
      assert.equal(restored.code, 0, restored.stderr);
      const has = (path: string): boolean => existsSync(join(home, path));
      held.set(data, ['journal/3', 'journal/files/3', 'archive'].filter(has));
      assert.ok(has('registry.sqlite') && has('registry.key') && has('server.pem') && has('ledger.sqlite'));
      assert.ok(!has('server.json') && !has('lock') && !has('registry.sqlite.bak'));
    }
    assert.deepEqual(Object.fromEntries(held), {
      none: [],
      archive: ['journal/files/3', 'archive'],
      journal: ['journal/3', 'journal/files/3'],
      all: ['journal/3', 'journal/files/3', 'archive'],
    });
    // With the registry alone: sequences go on above what was, and the server says what it has not.
    await using server = await launchServer({ home: join(folder, 'of-none') });
    const { stdout } = await runD4(['sensor', 'list', '--home', server.home]);
    assert.match(stdout, new RegExp(sensor));
  } finally {
    await running.dispose();
  }
});

test('what is damaged, cut off or dangerous is not restored, and nothing is left of it', async () => {
  const home = join(folder, 'small');
  const file = join(folder, 'small.tar.gz');
  await (await launchServer({ home })).stop();
  assert.equal((await runD4(['backup', file, '--home', home])).code, 0);
  const bytes = gunzipSync(readFileSync(file));
  const bad = join(folder, 'bad.tar.gz');
  const target = join(folder, 'not', 'yet', 'there');
  const refused = async (content: Buffer, why: RegExp): Promise<void> => {
    writeFileSync(bad, content);
    const { code, stderr } = await runD4(['restore', bad, '--home', target]);
    assert.equal(code, 1, stderr);
    assert.match(stderr, why);
    assert.match(stderr, /D4_BACKUP/);
    assert.ok(!existsSync(join(folder, 'not')));
  };
  await refused(readFileSync(file).subarray(0, statSync(file).size / 2), /bad\.tar\.gz cannot be restored/);
  await refused(gzipSync(bytes.subarray(0, 512 * 40)), /cannot be restored/);
  const flipped = Buffer.from(bytes);
  flipped[512 + 5000] = (flipped[512 + 5000] ?? 0) ^ 1;
  await refused(gzipSync(flipped), /registry\.sqlite is not what was put into it/);
  await refused(Buffer.from('no archive at all'), /cannot be restored/);
  // A name that leads out of the home, with the checksum of its header made right.
  const outside = Buffer.from(bytes);
  outside.write('../outside\0', 0, 'latin1');
  outside.fill(' ', 148, 156);
  const sum = outside.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  outside.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  await refused(gzipSync(outside), /\.\.\/outside/);
  assert.ok(!existsSync(join(folder, 'outside')));

  // A folder that was there stays.
  mkdirSync(target, { recursive: true });
  assert.equal((await runD4(['restore', bad, '--home', target])).code, 1);
  assert.deepEqual(readdirSync(target), []);
  writeFileSync(join(target, 'something'), '');
  const full = await runD4(['restore', file, '--home', target]);
  assert.equal(full.code, 1);
  assert.match(full.stderr, /is not empty.*D4_HOME_NOT_EMPTY/s);
});
