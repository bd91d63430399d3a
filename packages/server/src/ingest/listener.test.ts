import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { D4Error, HEADER_BYTES, newSensorId } from '@d4ts/protocol';
import type { Format } from '../formats/port.ts';
import { formatFor } from '../formats/registry.ts';
import { ENTRY_FLAG, ENTRY_KIND } from '../journal/port.ts';
import { type IngestFixture, peerClosed, startIngestFixture, until } from './ingest-fixture.ts';

const NOW = 1_800_000_000;

test('what a sensor sends before it ends its side is in the journal when the server closes', async () => {
  await using server = await startIngestFixture();
  const sensor = await server.addSensor();
  const encoder = server.encoder(sensor);
  const socket = await server.connect();
  socket.write(encoder.encode(3, Buffer.from('one\ntwo\nthr'), NOW));
  socket.end(encoder.encode(3, Buffer.alloc(0), NOW));
  assert.equal(await peerClosed(socket), 'end');
  const entries = await server.entries('3');
  assert.equal(await server.text('3'), 'one\ntwo\nthr');
  assert.deepEqual(
    entries.map(({ kind, flags, records }) => [kind, flags, records]),
    [
      [ENTRY_KIND.data, 0, 2],
      [ENTRY_KIND.data, ENTRY_FLAG.partial, 1],
      [ENTRY_KIND.close, 0, 0],
    ],
  );
  const activity = server.registry.activity.sensor(sensor);
  const { frames, bytes, records, sessions } = activity.topics['3'] ?? assert.fail();
  assert.deepEqual({ frames, bytes, records, sessions }, { frames: 2, bytes: 11, records: 3, sessions: 1 });
});

test('the first line after a session that broke off is flagged', async () => {
  await using server = await startIngestFixture();
  const encoder = server.encoder(await server.addSensor());
  for (const text of ['one\ntw', 'o\n', 'three\n']) {
    const socket = await server.connect();
    socket.end(encoder.encode(3, Buffer.from(text), NOW));
    await peerClosed(socket);
  }
  const data = (await server.entries('3')).filter(({ kind }) => kind === ENTRY_KIND.data);
  assert.deepEqual(
    data.map(({ bytes, flags }) => [bytes.toString(), flags]),
    [
      ['one\n', 0],
      ['tw', ENTRY_FLAG.partial],
      ['o\n', ENTRY_FLAG.continued],
      ['three\n', 0],
    ],
  );
  assert.equal(new Set(data.map(({ stream }) => stream.id)).size, 3);
});

test('a declared stream carries its meta header', async () => {
  await using server = await startIngestFixture();
  const encoder = server.encoder(await server.addSensor());
  const socket = await server.connect();
  socket.write(encoder.encode(2, Buffer.alloc(0), NOW));
  socket.write(encoder.encode(2, Buffer.from('{"type":"mal'), NOW));
  socket.write(encoder.encode(2, Buffer.from('trail"}\n'), NOW));
  socket.write(encoder.encode(2, Buffer.from('\n'), NOW));
  socket.write(encoder.encode(254, Buffer.from('event\n'), NOW));
  socket.end();
  await peerClosed(socket);
  const [entry] = (await server.entries('maltrail')).filter(({ kind }) => kind === ENTRY_KIND.data);
  assert.equal(entry?.bytes.toString(), 'event\n');
  assert.equal(entry.stream.type, 254);
  assert.equal(entry.stream.metaHeader, '{"type":"maltrail"}');
});

test('a client that resets its connection within a frame loses that frame alone', async () => {
  await using server = await startIngestFixture();
  const encoder = server.encoder(await server.addSensor());
  const tcp = connectTcp(server.ingest.address.port, '127.0.0.1');
  const socket = await server.connect({ socket: Duplex.from(tcp) });
  socket.on('error', () => undefined);
  socket.write(encoder.encode(3, Buffer.from('one\n'), NOW));
  await until(async () => (await server.text('3')) === 'one\n');
  socket.write(encoder.encode(3, Buffer.from('two\n'), NOW).subarray(0, HEADER_BYTES + 2));
  tcp.resetAndDestroy();
  await until(() => server.ingest.connections === 0);
  await until(async () => (await server.entries('3')).at(-1)?.kind === ENTRY_KIND.close);
  assert.equal(await server.text('3'), 'one\n');
});

