import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { newSensorId } from '@d4ts/protocol';
import type { HomeCheck, Overview } from '@d4ts/server';
import { launchServer, runD4 } from '@d4ts/testkit';
import { ArchivingServer, KEY } from './archiving-server.ts';

const folder = mkdtempSync(join(tmpdir(), 'd4-fsck-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Changes a byte of a file. */
function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 0x10;
  writeFileSync(path, bytes);
}

test('d4 fsck: a home that is sound, in use, damaged, and mended', async () => {
  const running = await ArchivingServer.launch();
  const { home } = running;
  const fsck = (...flags: string[]): ReturnType<typeof runD4> => runD4(['fsck', '--home', home, ...flags]);
  try {
    const sensor = newSensorId();
    await running.done('sensor', 'add', '--uuid', sensor, '--key', KEY, '--approve');
    for (const name of ['a', 'b', 'c']) await running.send({ sensor, type: 3 }, `${name} ${'x'.repeat(3_000)}\n`);
    const files = await running.untilFiles((found) => found.length === 3);

    const inUse = await fsck();
    assert.equal(inUse.code, 2);
    assert.match(inUse.stderr, /cannot be checked: .* in use by another server \(pid \d+\).*\[D4_HOME_HELD\]/);
    await running.server.stop();
    const sound = await fsck('--deep');
    assert.equal(sound.code, 0, sound.stdout + sound.stderr);
    assert.match(
      sound.stdout,
      /entries in \d+ segments .*, 3 archived files, 3 of them with their content\n(.*\n)*nothing is damaged\n$/,
    );

    const segments = join(home, 'journal', '3');
    const [segment = ''] = readdirSync(segments).filter((name) => name.endsWith('.seg'));
    const bytes = readFileSync(join(segments, segment));
    flip(join(segments, segment), bytes.indexOf('b xxx') + 100);
    flip(join(segments, segment), 33);
    const archived = files[1]?.path ?? '';
    const content = readFileSync(archived);
    flip(archived, content.length - 3);
    flip(join(home, 'server.pem'), 60);
    flip(join(home, 'format'), 0);
    writeFileSync(`${archived}.part`, 'not finished');
    const registry = readFileSync(join(home, 'registry.sqlite'));
    // What is sealed: the sensor's key, and perhaps what was there before.
    for (let at = registry.indexOf('aes256gcm:'); at >= 0; at = registry.indexOf('aes256gcm:', at + 1)) {
      flip(join(home, 'registry.sqlite'), at + 40);
    }

    const before = new Map(readdirSync(segments).map((name) => [name, readFileSync(join(segments, name))]));
    const { code, stdout } = await fsck('--deep', '--json');
    assert.equal(code, 1);
    const { findings } = JSON.parse(stdout) as HomeCheck;
    assert.deepEqual(findings.map(({ part }) => part).sort(), [
      'archive',
      'archive',
      'home',
      'journal',
      'journal',
      'keys',
      'registry',
    ]);
    assert.match(findings.find(({ lost }) => lost?.includes('1 entry'))?.what ?? '', /bytes \d+ to \d+ are no entry/);
    assert.ok(findings.every(({ mended }) => !mended));
    for (const [name, was] of before) assert.ok(readFileSync(join(segments, name)).equals(was), 'nothing is changed');

    const mended = await fsck('--repair');
    assert.equal(mended.code, 1);
    assert.match(mended.stdout, /^mended: registry: /m);
    assert.match(mended.stdout, /^mended: keys: .*server\.pem/m);
    assert.match(mended.stdout, /^mended: \d+, still damaged: 1\n$/m);
    const kept = readdirSync(join(home, 'damaged'));
    for (const name of ['registry.sqlite', 'server.pem', '.part']) {
      assert.ok(
        kept.some((each) => /^\d{8}T\d+Z-/.test(each) && each.endsWith(name)),
        `${name}: ${kept}`,
      );
    }

    await running.start();
    const { topics } = await running.status();
    assert.equal(topics.find(({ topic }) => topic === '3')?.gaps, 1, 'the entry that was hit, as a gap');
    const overview = await running.ask<Overview>('/overview');
    const item = overview.attention.find(({ kind }) => kind === 'damaged');
    assert.equal(item?.count, kept.length);
    await running.server.stop();
    const after = await fsck();
    assert.match(after.stdout, /nothing is damaged\n$/);
    assert.equal(after.code, 0, after.stdout);
  } finally {
    await running.dispose();
  }
});

test('d4 fsck: what is no home, and a spool', async () => {
  const empty = await runD4(['fsck', '--home', folder]);
  assert.equal(empty.code, 2);
  assert.match(empty.stderr, /is no home of a server.*D4_NOT_FOUND/);
  const both = await runD4(['fsck', '--home', folder, '--client', folder]);
  assert.equal(both.code, 2);
  const nowhere = await runD4(['fsck', '--client', join(folder, 'nowhere')]);
  assert.equal(nowhere.code, 2);
  assert.match(nowhere.stderr, /there is no configuration directory.*nowhere.*D4_CONFIG/);
  const nothing = await runD4(['fsck', '--client', folder]);
  assert.deepEqual([nothing.code, nothing.stderr], [0, '']);
  assert.match(nothing.stdout, /nothing waits/);

  const conf = mkdtempSync(join(folder, 'conf-'));
  const home = join(folder, 'home');
  const server = await launchServer({ home });
  const { ca, listen } = server.info;
  await server.stop();
  const settings = { uuid: newSensorId(), key: KEY, type: '3', source: 'stdin', destination: listen, 'rootCA.crt': ca };
  for (const [name, value] of Object.entries(settings)) writeFileSync(join(conf, name), value);
  const input = Array.from({ length: 2_000 }, (_, i) => `${i} ${'y'.repeat(50)}\n`).join('');
  const flags = ['--ack', 'require', '--spool', 'always', '-rt', '0'];
  assert.equal((await runD4(['client', '-c', conf, ...flags], { input })).code, 1);
  const whole = await runD4(['fsck', '--client', conf]);
  assert.equal(whole.code, 0, whole.stdout);
  assert.match(whole.stdout, /1 streams, .* wait\nnothing is damaged/);
  const spool = join(conf, 'spool');
  const segment = readdirSync(spool, { recursive: true, encoding: 'utf8' }).find((name) => name.endsWith('.seg'));
  assert.ok(segment !== undefined, readdirSync(spool, { recursive: true }).join());
  flip(join(spool, segment), 5_000);
  const damaged = await runD4(['fsck', '--client', conf, '--json']);
  assert.equal(damaged.code, 1, damaged.stdout);
  assert.equal((JSON.parse(damaged.stdout) as { damage: unknown[] }).damage.length, 1);
  const mended = await runD4(['fsck', '--client', conf, '--repair']);
  assert.equal(mended.code, 1);
  assert.match(mended.stdout, /mended: .*taken out\nlost: \d+ bytes/);
  assert.equal((await runD4(['fsck', '--client', conf])).code, 0);
});
