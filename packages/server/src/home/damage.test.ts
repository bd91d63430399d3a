import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { newSensorId, type SensorId } from '@d4ts/protocol';
import { launchServer, Random } from '@d4ts/testkit';
import { pino } from 'pino';
import { SEGMENT_HEADER_BYTES } from '../journal/entry-format.ts';
import { openFileJournal } from '../journal/files.ts';
import { entriesOf } from '../journal/journal-folder.ts';
import { ENTRY_KIND, type Entry, type Journal } from '../journal/port.ts';
import { lines, newStream, readAll } from '../journal/sample-streams.ts';
import type { CursorState, Registry } from '../registry/port.ts';
import { openSqliteRegistry } from '../registry/sqlite.ts';
import { checkHome } from './check/check-home.ts';
import { homePaths } from './home.ts';

// Bytes are flipped at random places of a home while it is stopped (D4_TEST_FLIPS of them, from D4_TEST_SEED on): a server
// starts on it, tells, and has lost no more than the entries and rows that were hit.

const FLIPS = Number(process.env.D4_TEST_FLIPS ?? 30);
const SEED = Number(process.env.D4_TEST_SEED ?? 1);
const FLIPS_PER_START = 10;
const TOPICS = ['3', '8'];
const ADMIN = { name: 'admin@admin.test' };
const CURSOR: CursorState = { sequence: 40, record: 1, taken: 200, dropped: 3, flushed: 0, givenBack: ['YQ=='] };
const LOG = pino({ level: 'silent' });

const root = mkdtempSync(join(tmpdir(), 'd4-damage-'));
const pristine = join(root, 'pristine');
const home = join(root, 'home');
/** What the pristine home holds. */
let registered: Map<string, unknown>;
let entries: Map<string, Entry[]>;

after(() => rmSync(root, { recursive: true, force: true, maxRetries: 3 }));

before(async () => {
  await (await launchServer({ home: pristine })).stop();
  await fillRegistry();
  const journal = await openJournal(pristine);
  const sensors = Array.from({ length: 5 }, () => newSensorId());
  for (const topic of TOPICS) await fillTopic(journal, topic, sensors);
  await journal.close();
  // So that everything is counted, archived, announced and copied.
  await (await launchServer({ home: pristine })).stop();
  registered = await registeredIn(pristine);
  entries = await entriesIn(pristine);
});

function openRegistry(of: string): Promise<Registry> {
  const { registry, registryKey } = homePaths(of);
  return openSqliteRegistry({ file: registry, keyFile: registryKey, log: LOG });
}

function openJournal(of: string): Promise<Journal> {
  return openFileJournal({ root: homePaths(of).journal, policy: 'os', log: LOG, segmentBytes: 40_000 });
}

async function fillRegistry(): Promise<void> {
  const registry = await openRegistry(pristine);
  const common = { state: 'approved', mail: '', thirdParty: false, unproven: false, createdAt: 1 } as const;
  for (let n = 0; n < 60; n++) {
    const uuid = newSensorId();
    await registry.sensors.put(uuid, { ...common, uuid, key: `key ${n}`, description: 'd'.repeat(n * 5) }, ADMIN);
  }
  for (let n = 0; n < 10; n++) {
    const [uuid, target] = [newSensorId() as string, `192.0.2.${n}`];
    const filters = [{ from: 0, sensors: 'all' as const }];
    await registry.queues.put(uuid, { uuid, topic: '3', description: '', limit: 1e6, filters, createdAt: 1 }, ADMIN);
    await registry.saveCursors(new Map([[uuid, CURSOR]]));
    await registry.blocks.put(target, { target, kind: 'network', reason: 'a test', createdAt: 1 }, ADMIN);
  }
  await registry.close();
}

async function fillTopic(journal: Journal, topic: string, sensors: readonly SensorId[]): Promise<void> {
  const log = await journal.open(topic);
  const streams = sensors.map((sensor) => ({ stream: newStream(topic, { sensor }), offset: 0 }));
  for (let n = 0; n < 150; n++) {
    for (const each of streams) {
      const text = Array.from({ length: 5 }, (_, i) => `${n} ${i} ${'x'.repeat((n * 13) % 70)}\n`).join('');
      await log.append(each.stream, each.offset, [lines(text)]);
      each.offset += text.length;
    }
  }
}

/** Everything that somebody has put into the registry, by its name. */
async function registeredIn(of: string): Promise<Map<string, unknown>> {
  const registry = await openRegistry(of);
  const found = new Map<string, unknown>();
  for (const name of ['sensors', 'types', 'queues', 'blocks', 'users', 'tokens'] as const) {
    for (const [key, { value }] of registry[name].entries()) found.set(`${name} ${key}`, value);
  }
  for (const [key, cursor] of registry.loadCursors()) found.set(`cursor ${key}`, cursor);
  await registry.close();
  return found;
}

