import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import type { Overview, Rates, SensorHistory, Status } from '@d4ts/server';
import { launchServer, type ServerProcess } from '@d4ts/testkit';
import { eventsOf, eventWhere } from './event-reader.ts';
import { addSensor, ask, openStream, until, wire } from './monitored-server.ts';

// What the server says of itself while real sensors send to it: rates, history, overview, events, tail, metrics.

const CAPTURE_HEADER = Buffer.from('d4c3b2a1020004000000000000000000ffff000001000000', 'hex');
/** An Ethernet frame of a DNS question over UDP. */
const DNS_PACKET = Buffer.from(
  `ffffffffffff020000000001080045000020000100004011000008080808c0a80001` + `cafe0035000c0000` + `01020304`,
  'hex',
);

describe('what the server says of itself', () => {
  let server: ServerProcess;
  before(async () => {
    server = await launchServer();
  });
  after(() => server.dispose());

  it('rates, history, overview and metrics count what a sensor sends', async () => {
    const uuid = await addSensor(server);
    const pending = await addSensor(server, { approve: false });
    const { uuid: queue } = await ask<{ uuid: string }>(server, '/queues', { type: '3' });
    const target = { kind: 'tcp', host: '127.0.0.1', port: 1 };
    await ask(server, '/exporters', { name: 'away', type: '3', target, paused: true });
    const sensor = await wire(server, uuid);
    sensor.send('a line\n');
    await until(async () => (await ask<Rates>(server, '/rates')).sensors.some((each) => each.uuid === uuid), 'a rate');
    const rates = await ask<Rates>(server, '/rates?sparklines=true');
    assert.ok(rates.total.frames > 0 && rates.total.bytes > 0);
    assert.deepEqual(
      rates.topics.map(({ topic }) => topic),
      ['3'],
    );
    assert.equal(
      rates.minutes.frames.reduce((sum, frames) => sum + frames, 0),
      1,
    );
    assert.equal(
      rates.sparklines?.[uuid]?.reduce((sum, bytes) => sum + bytes, 0),
      7,
    );
    assert.deepEqual(
      rates.queues.map((each) => [each.uuid, each.length]),
      [[queue, 1]],
    );

    for (const [range, points] of [
      ['hour', 60],
      ['day', 24],
      ['month', 30],
    ] as const) {
      const history = await ask<SensorHistory>(server, `/sensors/${uuid}/history?range=${range}`);
      assert.equal(history.points, points);
      const [topic] = history.topics;
      assert.equal(topic?.bytes.length, points, range);
      assert.equal(
        topic?.bytes.reduce((sum, bytes) => sum + bytes, 0),
        7,
        range,
      );
    }

    const overview = await ask<Overview>(server, '/overview');
    assert.equal(overview.sensors.byState.receiving, 1);
    assert.equal(overview.sensors.byState.pending, 1);
    assert.deepEqual(
      overview.today.sensors.map((each) => [each.uuid, each.frames, each.bytes]),
      [[uuid, 1, 7]],
    );
    assert.deepEqual(overview.today.topics, [{ topic: '3', frames: 1, bytes: 7 }]);
    const attention = overview.attention.find(({ kind }) => kind === 'pending');
    assert.deepEqual([attention?.count, attention?.of], [1, [pending]]);
    assert.ok(overview.disk.disks.length > 0 && overview.disk.disks.every(({ bytes }) => bytes > 0));

    const metrics = await text(await openStream(server, '/metrics?sensors=1'));
    const samples = checkedMetrics(metrics);
    assert.equal(samples.get('d4_frames_received_total{type="3"}'), 1);
    assert.equal(samples.get('d4_bytes_journaled_total{type="3"}'), 7);
    assert.equal(samples.get(`d4_sensor_bytes_received_total{sensor="${uuid}",type="3"}`), 7);
    assert.equal(samples.get(`d4_queue_length{queue="${queue}",type="3"}`), 1);
    assert.equal(samples.get('d4_exporter_lag{exporter="away",type="3"}'), 1);
    assert.equal(samples.get('d4_exporter_delivered_records_total{exporter="away",type="3"}'), 0);
    assert.equal(samples.get('d4_sensors{state="pending"}'), 1);
    assert.ok((samples.get('d4_journal_commit_duration_seconds_count{type="3"}') ?? 0) > 0);
    assert.ok((samples.get('process_resident_memory_bytes') ?? 0) > 0);
    assert.equal((await openStream(server, '/metrics', { token: '' })).statusCode, 401);
    await sensor.end();
  });

  it('events tell of rates and of states that change, the same to all who watch', async () => {
    const uuid = await addSensor(server);
    const streams = await Promise.all([1, 2].map(() => openStream(server, '/api/v1/events?with=sensor-rates')));
    const [first, second] = streams.map(eventsOf);
    assert.ok(first !== undefined && second !== undefined);
    for (const events of [first, second]) {
      const hello = await eventWhere(events, () => true);
      assert.equal(hello.event, 'hello');
      await eventWhere(events, ({ event }) => event === 'rates');
    }
    const sensor = await wire(server, uuid);
    sensor.send('a line\n');
    for (const events of [first, second]) {
      const rates = await eventWhere(events, ({ event, data }) => event === 'rates' && Number(data.frames) > 0);
      assert.ok(Number(rates.data.bytes) > 0);
      await eventWhere(events, ({ event, data }) => event === 'sensor-rates' && hasKey(data.sensors, uuid));
    }
    await sensor.end();
    const stranger = await wire(server, uuid);
    stranger.send('who?', { key: 'another key' });
    const refusals = await eventWhere(first, ({ event }) => event === 'refusals');
    assert.deepEqual(refusals.data, { 'hmac-wrong': 1 });
    streams[0]?.destroy();
    assert.ok(refusals.id !== undefined);

    // Who comes back gets what came meanwhile, and who was away for too long is told so.
    await ask(server, `/sensors/${uuid}/revoke`, {});
    await eventWhere(
      second,
      ({ event, data }) => event === 'states' && JSON.stringify(data.changes).includes('revoked'),
    );
    const back = eventsOf(await openStream(server, '/api/v1/events', { headers: { 'last-event-id': refusals.id } }));
    assert.equal((await eventWhere(back, () => true)).event, 'hello');
    const missed = await eventWhere(back, ({ event }) => event === 'states');
    assert.match(JSON.stringify(missed.data.changes), /revoked/);
    const lost = eventsOf(await openStream(server, '/api/v1/events', { headers: { 'last-event-id': 'another-1' } }));
    assert.equal((await eventWhere(lost, ({ event }) => event !== 'hello')).event, 'missed');
    for (const events of [second, back, lost]) await events.return(undefined);
    streams[1]?.destroy();
  });

  it('a tail shows lines, JSON and packets as they come, filtered, and says what it skips', async () => {
    const uuid = await addSensor(server);
    const [lines, capture] = [await wire(server, uuid), await wire(server, uuid, 1)];
    const packet = (bytes: Buffer): Buffer => {
      const header = Buffer.alloc(16);
      header.writeUInt32LE(1_790_000_000, 0);
      header.writeUInt32LE(250_000, 4);
      header.writeUInt32LE(bytes.length, 8);
      header.writeUInt32LE(bytes.length, 12);
      return Buffer.concat([header, bytes]);
    };
    // A tail begins behind what is committed.
    const committed = async (): Promise<number> => {
      const { topics } = await ask<Status>(server, '/status');
      return topics
        .filter(({ topic }) => topic === '3' || topic === '1')
        .reduce((sum, { records }) => sum + records, 0);
    };
    const before = await committed();
    lines.send('before\n');
    capture.send(Buffer.concat([CAPTURE_HEADER, packet(DNS_PACKET)]));
    await until(async () => (await committed()) === before + 2, 'both are committed');

    const stream = await openStream(server, `/api/v1/sensors/${uuid}/tail`);
    const events = eventsOf(stream);
    assert.equal((await eventWhere(events, () => true)).event, 'begin');
    lines.send('<script>alert(1)</script>\n');
    const line = await eventWhere(
      events,
      ({ event, data }) => event === 'record' && data.at !== undefined && data.topic === '3',
    );
    assert.deepEqual([line.data.kind, line.data.text, line.data.topic], ['text', '<script>alert(1)</script>', '3']);
    lines.send('{"a": [1]}\n');
    assert.equal((await eventWhere(events, ({ event }) => event === 'record')).data.kind, 'json');
    lines.send(Buffer.from([0xff, 0xfe, 0x00, 0x0a]));
    assert.deepEqual((await eventWhere(events, ({ event }) => event === 'record')).data.text, 'fffe00');
    capture.send(packet(DNS_PACKET));
    const { data } = await eventWhere(events, ({ event }) => event === 'record');
    assert.equal(data.text, '8.8.8.8:51966 > 192.168.0.1:53 UDP DNS 4 B (46 B)');
    assert.deepEqual([data.kind, data.capturedAt], ['packet', 1_790_000_000_250]);

    const filtered = await openStream(server, `/api/v1/sensors/${uuid}/tail?topic=3&filter=NEEDLE`);
    const found = eventsOf(filtered);
    await eventWhere(found, () => true);
    lines.send('hay\nhay\na needle\nhay\n');
    assert.equal((await eventWhere(found, ({ event }) => event === 'record')).data.text, 'a needle');
    lines.send(Array.from({ length: 200 }, (_, number) => `needle ${number}\n`).join(''));
    const skipped = await eventWhere(found, ({ event }) => event === 'skipped');
    assert.ok(Number(skipped.data.count) > 0);
    assert.equal((await openStream(server, `/api/v1/sensors/${'0'.repeat(8)}/tail`)).statusCode, 400);
    stream.destroy();
    filtered.destroy();
    await Promise.all([lines.end(), capture.end()]);
  });

  it('streams end when the server stops', async () => {
    await using other = await launchServer();
    const stream = await openStream(other, '/api/v1/events');
    // Where the server's time to stop is over before, the stream is cut off, which is an end too.
    const ended = (async () => {
      for await (const _ of eventsOf(stream));
    })().catch(() => {});
    await other.stop();
    await ended;
  });
});

