import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { newSensorId, type SensorId } from '@d4ts/protocol';
import { pino } from 'pino';
import type { Journal } from '../../journal/port.ts';
import { MemoryActivity } from '../../registry/activity.ts';
import { noteRelease } from '../../registry/release-note.ts';
import { ActivityCounts } from './activity-counts.ts';
import { reconcile, streamBalance } from './balance.ts';
import { IngestCounts } from './ingest-counts.ts';
import { ALL_SENSORS, Ledger, NO_SENSOR } from './ledger.ts';
import { AT, DAY_MS, HOUR_MS } from './measures.ts';
import { openLedger } from './open-ledger.ts';
import { QueueCounts } from './queue-counts.ts';

const LOG = pino({ level: 'silent' });
const NOON = Date.UTC(2026, 10, 22, 12);

class Folder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'd4-ledger-'));
  readonly file = join(this.path, 'ledger.sqlite');

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true });
  }
}

test('hours and days add up, for a sensor and for all, with their reasons', async () => {
  using folder = new Folder();
  const ledger = new Ledger(folder.file, LOG, () => NOON);
  const [a, b] = [newSensorId(), newSensorId()];
  for (const hour of [0, 1, 1, 5]) ledger.add(a, '3', 'bytes', 100, NOON - hour * HOUR_MS);
  ledger.add(b, '3', 'bytes', 1, NOON);
  ledger.add(b, '8', 'frames', 2, NOON - DAY_MS);
  const reason = { kind: 'lost', reason: 'why', count: 1, bytes: 5 } as const;
  ledger.addReason(a, '3', reason, NOON);
  ledger.addReason(a, '3', reason, NOON - HOUR_MS);
  const bytes = async (sensor: string, by: 'hour' | 'day', from = NOON - 3 * DAY_MS, to = NOON + 1) => {
    const rows = await ledger.rows({ sensor, topic: '3' }, by, from, to);
    return rows.map(({ row }) => [new Date(row.start).toISOString().slice(0, 13), row.values[AT.bytes]]);
  };
  assert.deepEqual(await bytes(a, 'hour'), [
    ['2026-11-22T07', 100],
    ['2026-11-22T11', 200],
    ['2026-11-22T12', 100],
  ]);
  assert.deepEqual(await bytes(a, 'hour', NOON - HOUR_MS, NOON), [['2026-11-22T11', 200]]);
  assert.deepEqual(await bytes(a, 'day'), [['2026-11-22T00', 400]]);
  assert.deepEqual(await bytes(ALL_SENSORS, 'day'), [['2026-11-22T00', 401]]);
  assert.deepEqual((await ledger.rows({ sensor: a }, 'day', 0, NOON + 1))[0]?.row.reasons, [
    { ...reason, count: 2, bytes: 10 },
  ]);
  assert.deepEqual(await ledger.rows({ sensor: newSensorId() }, 'day', 0, NOON), []);
  await ledger.close();

  const again = new Ledger(folder.file, LOG, () => NOON);
  assert.equal(again.lastEnd, 'clean');
  assert.equal(again.series(a, '3').total('bytes'), 400);
  assert.deepEqual(again.series(a, '3').today(NOON), { frames: 0, bytes: 400 });
  assert.deepEqual(again.series(b, '8').today(NOON), { frames: 0, bytes: 0 });
  await again.close();
});

test('after 90 days hours become days, after two years these go; totals stay', async () => {
  using folder = new Folder();
  let now = NOON;
  const ledger = new Ledger(folder.file, LOG, () => now);
  const sensor = newSensorId();
  for (let hour = 0; hour < 30; hour++) ledger.add(sensor, '3', 'bytes', 1, now - hour * HOUR_MS);
  ledger.addReason(sensor, '3', { kind: 'gap', reason: 'why', count: 1, bytes: 9 }, now);
  await ledger.flush();
  now += 91 * DAY_MS;
  ledger.add(sensor, '3', 'bytes', 10, now);
  await flushOften(ledger, sensor);
  const days = await ledger.rows({ sensor }, 'day', 0, now + 1);
  assert.deepEqual(
    days.map(({ row }) => row.values[AT.bytes]),
    [17, 13, 10],
  );
  assert.deepEqual(
    days.map(({ row }) => row.reasons.length),
    [0, 1, 0],
  );
  assert.equal((await ledger.rows({ sensor }, 'hour', 0, now + 1)).length, 1);
  now += 3 * 365 * DAY_MS;
  ledger.add(sensor, '3', 'bytes', 5, now);
  await flushOften(ledger, sensor);
  assert.deepEqual(
    (await ledger.rows({ sensor }, 'day', 0, now + 1)).map(({ row }) => row.values[AT.bytes]),
    [5],
  );
  assert.equal(ledger.series(sensor, '3').total('bytes'), 45);
  await ledger.close();
});

