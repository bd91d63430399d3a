import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { launchServer, Relay } from '@d4ts/testkit';
import { journalStreams } from './journal-streams.ts';
import { ARRIVAL_MS, type Disk, FileSensor, KEY, PipeSensor } from './machines.ts';
import { eventLine, packet } from './sources.ts';
import { runWell } from './verify.ts';

/** How long an outage is, and how much the spools of the sensors may hold. */
export interface Outage {
  /** At least; it goes on until both spools are full. */
  readonly seconds: number;
  /** As `--spool-limit` takes it; what comes during the outage is more. */
  readonly spoolLimit: string;
}

/**
 * A network that is gone for a while: a sensor whose full spool lets its source wait, and one that drops the oldest, each
 * fed through a pipe, beside two that read growing files. Nothing is lost but what the second one drops, which is
 * a gap to the byte in the journal and in the ledger.
 * @returns what was seen, in words
 * @throws AssertionError
 */
export async function outage({ seconds, spoolLimit }: Outage): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'd4-outage-'));
  const disk: Disk = { path: folder, cut: () => assert.fail('this disk does not fail'), restore: () => {} };
  const spooled = (policy: string): PipeSensor =>
    new PipeSensor(disk, '3', longLine, ['--spool-limit', spoolLimit, '--spool-full', policy]);
  const waits = spooled('wait');
  const drops = spooled('drop-oldest');
  const files = [new FileSensor(disk, folder, 'maltrail', eventLine), new FileSensor(disk, folder, '1', packet)];
  const sensors = [waits, drops, ...files];
  const stopGrowing = files.map((file) => file.grow());
  const server = await launchServer();
  const { home } = server;
  try {
    await using relay = await Relay.start(Number(server.info.listen.split(':').at(-1)));
    for (const sensor of sensors) {
      await runWell(['sensor', 'add', '--home', home, '--uuid', sensor.uuid, '--key', KEY, '--approve']);
      sensor.configure(home, `127.0.0.1:${relay.port}`);
    }
    await runWell(['type', 'add', 'maltrail', '--home', home]);
    for (const sensor of sensors) sensor.start();
    await until(async () => (await journaled(home)) === sensors.length, 'all sensors send');
    await relay.refuse();
    const over = performance.now() + seconds * 1_000;
    await until(() => waits.blocked && /dropped/.test(drops.said), 'the spools are full', ARRIVAL_MS);
    await delay(Math.max(0, over - performance.now()));
    await relay.open();
    for (const stop of stopGrowing) stop();
    await Promise.all([waits.complete(), drops.complete(), ...files.map((file) => file.finish())]);
    await runWell(['ledger', '--check', '--home', home]);
    const rows = JSON.parse(await runWell(['ledger', drops.uuid, '--json', '--home', home])) as LedgerRows;
    assert.equal((await server.stop()).code, 0);

    const [whole, holed] = await pipeStreams(home, waits, drops);
    assert.deepEqual(whole.gaps, []);
    assert.ok(whole.bytes.equals(given(waits)), 'the one that waits has delivered everything');
    const expected = given(drops);
    const kept: Buffer[] = [];
    let at = 0;
    for (const { from, to, why } of holed.gaps) {
      assert.equal(why, 'spool-full');
      kept.push(expected.subarray(at, from));
      at = to;
    }
    kept.push(expected.subarray(at));
    assert.ok(holed.bytes.equals(Buffer.concat(kept)), 'what is in no gap is there');
    const dropped = expected.length - holed.bytes.length;
    assert.ok(dropped > 0);
    const missing = rows.rows.reduce((sum, { gaps }) => sum + gaps.missingBytes, 0);
    assert.equal(missing, dropped, 'the ledger knows what never came');
    for (const file of files) {
      const [stream] = await journalStreams(home, file.topic);
      assert.ok(stream?.bytes.equals(file.slice(0, file.length)), `${file.topic} has arrived`);
    }
    return `an outage of ${seconds} s, ${spoolLimit} of spool: waiting, ${whole.bytes.length} of ${whole.bytes.length} bytes arrived; dropping the oldest, ${holed.bytes.length} of ${expected.length}, and ${dropped} in ${holed.gaps.length} gaps`;
  } finally {
    for (const stop of stopGrowing) stop();
    await Promise.all(sensors.map((sensor) => sensor.end()));
    await server.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface LedgerRows {
  readonly rows: readonly { readonly gaps: { readonly missingBytes: number } }[];
}

/** Long, so that a spool is soon full. */
function longLine(run: number, line: number): string {
  return `pipe ${run} ${line} ${'p'.repeat(6_000 + ((line * 31) % 4_000))}\n`;
}

function given(pipe: PipeSensor): Buffer {
  return Buffer.from(pipe.text(1, pipe.given)).subarray(0, pipe.given);
}

async function pipeStreams(home: string, waits: PipeSensor, drops: PipeSensor) {
  const streams = await journalStreams(home, '3');
  assert.equal(streams.length, 2, `${waits.said}\n${drops.said}`);
  const whole = streams.find(({ gaps }) => gaps.length === 0);
  const holed = streams.find(({ gaps }) => gaps.length > 0);
  assert.ok(whole !== undefined && holed !== undefined, `${waits.said}\n${drops.said}`);
  return [whole, holed] as const;
}

async function journaled(home: string): Promise<number> {
  const { sessions } = JSON.parse(await runWell(['status', '--json', '--home', home])) as {
    sessions: { acknowledged?: { acknowledgedTo: number } }[];
  };
  return sessions.filter(({ acknowledged }) => (acknowledged?.acknowledgedTo ?? 0) > 0).length;
}

async function until(holds: () => boolean | Promise<boolean>, what: string, limitMs = ARRIVAL_MS): Promise<void> {
  for (const end = performance.now() + limitMs; !(await holds()); await delay(50)) {
    assert.ok(performance.now() < end, `${what}: not within ${limitMs} ms`);
  }
}
