import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { JournalFolder } from './journal-folder.ts';
import { lines, newStream } from './sample-streams.ts';

for (const [what, bytes] of [
  ['damaged', Buffer.from('D4INDEX2 and nothing that follows')],
  ['those of an older format', Buffer.from('D4INDEX1')],
] as const) {
  test(`a selection is exact also where the indexes are ${what}`, async () => {
    await using folder = await JournalFolder.make({ segmentBytes: 1_000 });
    let log = await folder.topic();
    const [a, b] = [newStream('3'), newStream('3')];
    const line = lines(`${'x'.repeat(100)}\n`);
    for (let i = 0; i < 30; i++) {
      await log.append(a, i * line.bytes, [line]);
      if (i % 10 === 0) await log.append(b, i === 0 ? 0 : (i / 10) * line.bytes, [line]);
    }
    await folder.close();
    const indexes = await folder.files('.idx');
    assert.ok(indexes.length > 3);
    for (const path of indexes) await writeFile(path, bytes);
    log = await folder.topic();
    const selection = await log.select([b.sensor]);
    assert.equal(selection.endOrdinal, 3);
    const found = await selection.read(0, 10_000);
    assert.ok(found.every(({ entry }) => entry.stream.sensor === b.sensor));
    assert.equal(log.endOrdinal, 33);
  });
}

test('a damaged entry is left out of what a selection reads, and stays counted', async () => {
  await using folder = await JournalFolder.make();
  const log = await folder.topic();
  const stream = newStream('3');
  for (let i = 0; i < 5; i++) await log.append(stream, i * 2, [lines(`${i}\n`)]);
  const selection = await log.select([stream.sensor]);
  const [path = ''] = await folder.files('.seg');
  const bytes = (await folder.snapshot()).get(path.slice(folder.folder.length + 1)) ?? Buffer.alloc(0);
  bytes[bytes.lastIndexOf('2\n')] = 0x3f;
  await writeFile(path, bytes);
  const found = await selection.read(0, 10_000);
  assert.deepEqual(
    found.map(({ entry, ordinal }) => [entry.bytes.toString(), ordinal]),
    [
      ['0\n', 0],
      ['1\n', 1],
      ['3\n', 3],
      ['4\n', 4],
    ],
  );
  assert.equal(selection.endOrdinal, 5);
});