async function entriesIn(of: string): Promise<Map<string, Entry[]>> {
  const journal = await openJournal(of);
  const found = new Map<string, Entry[]>();
  for (const topic of TOPICS) {
    const read = await readAll(await journal.open(topic));
    found.set(
      topic,
      read.map((entry) => ({ ...entry, bytes: Buffer.from(entry.bytes) })),
    );
  }
  await journal.close();
  return found;
}

/** A byte that was changed. */
interface Flip {
  readonly path: string;
  readonly at: number;
}

function filesOf(kind: 'segment' | 'index' | 'registry' | 'sums'): string[] {
  const { registry, ledger, maltrail, journal } = homePaths(home);
  if (kind === 'registry') return [registry];
  if (kind === 'sums') return [ledger, maltrail];
  const endings = kind === 'segment' ? ['.seg'] : ['.idx', '.tbl'];
  return readdirSync(journal, { recursive: true, encoding: 'utf8' })
    .filter((name) => endings.some((ending) => name.endsWith(ending)))
    .sort()
    .map((name) => join(journal, name));
}

function flip(random: Random): Flip {
  const path = random.of(filesOf(random.of(['segment', 'segment', 'index', 'registry', 'sums'] as const)));
  const bytes = readFileSync(path);
  const at = random.below(bytes.length);
  bytes[at] = (bytes[at] ?? 0) ^ (1 + random.below(255));
  writeFileSync(path, bytes);
  return { path, at };
}

/** The data entries that were hit, by topic; as they stand in the pristine home. */
function hitBy(flips: readonly Flip[]): Map<string, Set<number>> {
  const hit = new Map(TOPICS.map((topic) => [topic, new Set<number>()]));
  for (const { path, at } of flips) {
    const topic = TOPICS.find((each) => path.startsWith(join(homePaths(home).journal, each)));
    if (topic === undefined || !path.endsWith('.seg') || at < SEGMENT_HEADER_BYTES) continue;
    const placed = entriesOf(readFileSync(path.replace(home, pristine)));
    const found = placed.find(({ from, to }) => from <= at && at < to);
    if (found?.header.kind === ENTRY_KIND.data) hit.get(topic)?.add(found.header.sequence);
  }
  return hit;
}

for (let done = 0; done < FLIPS; done += FLIPS_PER_START) {
  const count = Math.min(FLIPS_PER_START, FLIPS - done);
  test(`flips ${done + 1} to ${done + count}: the server starts, tells, and loses no more than what was hit`, async () => {
    rmSync(home, { recursive: true, force: true });
    cpSync(pristine, home, { recursive: true, preserveTimestamps: true });
    const random = Random.of(SEED, done);
    const flips = Array.from({ length: count }, () => flip(random));
    const hit = hitBy(flips);
    const context = JSON.stringify(flips.map(({ path, at }) => [path.slice(home.length + 1), at]));

    // Every second time it is checked before, and mended.
    const repair = (done / FLIPS_PER_START) % 2 === 1;
    const options = { home, archiveRoot: homePaths(home).archive, deep: false, log: LOG };
    const checked = await checkHome({ ...options, repair });
    for (const topic of TOPICS) {
      const damaged = flips.filter(({ path, at }) => isHit(path, at, topic));
      for (const { path } of damaged) {
        assert.ok(
          [...checked.findings, ...checked.notes].some((finding) => finding.path === path),
          `fsck has not seen ${path}: ${context}`,
        );
      }
    }

    await using server = await launchServer({ home });
    assert.equal((await server.stop()).code, 0, context);

    const now = await registeredIn(home);
    for (const [name, value] of registered) assert.deepEqual(now.get(name), value, `${name}: ${context}`);
    for (const [topic, held] of await entriesIn(home)) {
      const bySequence = new Map(held.map((entry) => [entry.sequence, entry]));
      for (const entry of entries.get(topic) ?? []) {
        const there = bySequence.get(entry.sequence);
        if (entry.kind !== ENTRY_KIND.data) continue;
        if (there === undefined)
          assert.ok(hit.get(topic)?.has(entry.sequence), `${topic} ${entry.sequence}: ${context}`);
        else assert.ok(there.bytes.equals(entry.bytes), `${topic} ${entry.sequence} has other bytes: ${context}`);
      }
    }
    // What the next check finds is what only a mending, or the next reading, of a sealed segment takes note of.
    const after = await checkHome({ ...options, repair: false });
    const left = after.findings.filter(({ part }) => part !== 'journal' && part !== 'archive');
    assert.deepEqual(left, [], context);
    if (repair) assert.deepEqual(after.findings, [], context);
  });
}

/** Whether a byte of an entry of a topic was changed, and not one of the zeros behind them. */
function isHit(path: string, at: number, topic: string): boolean {
  if (!path.endsWith('.seg') || !path.startsWith(join(homePaths(home).journal, topic))) return false;
  const original = path.replace(home, pristine);
  const end = entriesOf(readFileSync(original)).at(-1)?.to ?? 0;
  return at >= SEGMENT_HEADER_BYTES && at < Math.min(end, statSync(original).size);
}
