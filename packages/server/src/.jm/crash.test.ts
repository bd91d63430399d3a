import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { openFileJournal } from './files.ts';
import { JournalFolder } from './journal-folder.ts';
import { ENTRY_FLAG, ENTRY_KIND } from './port.ts';
import { bytesByStream, lines, newStream, ofKind, readAll } from './sample-streams.ts';

/** This file, started with a folder, is the process to be killed. */
const [, , folderToWrite] = process.argv;
const STREAMS = 5;
const KILLS = 20;
const SETTINGS = { policy: 'fsync', segmentBytes: 20_000 } as const;

if (folderToWrite !== undefined) await writeForEver(folderToWrite);
else test('kill -9 in mid-append: what was acknowledged is there, once, in order', killAgainAndAgain);

/** Appends numbered lines to some streams and prints stream and number of each that is committed. */
async function writeForEver(root: string): Promise<void> {
  const journal = await openFileJournal({ ...SETTINGS, root, log: pino({ level: 'silent' }) });
  const log = await journal.open('3');
  process.stdout.write('open\n');
  const write = async (): Promise<void> => {
    const stream = newStream('3');
    for (let n = 0, offset = 0; ; n++) {
      const draft = lines(`${n} ${'x'.repeat((n * 53) % 700)}\n`);
      await log.append(stream, offset, [draft]);
      offset += draft.bytes;
      process.stdout.write(`${stream.id} ${n}\n`);
    }
  };
  await Promise.all(Array.from({ length: STREAMS }, write));
}

async function killAgainAndAgain(): Promise<void> {
  // The next process starts while the journal of the last one is looked at.
  const homes = [await JournalFolder.make(SETTINGS), await JournalFolder.make(SETTINGS)];
  try {
    await Promise.all(homes.map((folder, home) => crashes(folder, KILLS / homes.length, home)));
  } finally {
    for (const folder of homes) await folder[Symbol.asyncDispose]();
  }
}

async function crashes(folder: JournalFolder, kills: number, home: number): Promise<void> {
  const acknowledged = new Map<string, number>();
  for (let kill = 0; kill < kills; kill++) {
    for (const [stream, number] of await writeUntilKilled(folder.root, (kill * 37 + home * 13) % 150)) {
      acknowledged.set(stream, number);
    }
    const log = await folder.topic();
    const entries = await readAll(log);
    for (const [i, entry] of entries.entries()) {
      assert.ok(entry.sequence > (entries[i - 1]?.sequence ?? 0));
    }
    const found = bytesByStream(entries);
    for (const [stream, bytes] of found) {
      const numbers = bytes
        .toString()
        .trimEnd()
        .split('\n')
        .map((line) => Number.parseInt(line, 10));
      const upTo = acknowledged.get(stream) ?? 0;
      assert.deepEqual(numbers, [...numbers.keys()], 'each line once, in order');
      assert.ok(numbers.length > upTo, `stream ${stream}: ${upTo} acknowledged, ${numbers.length} found`);
    }
    for (const stream of acknowledged.keys()) assert.ok(found.has(stream));
    const closes = ofKind(entries, ENTRY_KIND.close);
    assert.deepEqual(closes.map((entry) => entry.stream.id).sort(), [...found.keys()].sort());
    assert.ok(closes.every((entry) => entry.flags === ENTRY_FLAG.crashed));
    assert.equal(log.stats().gaps, 0);
    await folder.close();
  }
}

/** Kills a writer when it has acknowledged so many lines. @returns the last acknowledged number of each stream */
async function writeUntilKilled(root: string, lineCount: number): Promise<Map<string, number>> {
  const child: ChildProcess = spawn(process.execPath, [fileURLToPath(import.meta.url), root], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  let seen = -1;
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    seen += text.split('\n').length - 1;
    if (seen >= lineCount) child.kill('SIGKILL');
  });
  const [, signal] = await once(child, 'close');
  assert.equal(signal, 'SIGKILL');
  const printed = output.slice(0, output.lastIndexOf('\n')).split('\n').slice(1);
  const fields = printed.map((line) => line.split(' '));
  return new Map(fields.map(([stream = '', number]) => [stream, Number(number)]));
}