function hasKey(value: unknown, key: string): boolean {
  return typeof value === 'object' && value !== null && key in value;
}

/** As `promtool check metrics`: every sample has a HELP and TYPE before it, names and labels are well formed. */
function checkedMetrics(exposition: string): Map<string, number> {
  const types = new Map<string, string>();
  const helped = new Set<string>();
  const samples = new Map<string, number>();
  for (const line of exposition.split('\n').filter((each) => each !== '')) {
    const [, keyword, name = '', rest = ''] = /^# (HELP|TYPE) ([a-z_0-9]+) (.+)$/.exec(line) ?? [];
    if (keyword === 'HELP') {
      assert.ok(!helped.has(name), `${name} is helped twice`);
      helped.add(name);
    } else if (keyword === 'TYPE') {
      assert.match(rest, /^(counter|gauge|histogram|summary)$/);
      if (name.startsWith('d4_')) assert.equal(rest === 'counter', name.endsWith('_total'), line);
      types.set(name, rest);
    } else {
      const [, sample = '', of = '', labels = '', value = ''] =
        /^(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})?) (\S+)$/.exec(line) ?? assert.fail(line);
      if (labels !== undefined) assert.match(labels, /^(\{([a-z_]+="([^"\\\n]|\\.)*",?)+\})?$/);
      const base = types.has(of) ? of : of.replace(/_(bucket|sum|count)$/, '');
      assert.ok(types.has(base) && helped.has(base), `${of} has no TYPE or HELP`);
      assert.ok(!samples.has(sample), `${sample} stands twice`);
      assert.ok(!Number.isNaN(Number(value.replace('+Inf', 'Infinity'))) || value === 'Nan', line);
      samples.set(sample, Number(value));
    }
  }
  return samples;
}
