import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { newSensorId, type SensorId } from '@d4ts/protocol';
import { pino } from 'pino';
import { SEVERITIES } from '../formats/maltrail-event.ts';
import { formatFor } from '../formats/registry.ts';
import { QueueHome } from '../queues/queue-home-fixture.ts';
import { Maltrail, type ThreatFilter } from './maltrail.ts';
import { ThreatStore } from './threat-store.ts';

const LINES = readFileSync(new URL('../../../../test/data/maltrail/events.txt', import.meta.url), 'utf8')
  .split('\n')
  .slice(0, -1);
const log = pino({ level: 'silent' });
const DAY_MS = 86_400_000;
const LIST = { order: 'last', descending: true, limit: 1_000 } as const;

/** An event line. */
function line(source: string, trail: string, info = 'malware (test)', second = 0): string {
  const time = `2026-11-22 04:26:${String(second).padStart(2, '0')}.000000`;
  return `"${time}" probe ${source} 1 8.8.8.8 53 UDP DNS ${trail} "${info}" (static)`;
}

/** A home, and what opens the findings over it; all is closed after the test. */
async function homeFor(t: TestContext, bounds?: ConstructorParameters<typeof ThreatStore>[1]) {
  const home = await QueueHome.make(64 * 1024);
  const clock = { now: Date.now() };
  let opened: { maltrail: Maltrail; store: ThreatStore } | undefined;
  const close = async () => {
    await opened?.maltrail.close();
    opened?.store.close();
    opened = undefined;
  };
  const open = (): Maltrail => {
    const store = new ThreatStore(join(home.root, 'maltrail.sqlite'), bounds);
    const maltrail = new Maltrail({ store, journal: home.journal, formats: formatFor, log, now: () => clock.now });
    opened = { maltrail, store };
    return maltrail;
  };
  t.after(async () => {
    await close();
    await home[Symbol.asyncDispose]();
  });
  return { home, open, close, clock };
}

async function trailsOf(
  maltrail: Maltrail,
  filter: ThreatFilter,
  options: Partial<Parameters<Maltrail['threats']>[1]> = {},
) {
  const { threats } = await maltrail.threats(filter, { ...LIST, ...options });
  return threats.map(({ source, trail, events }) => `${source} ${trail} ${events}`);
}

test('events are added up by source and trail, each once, also over restarts; what is no event is counted', async (t) => {
  const { home, open, close } = await homeFor(t);
  const [one, two] = [newSensorId(), newSensorId()];
  await home.append(one, [...LINES, '[i] starting', ''], 'maltrail');
  let maltrail = open();
  await maltrail.caughtUp();
  const expected = new Map<string, number>();
  const count = () => {
    for (const text of LINES) {
      const [, key = ''] = /^".*?" \S+ (\S+) /.exec(text) ?? [];
      expected.set(key, (expected.get(key) ?? 0) + 1);
    }
  };
  count();
  for (let round = 0; round < 3; round++) {
    await home.append(two, LINES, 'maltrail');
    count();
    if (round === 1) await maltrail.caughtUp();
    await close();
    await home.restart();
    maltrail = open();
  }
  await maltrail.caughtUp();
  const { threats } = await maltrail.threats({}, LIST);
  const bySource = new Map<string, number>();
  for (const { source, events } of threats) bySource.set(source, (bySource.get(source) ?? 0) + events);
  assert.deepEqual(new Map([...bySource].sort()), new Map([...expected].sort()));
  const { events, others, missed, threats: kept } = maltrail.counts;
  assert.deepEqual([events, others, missed, kept], [4 * 54, 1, 0, threats.length]);
  for (const { sightings, events } of threats) {
    assert.equal(
      sightings.reduce((sum, { events }) => sum + events, 0),
      events,
    );
    assert.deepEqual(new Set(sightings.map(({ sensor }) => sensor)), new Set([one, two]));
  }
  const summary = maltrail.summary(Date.now() - DAY_MS, Date.now());
  assert.equal(summary.events, 4 * 54);
  assert.deepEqual(summary.bySensor, [
    { sensor: two, events: 3 * 54 },
    { sensor: one, events: 54 },
  ]);
  assert.equal(
    summary.byDay.reduce((sum, { high, medium, low }) => sum + high + medium + low, 0),
    4 * 54,
  );
});

test('where nothing has come, nothing is found', async (t) => {
  const { home, open } = await homeFor(t);
  const maltrail = open();
  await maltrail.caughtUp();
  await home.journal.open('maltrail');
  await maltrail.caughtUp();
  assert.deepEqual(await trailsOf(maltrail, {}), []);
  assert.deepEqual((await maltrail.events({ from: 0, to: Date.now() }, 10)).events, []);
});

