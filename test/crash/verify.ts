import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import type { ArchivedFileView, ServerLedger } from '@d4ts/server';
import { runD4 } from '@d4ts/testkit';
import { type JournalStream, journalStreams } from './journal-streams.ts';
import { ARRIVAL_MS, type FileSensor, type PipeSensor, type ServerMachine } from './machines.ts';
import { captureHeader } from './sources.ts';

/** The fewest bytes by which the runs of a pipe are told apart. */
const RUN_BYTES = 40;

/** Runs `d4`. @returns what it printed */
export async function runWell(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runD4(args);
  assert.equal(code, 0, `d4 ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

/** What should be there. */
export interface Sent {
  /** Each is one stream. */
  readonly files: readonly FileSensor[];
  /** Each of its runs is a stream, which may end anywhere: what the pipe still held is gone with the program. */
  readonly pipe: PipeSensor;
}

/**
 * Compares the archive, the ledger and what retention has left of the journal with what was sent; stops the server.
 * @throws AssertionError
 */
export async function verify(server: ServerMachine, { files, pipe }: Sent): Promise<void> {
  const { home } = server;
  for (const file of files) await archivedTo(home, file.uuid, file.length);
  const ledger = await runD4(['ledger', '--check', '--home', home]);
  assert.equal(ledger.code, 0, `the ledger does not balance:\n${ledger.stdout}${ledger.stderr}`);
  const { topics } = JSON.parse(await runWell(['ledger', '--json', '--home', home])) as ServerLedger;
  for (const { topic, damaged } of topics) assert.equal(damaged, 0, `items of ${topic} are gone without a reason`);
  const listed = new Map<string, ArchivedFileView[]>();
  for (const { uuid } of [...files, pipe]) listed.set(uuid, await archivedFiles(home, uuid));
  const contents = new Map<string, Buffer>();
  for (const file of [...listed.values()].flat()) {
    assert.equal(file.state, 'there', `${file.path} was removed: ${file.removedFor}`);
    contents.set(file.id, contentOf(file));
  }
  const { child } = server;
  assert.ok(child !== undefined);
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  assert.equal((await ended)[0], 0, server.said);

  for (const file of files) {
    const archived = byStream(listed.get(file.uuid) ?? []);
    assert.equal(archived.size, 1, `${file.topic} is one stream`);
    for (const [stream, parts] of archived) {
      const end = checkParts(file.topic, parts, contents, (from, to) => file.slice(from, to));
      assert.equal(end, file.length, `the archive of ${file.topic}`);
      const kept = (await journalStreams(home, file.topic)).find(({ id }) => id === stream);
      if (kept !== undefined) checkJournal(file.topic, kept, (from, to) => file.slice(from, to), end);
    }
  }
  const runs = new Set<number>();
  const journal = await journalStreams(home, pipe.topic);
  let lines = 0;
  for (const [stream, parts] of byStream(listed.get(pipe.uuid) ?? [])) {
    const first = contents.get(parts[0]?.id ?? '')?.toString('latin1', 0, RUN_BYTES) ?? '';
    const run = Number(first.split(' ')[1]);
    assert.ok(!runs.has(run), `run ${run} of the pipe has two streams`);
    runs.add(run);
    const text = Buffer.from(pipe.text(run, parts.at(-1)?.toByte ?? 0));
    const slice = (from: number, to: number): Buffer => text.subarray(from, to);
    const end = checkParts(`run ${run} of the pipe`, parts, contents, slice);
    const kept = journal.find(({ id }) => id === stream);
    if (kept !== undefined) checkJournal(`run ${run} of the pipe`, kept, slice, end);
    lines += text.subarray(0, end).toString('latin1').split('\n').length - 1;
  }
  assert.ok(lines > 0, 'the pipe delivered nothing');
  process.stderr.write(`${runs.size} of ${pipe.runs} runs of the pipe have delivered ${lines} lines\n`);
}

type Slice = (from: number, to: number) => Buffer;

/** The files of a stream are its bytes, one after the other. @returns where they end */
function checkParts(
  what: string,
  parts: readonly ArchivedFileView[],
  contents: ReadonlyMap<string, Buffer>,
  slice: Slice,
): number {
  let at = 0;
  for (const { id, fromByte, toByte, path } of parts) {
    assert.equal(fromByte, at, `${what}: ${path} begins where the one before ended`);
    let content = contents.get(id) ?? Buffer.alloc(0);
    // Every file of a capture begins with its header.
    if (what === '1' && at > 0) content = content.subarray(captureHeader().length);
    assert.ok(content.equals(slice(fromByte, toByte)), `${what}: ${path} is not what was sent`);
    at = toByte;
  }
  return at;
}

function checkJournal(what: string, { from, bytes, gaps }: JournalStream, slice: Slice, end: number): void {
  assert.deepEqual(gaps, [], `${what} has no gap`);
  assert.equal(from + bytes.length, end, `the journal of ${what}`);
  assert.ok(bytes.equals(slice(from, end)), `the journal of ${what} is not what was sent`);
}

function byStream(files: readonly ArchivedFileView[]): Map<string, ArchivedFileView[]> {
  const streams = Map.groupBy(files, ({ stream }) => stream);
  for (const parts of streams.values()) parts.sort((one, other) => one.fromByte - other.fromByte);
  return streams;
}

/** Waits until a sensor's stream is in finished files. */
async function archivedTo(home: string, uuid: string, bytes: number): Promise<void> {
  for (const until = performance.now() + ARRIVAL_MS; ; await delay(300)) {
    const files = await archivedFiles(home, uuid);
    const archived = Math.max(0, ...files.map(({ toByte }) => toByte));
    if (archived >= bytes) return;
    assert.ok(performance.now() < until, `the archive stays behind: ${archived} of ${bytes} bytes of ${uuid}`);
  }
}

async function archivedFiles(home: string, uuid: string): Promise<ArchivedFileView[]> {
  const listed = await runWell(['archive', 'list', '--json', '-n', '100000', '--sensor', uuid, '--home', home]);
  return JSON.parse(listed) as ArchivedFileView[];
}

function contentOf({ path }: ArchivedFileView): Buffer {
  const bytes = readFileSync(path);
  return path.endsWith('.gz') ? gunzipSync(bytes) : bytes;
}