test('what the registry counted while nobody looked is taken over; what it has lost is not taken away', async () => {
  using folder = new Folder();
  const activity = new MemoryActivity({ sensors: new Map(), refusalTotals: {}, claimedRefusals: [], knocks: [] });
  const sensor = newSensorId();
  const counts = { records: 0, skippedBytes: 0, cutRecords: 0, firstSeen: 1, lastSeen: NOON };
  const set = (frames: number, bytes: number): void => {
    activity.sensor(sensor).topics['3'] = { ...counts, frames, bytes, sessions: 1 };
  };
  set(100, 1_000);
  let ledger = new Ledger(folder.file, LOG, () => NOON);
  new ActivityCounts(ledger, activity, () => NOON);
  set(103, 1_030);
  activity.refused({ code: 'pending', address: '192.0.2.1', sensor, verified: true, at: NOON });
  activity.refused({ code: 'hmac-wrong', address: '192.0.2.1', sensor, verified: false, at: NOON });
  await ledger.close();
  set(105, 1_050);
  ledger = new Ledger(folder.file, LOG, () => NOON);
  new ActivityCounts(ledger, activity, () => NOON).takeOver();
  const series = ledger.series(sensor, '3');
  assert.deepEqual([series.total('frames'), series.total('bytes')], [5, 50], 'a new ledger begins at its beginning');
  assert.equal(ledger.series(sensor, '').total('refused'), 1);
  assert.equal(ledger.series(NO_SENSOR, '').total('refused'), 1);
  set(104, 1_040);
  await ledger.flush();
  set(106, 1_060);
  await ledger.flush();
  assert.equal(series.total('frames'), 7);
  await ledger.close();
});

test('a stream that ends without all of it has lost the rest, and balances', async () => {
  using folder = new Folder();
  const ledger = new Ledger(folder.file, LOG, () => NOON);
  const counts = new IngestCounts(ledger, () => NOON);
  const sensor = newSensorId();
  counts.opened(sensor, '3');
  ledger.add(sensor, '3', 'bytes', 100, NOON);
  ledger.add(sensor, '3', 'journaledBytes', 60, NOON);
  assert.equal(streamBalance(ledger.series(sensor, '3')).balances, true, 'it may be on its way');
  counts.ended(sensor, '3', { came: 100, committed: 60 }, 'broken-off');
  const { inFlight, lost, balances } = streamBalance(ledger.series(sensor, '3'));
  assert.deepEqual([inFlight, lost, balances], [0, 40, true]);
  ledger.add(sensor, '3', 'bytes', 1, NOON);
  assert.equal(streamBalance(ledger.series(sensor, '3')).balances, false);
  await ledger.close();
});

test('items that retention takes from a queue are counted once', async () => {
  using folder = new Folder();
  const ledger = new Ledger(folder.file, LOG, () => NOON);
  const sensor = newSensorId();
  const queue = { uuid: 'q', topic: '3', dropped: 5, flushed: 0 };
  const counts = new QueueCounts(ledger, [queue]);
  const removal = {
    store: 'queue',
    why: 'age',
    sensor,
    topic: '3',
    queue: 'q',
    files: 0,
    bytes: 0,
    records: 7,
    at: NOON,
  } as const;
  ledger.onRemoved(removal);
  counts.takeOver([{ ...queue, dropped: 15, flushed: 2 }], NOON);
  assert.equal(ledger.series(sensor, '3').total('dropped'), 7);
  assert.equal(ledger.series(NO_SENSOR, '3').total('dropped'), 3 + 2);
  ledger.onRemoved({ ...removal, store: 'archive', files: 2, bytes: 300, records: undefined });
  ledger.onRemoved({ ...removal, store: 'journal', bytes: 70 });
  const { total } = {
    total: (measure: 'removedFiles' | 'removedRecords') => ledger.series(sensor, '3').total(measure),
  };
  assert.deepEqual([total('removedFiles'), total('removedRecords')], [2, 7]);
  await ledger.close();
});

test('a damaged ledger is set aside, one of a newer version is left alone', async () => {
  using folder = new Folder();
  writeFileSync(folder.file, 'this is no database, and long enough to be seen as none'.repeat(100));
  await openLedger(folder.file, LOG).close();
  assert.ok(readdirSync(folder.path).some((name) => /^ledger\.sqlite\.damaged-\d+$/.test(name)));
  assert.ok(existsSync(folder.file));
});

/** One saving folds one hour. */
async function flushOften(ledger: Ledger, sensor: SensorId): Promise<void> {
  for (let hour = 0; hour < 40; hour++) {
    ledger.touched(ledger.series(sensor, '3'));
    await ledger.flush();
  }
}

test('what retention had noted and the ledger had not is removed, not damaged', async () => {
  using folder = new Folder();
  const ledger = new Ledger(folder.file, LOG, () => NOON);
  ledger.setOrigin('3', 20);
  const journal = {
    topics: () => ['3'],
    get: () => ({ firstSequence: 10, stats: () => ({ records: 5 }) }),
  } as unknown as Journal;
  const notes = new Map<string, string>();
  const registry = {
    loadProgress: (role: string) => notes.get(role),
    saveProgress: async (role: string, text: string) => void notes.set(role, text),
  };
  const settle = () => reconcile(ledger, new IngestCounts(ledger), { journal, registry, log: LOG });
  await noteRelease(registry, '3', { before: 10, records: 12, why: 'age' });
  await settle();
  const counted = () => {
    const series = ledger.series(ALL_SENSORS, '3');
    return [series.total('removedRecords'), series.total('damagedRecords')];
  };
  assert.deepEqual(counted(), [12, 3]);
  await settle();
  assert.deepEqual(counted(), [12, 3], 'nothing is counted twice');
  await ledger.close();
});