test('threats are filtered, sorted and given page by page', async (t) => {
  const { home, open } = await homeFor(t);
  const [one, two] = [newSensorId(), newSensorId()];
  const maltrail = open();
  const lines: [SensorId, string[]][] = [
    [
      one,
      [line('10.0.0.1', 'a.example', 'mass scanner', 5), line('10.0.0.1', 'b.example', 'parked site (suspicious)')],
    ],
    [two, [line('10.0.0.2', 'a.example'), line('10.0.0.1', 'a.example', 'malware (test)', 1)]],
  ];
  for (const [sensor, texts] of lines) {
    await home.append(sensor, texts, 'maltrail');
    const appended = Date.now();
    while (Date.now() === appended) await turn();
  }
  await maltrail.caughtUp();
  const [a1, b1, a2] = ['10.0.0.1 a.example 2', '10.0.0.1 b.example 1', '10.0.0.2 a.example 1'];
  assert.deepEqual((await trailsOf(maltrail, {})).sort(), [a1, b1, a2]);
  assert.equal((await trailsOf(maltrail, {}, { order: 'events' }))[0], a1);
  assert.equal((await trailsOf(maltrail, {}, { order: 'severity', descending: false }))[0], b1);
  assert.deepEqual((await trailsOf(maltrail, { source: '10.0.0.1' })).sort(), [a1, b1]);
  assert.deepEqual((await trailsOf(maltrail, { trail: 'a.example' })).sort(), [a1, a2]);
  assert.deepEqual((await trailsOf(maltrail, { sensor: two })).sort(), [a1, a2]);
  assert.deepEqual(await trailsOf(maltrail, { severities: [SEVERITIES.indexOf('medium')] }), [b1]);
  assert.deepEqual(await trailsOf(maltrail, { text: 'SUSPIC' }), [b1]);
  assert.deepEqual(await trailsOf(maltrail, { from: Date.now() + 1_000 }), []);

  const { threats } = await maltrail.threats({ trail: 'a.example', source: '10.0.0.1' }, LIST);
  const [threat] = threats;
  // The worst of its events says what it is; times are of the arrival, and as the sensors wrote them.
  assert.equal(threat?.info, 'malware (test)');
  assert.deepEqual(
    [threat?.firstStamp, threat?.lastStamp],
    ['2026-11-22 04:26:01.000000', '2026-11-22 04:26:05.000000'],
  );
  assert.ok(threat !== undefined && threat.first < threat.last);

  const seen: string[] = [];
  for (let after: Parameters<Maltrail['threats']>[1]['after']; ; ) {
    const page = await maltrail.threats({}, { ...LIST, limit: 1, ...(after && { after }) });
    seen.push(...page.threats.map(({ source, trail }) => `${source} ${trail}`));
    if (page.next === undefined) break;
    after = page.next;
  }
  assert.equal(new Set(seen).size, 3);
  assert.equal(seen.length, 3);
});

test('events are found in the journal as they came, page by page', async (t) => {
  const { home, open } = await homeFor(t);
  const [one, two] = [newSensorId(), newSensorId()];
  const maltrail = open();
  for (let i = 0; i < 4; i++) await home.append(i % 2 === 0 ? one : two, ['[i] x', ...LINES], 'maltrail');
  const all = { from: 0, to: Date.now() + 1_000 };
  const found: string[] = [];
  for (let after: Parameters<Maltrail['events']>[2]; ; ) {
    const page = await maltrail.events(all, 50, after);
    found.push(...page.events.map(({ line }) => line));
    if (page.next === undefined) break;
    after = page.next;
  }
  assert.deepEqual(found, [...LINES, ...LINES, ...LINES, ...LINES]);
  assert.equal((await maltrail.events({ ...all, sensor: two }, 1_000)).events.length, 108);
  assert.equal((await maltrail.events({ ...all, from: all.to }, 1_000)).events.length, 0);
  assert.equal((await maltrail.events({ ...all, to: 1 }, 1_000)).events.length, 0);
  const text = LINES.filter((each) => each.toLowerCase().includes('sinkhole')).length;
  assert.equal((await maltrail.events({ ...all, text: 'SinkHole' }, 1_000)).events.length, 4 * text);
  const { heldFrom } = await maltrail.events(all, 1);
  assert.ok(heldFrom !== undefined && heldFrom <= Date.now());
});

test('what is too old or too much is forgotten, and counted', async (t) => {
  const { home, open, clock } = await homeFor(t, { threats: 10, ms: 10 * DAY_MS });
  const sensor = newSensorId();
  const maltrail = open();
  for (let i = 0; i < 25; i++) {
    await home.append(sensor, [line('10.0.0.1', `t${i}.example`)], 'maltrail');
    await maltrail.caughtUp();
  }
  assert.deepEqual([maltrail.counts.threats, maltrail.counts.tooMany, maltrail.counts.events], [10, 15, 25]);
  const left = (await trailsOf(maltrail, {})).map((text) => text.split(' ')[1]).sort();
  assert.deepEqual(
    left,
    Array.from({ length: 10 }, (_, i) => `t${i + 15}.example`),
  );
  clock.now += 11 * DAY_MS;
  await home.append(sensor, ['[i] x'], 'maltrail');
  await maltrail.caughtUp();
  assert.deepEqual([maltrail.counts.threats, maltrail.counts.tooOld], [0, 10]);
  assert.equal(maltrail.summary(0, Date.now()).events, 0);
});

test('what an erased sensor has found is taken out; what others have found too stays, with their events', async (t) => {
  const { home, open } = await homeFor(t);
  const [one, two] = [newSensorId(), newSensorId()];
  await home.append(one, [line('10.0.0.1', 'shared'), line('10.0.0.1', 'shared'), line('10.0.0.1', 'own')], 'maltrail');
  await home.append(two, [line('10.0.0.1', 'shared'), line('10.0.0.2', 'other')], 'maltrail');
  const maltrail = open();
  await maltrail.caughtUp();
  for (let again = 0; again < 2; again++) {
    await maltrail.forget(one);
    assert.deepEqual((await trailsOf(maltrail, {})).toSorted(), ['10.0.0.1 shared 1', '10.0.0.2 other 1']);
    assert.deepEqual(await trailsOf(maltrail, { sensor: one }), []);
    assert.equal(maltrail.counts.threats, 2);
  }
  const { bySensor } = maltrail.summary(Date.now() - DAY_MS, Date.now() + DAY_MS);
  assert.deepEqual(bySensor, [{ sensor: two, events: 2 }]);
});
