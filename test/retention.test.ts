import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { SensorId } from '@d4ts/protocol';
import { ArchivingServer } from './archiving-server.ts';

let server: ArchivingServer;
let gone: SensorId;
let kept: SensorId;

before(async () => {
  server = await ArchivingServer.launch();
  await server.acceptType('3');
  await server.acceptType('maltrail');
  gone = await server.addSensor();
  kept = await server.addSensor();
});
after(() => server.dispose());

/** Everything in the files of the home, as text of one byte for each character. */
function everything(folder: string): string {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
    .join('\n');
}

test('a sensor is erased on request, with what it began its streams with, and another one is not', async () => {
  const queue = await server.addQueue('3');
  const metaHeader = JSON.stringify({ type: 'maltrail', note: 'meta of the erased one' });
  for (let session = 0; session < 3; session++) {
    await server.send({ sensor: gone, type: 3 }, `erased line ${session}\n`.repeat(20));
    await server.send({ sensor: kept, type: 3 }, `kept line ${session}\n`.repeat(20));
    await server.send({ sensor: gone, type: 254, metaHeader }, `erased event ${session}\n`);
  }
  await server.untilFiles((files) => files.length === 9);
  const unasked = await server.d4('sensor', 'erase', gone);
  assert.deepEqual([unasked.code, /is erased, for ever: say so with --yes/.test(unasked.stderr)], [2, true]);
  const said = await server.done('sensor', 'erase', gone, '--yes');
  assert.match(said, new RegExp(`^sensor ${gone}: erased 6 files \\(.*\\) and .* of the journal\\n$`));

  const archived = readdirSync(server.root, { recursive: true, encoding: 'utf8' });
  assert.ok(!archived.some((name) => name.startsWith(gone.replaceAll('-', '')) && /\.(gz|json)$/.test(name)));
  const journal = everything(join(server.home, 'journal'));
  assert.doesNotMatch(journal, /erased (line|event)|meta of the erased one/);
  assert.match(journal, /kept line 0/);
  assert.deepEqual(
    (await server.popAll(queue)).toSorted(),
    [0, 1, 2].flatMap((n) => Array(20).fill(`kept line ${n}`)),
  );
  const files = await server.files();
  const removed = files.filter(({ sensor }) => sensor === gone);
  assert.deepEqual(
    new Set(removed.map(({ state, removedFor }) => `${state} ${removedFor}`)),
    new Set(['removed erased']),
  );
  assert.ok(
    files.filter(({ sensor }) => sensor === kept).every(({ path, state }) => state === 'there' && existsSync(path)),
  );
  assert.match(await server.done('archive', 'list', '--sensor', gone), /removed: erased/);
  const shown = await server.done('retention', 'show');
  assert.match(shown, new RegExp(`${gone} .* 6, `));
  assert.match(shown, /^JOURNAL OF .* OLDEST SEGMENT TO +IT WAITS FOR$/m);
  assert.match(shown, /^files\/3 (.*\n)+files\/TYPE holds the announcements of finished files/m);

  // What it sends later is there, also after the server was killed.
  await server.send({ sensor: gone, type: 3 }, 'a new line\n');
  await server.killAndStart();
  assert.deepEqual(await server.popAll(queue), ['a new line']);
  assert.doesNotMatch(everything(join(server.home, 'journal')), /erased line/);
});

test('a hold is shown, keeps a sensor from being removed or erased, and can be released', async () => {
  assert.equal(await server.done('sensor', 'hold', kept), `sensor ${kept} is on hold\n`);
  assert.match(await server.done('sensor', 'show', kept), /^in the archive +on hold: nothing is removed, priority 0$/m);
  for (const words of [
    ['remove', kept],
    ['erase', kept, '--yes'],
  ]) {
    const { code, stderr } = await server.d4('sensor', ...words);
    assert.deepEqual([code, /is on hold: release it first \[D4_CONFLICT\]/.test(stderr)], [1, true], stderr);
  }
  await server.done('sensor', 'release', kept);
  await server.done(
    'sensor',
    'edit',
    kept,
    '--archive-priority',
    '7',
    '--archive-age',
    '30d',
    '--archive-size',
    '2GiB',
  );
  assert.match(await server.done('sensor', 'show', kept), /priority 7, kept for 30 d 0 h, at most 2\.1 GB$/m);
  await server.done('type', 'edit', '3', '--archive-priority', '-2', '--journal-size', '5MB');
  assert.match(await server.done('type', 'list'), /^3 .* -2 +- +- +5\.0 MB$/m);
  assert.equal(await server.done('retention', 'plan'), 'nothing would be removed now\n');
  assert.equal(await server.done('retention', 'accept-clock'), 'age rules were not paused\n');
  assert.match(await server.done('status'), /^space +enough$/m);
});