test('handshakes that fail and foreign protocols are refused with a reason', async () => {
  await using server = await startIngestFixture({ limits: { handshakeTimeoutMs: 100 } });
  await assert.rejects(server.connect({ ALPNProtocols: ['h2', 'http/1.1'] }));
  for (const bytes of ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', Buffer.alloc(500, 0xab), '']) {
    const socket = connectTcp(server.ingest.address.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.resume();
    if (bytes.length > 0) socket.write(bytes);
    await once(socket, 'close');
  }
  const totals = server.registry.activity.refusalTotals();
  assert.equal(totals['foreign-alpn'], 1);
  assert.equal(totals['failed-handshake'], 3);
});

test('half headers and payloads that do not come are refused in time, silence is not', async () => {
  await using server = await startIngestFixture({ limits: { headerTimeoutMs: 80, payloadTimeoutMs: 80 } });
  const sensor = await server.addSensor();
  const frame = server.encoder(sensor).encode(3, Buffer.from('one\n'), NOW);
  const silent = await server.connect();
  const idle = await server.connect();
  idle.write(frame);
  const half = await server.connect();
  half.write(frame.subarray(0, 20));
  const unsent = await server.connect();
  unsent.write(frame.subarray(0, HEADER_BYTES));
  await Promise.all([peerClosed(half), peerClosed(unsent)]);
  assert.deepEqual(server.registry.activity.refusalTotals(), { 'header-timeout': 1, 'payload-timeout': 1 });
  const claims = server.registry.activity.claimedRefusals();
  assert.equal(claims.find(({ code }) => code === 'payload-timeout')?.claimed, sensor);
  assert.equal(claims.find(({ code }) => code === 'header-timeout')?.claimed, undefined);
  await until(() => server.ingest.connections === 2);
  assert.ok(!silent.destroyed && !idle.destroyed);
  silent.destroy();
  idle.destroy();
});

test('changes in the registry close the sessions that they concern, with the reason', async () => {
  await using server = await startIngestFixture();
  const actor = { name: 'test' };
  const run = async (code: string, change: (sensor: ReturnType<typeof newSensorId>) => Promise<unknown>) => {
    const sensor = await server.addSensor();
    const socket = await server.connect();
    socket.write(server.encoder(sensor).encode(3, Buffer.from('line\n'), NOW));
    await until(() => server.ingest.sessions().some((session) => session.sensor === sensor));
    await change(sensor);
    assert.equal(await peerClosed(socket), 'end');
    assert.ok(
      server.logged.some((line) => line.code === code && line.sensor === sensor),
      code,
    );
  };
  const { registry } = server;
  await run('revoked', (uuid) => server.addSensor({ uuid, state: 'revoked' }));
  await run('pending', (uuid) => server.addSensor({ uuid, state: 'pending' }));
  await run('not-registered', (uuid) => registry.sensors.remove(uuid, actor));
  await run('blocked-uuid', (uuid) =>
    registry.blocks.put(uuid, { target: uuid, kind: 'sensor', reason: '', createdAt: 0 }, actor),
  );
  await run('type-not-accepted', () => registry.types.remove('3', actor));
  await registry.types.put('3', { name: '3', createdAt: 0 }, actor);
  const network = '127.0.0.0/8';
  await run('blocked-address', () =>
    registry.blocks.put(network, { target: network, kind: 'network', reason: '', createdAt: 0 }, actor),
  );
  const refused = connectTcp(server.ingest.address.port, '127.0.0.1');
  refused.on('error', () => undefined);
  await once(refused, 'close');
  assert.equal(registry.activity.refusalTotals()['blocked-address'], 2);
});

test('after a key is replaced the next frame is checked with the new one', async () => {
  await using server = await startIngestFixture();
  const sensor = await server.addSensor();
  const socket = await server.connect();
  socket.write(server.encoder(sensor).encode(3, Buffer.from('old\n'), NOW));
  await until(async () => (await server.text('3')) === 'old\n');
  await server.addSensor({ uuid: sensor, key: 'another' });
  socket.write(server.encoder(sensor, 'another').encode(3, Buffer.from('new\n'), NOW));
  await until(async () => (await server.text('3')) === 'old\nnew\n');
  socket.write(server.encoder(sensor).encode(3, Buffer.from('old again\n'), NOW));
  assert.equal(await peerClosed(socket), 'end');
  assert.equal(server.registry.activity.refusalTotals()['hmac-wrong'], 1);
});

test('over four sessions side by side the least recent closes, be it the newcomer', async () => {
  await using server = await startIngestFixture();
  const sensor = await server.addSensor();
  const encoder = server.encoder(sensor);
  const open = async (timestamp: number) => {
    const socket = await server.connect();
    socket.write(encoder.encode(3, Buffer.from(`${timestamp}\n`), timestamp));
    await until(async () => (await server.text('3')).includes(`${timestamp}\n`) || socket.readableEnded);
    return socket;
  };
  const sockets = [await open(NOW + 1), await open(NOW + 2), await open(NOW + 3), await open(NOW + 4)];
  const replayed = await server.connect();
  replayed.write(encoder.encode(3, Buffer.from('captured\n'), NOW));
  assert.equal(await peerClosed(replayed), 'end');
  const fresh = await open(NOW + 5);
  assert.equal(await peerClosed(sockets[0] ?? assert.fail()), 'end');
  assert.equal(server.ingest.sessions().length, 4);
  assert.equal(server.registry.activity.sensor(sensor).refusals['too-many-sessions']?.count, 2);
  assert.equal(await server.text('3'), [1, 2, 3, 4, 5].map((more) => `${NOW + more}\n`).join(''));
  assert.deepEqual(server.ingest.suspectedClones(), []);
  sockets[1]?.write(encoder.encode(3, Buffer.from('again\n'), NOW + 6));
  await until(() => server.ingest.suspectedClones().length === 1);
  assert.equal(server.ingest.kick(sensor), 4);
  assert.equal(await peerClosed(fresh), 'end');
});

test('a good sensor does not notice 200 bad connections', async () => {
  await using server = await startIngestFixture({ limits: { headerTimeoutMs: 300, payloadTimeoutMs: 300 } });
  const sensor = await server.addSensor();
  const other = await server.addSensor();
  const encoder = server.encoder(sensor);
  const good = await server.connect();
  let sent = '';
  const send = (line: string) => {
    good.write(encoder.encode(3, Buffer.from(line), NOW));
    sent += line;
  };
  const bad = Array.from({ length: 200 }, async (_, i) => {
    const kind = i % 5;
    if (kind < 2) {
      const socket = connectTcp(server.ingest.address.port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.resume();
      socket.write(kind === 0 ? 'GET / HTTP/1.0\r\n\r\n' : Buffer.alloc(300, i));
      await once(socket, 'close');
    } else {
      const socket = await server.connect();
      const frame = server.encoder(other, kind === 2 ? 'wrong' : undefined).encode(3, Buffer.alloc(1000), NOW);
      socket.write(kind === 2 ? frame : frame.subarray(0, kind === 3 ? 30 : 500));
      await peerClosed(socket);
    }
    send(`line ${i}\n`);
  });
  await Promise.all(bad);
  good.end();
  assert.equal(await peerClosed(good), 'end');
  assert.equal(await server.text('3'), sent);
  assert.deepEqual(server.registry.activity.refusalTotals(), {
    'failed-handshake': 80,
    'hmac-wrong': 40,
    'header-timeout': 40,
    'payload-timeout': 40,
  });
  assert.deepEqual(server.registry.activity.sensor(other).refusals, {});
});

test('unproved connections over the bound of an address make room, proved ones stay', async () => {
  await using server = await startIngestFixture({ limits: { unprovedPerAddress: 2 } });
  const sensor = await server.addSensor();
  const proved = await server.connect();
  proved.write(server.encoder(sensor).encode(3, Buffer.from('line\n'), NOW));
  await until(() => server.ingest.sessions().length === 1);
  const arrive = async () => {
    const before = server.ingest.connections;
    const socket = await server.connect();
    await until(() => server.ingest.connections > before);
    return socket;
  };
  const idle = await arrive();
  const later = await arrive();
  const last = await server.connect();
  await peerClosed(idle);
  assert.equal(server.registry.activity.refusalTotals()['too-many-connections'], 1);
  await until(() => server.ingest.connections === 3);
  for (const socket of [proved, later, last]) socket.destroy();
});

test('connections whose meta header never ends are bounded as sessions are', async () => {
  await using server = await startIngestFixture({ limits: { sessionsSideBySide: 2 } });
  const sensor = await server.addSensor();
  const encoder = server.encoder(sensor);
  const open = async (timestamp: number) => {
    const connected = () => server.logged.filter(({ msg }) => msg === 'a sensor is connected').length;
    const before = connected();
    const socket = await server.connect();
    socket.write(encoder.encode(2, Buffer.from('{"type":"mal'), timestamp));
    await until(() => connected() > before);
    return socket;
  };
  const oldest = await open(NOW);
  const older = await open(NOW + 1);
  const newest = await open(NOW + 2);
  assert.equal(await peerClosed(oldest), 'end');
  assert.equal(server.registry.activity.sensor(sensor).refusals['too-many-sessions']?.count, 1);
  newest.write(encoder.encode(2, Buffer.from('trail"}'), NOW + 3));
  newest.write(encoder.encode(254, Buffer.from('event\n'), NOW + 3));
  await until(async () => (await server.text('maltrail')) === 'event\n');
  const another = await open(NOW + 4);
  await until(() => server.ingest.connections === 3);
  assert.equal(server.ingest.kick(sensor), 3);
  await Promise.all([older, newest, another].map((socket) => peerClosed(socket)));
});

test('a defect that a sensor provokes costs it the connection, and nobody else', async () => {
  const defect = () => {
    throw new RangeError('a defect of the format');
  };
  const formats = (topic: string): Format => {
    const format = formatFor(topic);
    if (topic !== '8') return format;
    return { ...format, newCutter: () => ({ pendingBytes: 0, preamble: Buffer.alloc(0), push: defect, end: defect }) };
  };
  await using server = await startIngestFixture({ formats });
  const encoder = server.encoder(await server.addSensor());
  const good = await server.connect();
  good.write(encoder.encode(3, Buffer.from('one\n'), NOW));
  const bad = await server.connect();
  bad.write(encoder.encode(8, Buffer.from('x\n'), NOW));
  assert.equal(await peerClosed(bad), 'end');
  await until(() => server.ingest.connections === 1);
  assert.ok(server.logged.some(({ level, err }) => level === 50 && JSON.stringify(err).includes('a defect of')));
  good.end(encoder.encode(3, Buffer.from('two\n'), NOW));
  assert.equal(await peerClosed(good), 'end');
  assert.equal(await server.text('3'), 'one\ntwo\n');
});

test('refusals of one address do not fill the log', async () => {
  await using server = await startIngestFixture();
  const sensor = await server.addSensor();
  const wrong = server.encoder(sensor, 'wrong').encode(3, Buffer.from('line\n'), NOW);
  for (let i = 0; i < 60; i++) {
    const socket = await server.connect();
    socket.write(wrong);
    await peerClosed(socket);
  }
  assert.equal(server.registry.activity.refusalTotals()['hmac-wrong'], 60);
  assert.equal(server.logged.filter(({ code }) => code === 'hmac-wrong').length, 50);
  await server.ingest.close();
  assert.deepEqual(server.logged.find(({ lines }) => lines === 10)?.most, { '127.0.0.1 hmac-wrong': 10 });
});

test('an address that only fails is closed before the handshake, one with a proved sensor is not', async () => {
  const limits = { failuresPerAddress: 3, failuresPerSecond: 0 };
  await using server = await startIngestFixture({ limits });
  const fail = async (at: IngestFixture) => {
    const socket = await at.connect();
    socket.write(Buffer.alloc(HEADER_BYTES));
    assert.equal(await peerClosed(socket), 'end');
  };
  for (let i = 0; i < 3; i++) await fail(server);
  await assert.rejects(server.connect());
  assert.equal(server.registry.activity.refusalTotals()['too-many-failures'], 1);

  await using known = await startIngestFixture({ limits });
  const proved = await known.connect();
  proved.write(known.encoder(await known.addSensor()).encode(3, Buffer.from('line\n'), NOW));
  await until(() => known.ingest.sessions().length === 1);
  for (let i = 0; i < 6; i++) await fail(known);
  assert.equal(known.registry.activity.refusalTotals()['uuid-not-v4'], 6);
  proved.destroy();
});

test('in shared-secret mode sensors register themselves, up to a bound', async () => {
  const limits = { enrolledPerHour: 2 };
  await using server = await startIngestFixture({ mode: 'shared-secret', defaultKey: 'shared', limits });
  const own = await server.addSensor();
  const send = async (uuid: ReturnType<typeof newSensorId>, key: string) => {
    const socket = await server.connect();
    socket.end(server.encoder(uuid, key).encode(3, Buffer.from('line\n'), NOW));
    await peerClosed(socket);
  };
  const fresh = [newSensorId(), newSensorId(), newSensorId()] as const;
  for (const uuid of fresh) await send(uuid, 'shared');
  await send(fresh[0], 'shared');
  await send(own, 'shared');
  await send(newSensorId(), 'guessed');
  assert.equal(await server.text('3'), 'line\n'.repeat(3));
  const { sensors, activity } = server.registry;
  assert.deepEqual(
    fresh.map((uuid) => sensors.get(uuid)?.value.unproven),
    [true, true, undefined],
  );
  assert.equal(sensors.get(fresh[0])?.value.state, 'approved');
  assert.deepEqual(activity.refusalTotals(), { 'too-many-sensors': 1, 'hmac-wrong': 2 });
});

test('a slow disk stops the reading of the socket, and nothing is lost', async () => {
  const disk = Promise.withResolvers<void>();
  await using server = await startIngestFixture({ disk: () => disk.promise });
  const encoder = server.encoder(await server.addSensor());
  const socket = await server.connect();
  const frame = encoder.encode(3, Buffer.from(`${'x'.repeat(99_999)}\n`), NOW);
  for (let i = 0; i < 300; i++) socket.write(frame);
  socket.end();
  const closed = peerClosed(socket);
  await until(() => server.ingest.backPressure().paused === 1);
  const { bytes = 0 } = server.ingest.sessions()[0] ?? {};
  assert.ok(bytes > 1_000_000 && bytes < 2_000_000, `${bytes} bytes were read`);
  disk.resolve();
  assert.equal(await closed, 'end');
  assert.equal((await server.text('3')).length, 300 * 100_000);
  assert.equal(server.ingest.backPressure().paused, 0);
  assert.ok(server.ingest.backPressure().pauses >= 1);
});

test('while the journal cannot be written, no sensor is read, loudly', async () => {
  let broken = true;
  const failure = new D4Error('D4_JOURNAL_FAILED', 'the disk is full');
  await using server = await startIngestFixture({ disk: async () => void (broken && assert.fail(failure)) });
  const encoder = server.encoder(await server.addSensor());
  const socket = await server.connect();
  const other = await server.connect();
  socket.end(encoder.encode(3, Buffer.from('one\n'), NOW));
  await until(() => server.ingest.backPressure().paused === 1);
  assert.ok(server.logged.some(({ level, err }) => level === 50 && JSON.stringify(err).includes('the disk is full')));
  broken = false;
  assert.equal(await peerClosed(socket), 'end');
  assert.equal(await server.text('3'), 'one\n');
  assert.equal(server.ingest.backPressure().paused, 0);
  other.destroy();
});

test('stopping keeps everything that had arrived', async () => {
  await using server = await startIngestFixture();
  const encoder = server.encoder(await server.addSensor());
  const socket = await server.connect();
  const line = Buffer.from(`${'x'.repeat(4095)}\n`);
  socket.write(encoder.encode(3, line, NOW));
  await until(() => server.ingest.sessions().length === 1);
  for (let i = 0; i < 500; i++) socket.write(encoder.encode(3, line, NOW));
  const closed = peerClosed(socket);
  await until(() => socket.writableLength === 0);
  await server.ingest.close();
  assert.equal((await server.text('3')).length, 501 * line.length);
  assert.equal((await server.entries('3')).at(-1)?.kind, ENTRY_KIND.close);
  assert.equal(await closed, 'end');
  await assert.rejects(server.connect());
});
