import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { newSensorId, type SensorId } from '@d4ts/protocol';
import { launchServer, makeTestCertificates, runD4, startD4, startRecorder } from '@d4ts/testkit';

// A Maltrail sensor's lines on their whole way, every program on it a process of its own.

const KEY = 'a key of its own';
const META_HEADER = '{"type":"maltrail","encoding":"utf-8"}\n';
const EVENTS = readFileSync(new URL('./data/maltrail/events.txt', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'd4-maltrail-'));
after(() => rmSync(root, { recursive: true }));

/** The configuration directory of a Maltrail sensor. */
function sensorDirectory(files: { uuid: SensorId; destination: string; 'rootCA.crt': string }): string {
  const directory = mkdtempSync(join(root, 'sensor-'));
  const all = { key: KEY, type: '254', source: 'stdin', snaplen: '4096', 'metaheader.json': META_HEADER, ...files };
  for (const [name, content] of Object.entries(all)) writeFileSync(join(directory, name), content);
  return directory;
}

test('Maltrail events go from the client to a UDP socket, byte for byte and in order', async () => {
  await using server = await launchServer();
  const uuid = newSensorId();
  const home = ['--home', server.home];
  const added = await runD4(['sensor', 'add', '--uuid', uuid, '--key', KEY, '--approve', ...home]);
  assert.equal(added.code, 0, added.stderr);
  const queue = (await runD4(['queue', 'add', 'maltrail', ...home])).stdout.trim();

  const receiver = createSocket('udp4');
  receiver.bind(0, '127.0.0.1');
  await once(receiver, 'listening');
  const datagrams: Buffer[] = [];
  const all = Promise.withResolvers<void>();
  const expected = lines(EVENTS);
  receiver.on('message', (datagram) => {
    datagrams.push(datagram);
    if (datagrams.length === 2 * expected.length) all.resolve();
  });
  const [, redisPort = ''] = server.info.redis.split(':');
  const to = ['-i', '127.0.0.1', '-p', `${receiver.address().port}`, '-rp', redisPort];
  const exporter = startD4(['export', 'udp', '-t', 'maltrail', '-u', queue, ...to]);
  const exported = once(exporter, 'close');
  try {
    const rootCa = readFileSync(join(server.home, 'rootCA.crt'), 'utf8');
    const directory = sensorDirectory({ uuid, destination: server.info.listen, 'rootCA.crt': rootCa });
    // Twice: the second time on a new connection, with the meta header again.
    for (let i = 0; i < 2; i++) {
      const sent = await runD4(['client', '-c', directory], { input: EVENTS });
      assert.deepEqual([sent.code, sent.stdout, sent.stderr], [0, '', '']);
    }
    await Promise.race([all.promise, exported]);
  } finally {
    exporter.kill('SIGTERM');
    assert.deepEqual(await exported, [0, null]);
    receiver.close();
  }
  assert.deepEqual(datagrams.map(String), [...expected, ...expected]);
  assert.ok(Buffer.concat(datagrams).equals(Buffer.concat([EVENTS, EVENTS])));
});

test('the same lines as a plain recorder gets them: meta header, frames, HMACs', async () => {
  const certificates = await makeTestCertificates();
  const recorder = await startRecorder({ key: KEY, tls: certificates });
  const uuid = newSensorId();
  const destination = `127.0.0.1:${recorder.port}`;
  const directory = sensorDirectory({ uuid, destination, 'rootCA.crt': certificates.ca });
  try {
    const before = Math.floor(Date.now() / 1000);
    const { code, stderr } = await runD4(['client', '-c', directory], { input: EVENTS });
    assert.equal(code, 0, stderr);
    assert.equal(recorder.connections.length, 1);
    assert.equal(recorder.payload(2).toString(), META_HEADER);
    assert.ok(recorder.payload(254).equals(EVENTS));
    const types = recorder.frames.map(({ type }) => type);
    assert.deepEqual(
      types,
      types.map((_, i) => (i === 0 ? 2 : 254)),
    );
    for (const { sensor, verified, timestamp, payload } of recorder.frames) {
      assert.deepEqual([sensor, verified], [uuid, true]);
      assert.ok(timestamp >= before && timestamp <= Date.now() / 1000);
      assert.ok(payload.length <= 4096);
    }
  } finally {
    await recorder.close();
  }
});

function lines(bytes: Buffer): string[] {
  return bytes.toString().match(/.*\n/g) ?? [];
}
