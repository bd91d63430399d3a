import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { newSensorId, PREVIOUS_CAUSE } from '@d4ts/protocol';
import {
  type AckRecorderOptions,
  afterwards,
  makeTestCertificates,
  startAckRecorder,
  startRecorder,
  type TestCertificates,
  temporaryFolder,
} from '@d4ts/testkit';
import { ExportUnderTest } from './export-fixture.ts';

const KEY = 'the key of the forwarder';
const sensor = newSensorId();

async function start(t: TestContext): Promise<{ under: ExportUnderTest; made: TestCertificates; ca: string }> {
  const folder = temporaryFolder(t);
  const made = await makeTestCertificates();
  const ca = join(folder, 'ca');
  writeFileSync(ca, made.ca);
  return { under: await ExportUnderTest.for(t, '3'), made, ca };
}

const lines = (count: number, from = 0) => Array.from({ length: count }, (_, i) => `line ${from + i}`);
const asText = (records: readonly string[]) => records.map((record) => `${record}\n`).join('');

test('d4: an acknowledged stream, each record once, however often the connection breaks', async (t) => {
  const { under, made, ca } = await start(t);
  let data = 0;
  // Some are lost with their connection, of some only the acknowledgement is.
  const onData = () => {
    data++;
    return data % 5 === 2 ? 'cut' : data % 5 === 4 ? 'silent' : undefined;
  };
  const recorder = await startAckRecorder({ key: KEY, tls: made, onData });
  afterwards(t, () => recorder.close());
  const sent: string[] = [];
  under.start({ kind: 'd4', host: '127.0.0.1', port: recorder.port, sensor, ca }, { secrets: { key: KEY } });
  for (let round = 0; round < 10; round++) {
    const more = lines(50, sent.length);
    sent.push(...more);
    under.queue.add(...more);
    await recorder.until(() =>
      recorder
        .bytes()
        .toString()
        .endsWith(`${more.at(-1)}\n`),
    );
    if (round % 3 === 0) recorder.cut();
  }
  assert.equal(await under.stop(), 0);
  assert.deepEqual(await under.left(), []);
  const [stream, ...others] = recorder.streams.values();
  assert.deepEqual(others, []);
  assert.equal(recorder.bytes().toString(), asText(sent));
  assert.equal(stream?.ended, 'complete');
  assert.deepEqual(JSON.parse(String(stream?.metaHeader)), { type: '3', 'd4-forwarded-by': ['unknown'] });
  assert.match(under.said.text, /500 delivered, [1-9]\d* errors, 0 skipped\n$/);
});

test('d4: a stream that the server does not go on with is followed by one that names it', async (t) => {
  const { under, made, ca } = await start(t);
  const recorder = await startAckRecorder({
    key: KEY,
    tls: made,
    refuse: () => (recorder.opens.length === 1 ? 'stream-forked' : undefined),
  });
  afterwards(t, () => recorder.close());
  under.queue.add(...lines(3));
  under.start({ kind: 'd4', host: '127.0.0.1', port: recorder.port, sensor, ca }, { secrets: { key: KEY } });
  await under.until(0);
  await recorder.until(() => recorder.opens.length === 2);
  assert.equal(await under.stop(), 0);
  const [first, second] = recorder.opens;
  assert.deepEqual([second?.previous, second?.previousCause], [first?.stream, PREVIOUS_CAUSE.refused]);
  assert.equal(recorder.bytes(second?.stream).toString(), asText(lines(3)));
  assert.deepEqual(await under.left(), []);
});

test('d4: what a server refuses is held, and the reason is said; at the end it is given back', async (t) => {
  const { under, made, ca } = await start(t);
  const recorder = await startAckRecorder({ key: KEY, tls: made, refuse: () => 'pending' });
  afterwards(t, () => recorder.close());
  under.queue.add(...lines(3));
  under.start({ kind: 'd4', host: '127.0.0.1', port: recorder.port, sensor, ca }, { secrets: { key: KEY } });
  await under.said.until(/d4 127.0.0.1:\d+ refuses the stream \(pending.*\)\. There, "d4 sensor show"/);
  assert.equal(await under.stop(), 0);
  assert.deepEqual(await under.left(), lines(3));
});

const NOTHING_TAKEN = /takes nothing: it will not have a new stream either/;

const BAD_SERVERS: [string, Partial<AckRecorderOptions>, RegExp][] = [
  ['refuses every stream', { refuse: () => 'stream-forked' }, NOTHING_TAKEN],
  ['says that every stream has ended', { accept: { state: 1, maxRecordBytes: 0 } }, NOTHING_TAKEN],
  ['accepts, and cuts', { onData: () => 'cut' }, /no connection to d4 .*: closed/],
  ['wants single bytes', { accept: { maxDataBytes: 1 } }, /the server takes only 1 bytes at a time/],
];
for (const [name, bad, problem] of BAD_SERVERS) {
  test(`d4: a server that ${name} is a problem, and asked less and less often, until it takes something`, async (t) => {
    const { under, made, ca } = await start(t);
    const options = { key: KEY, tls: made, ...bad };
    const recorder = await startAckRecorder(options);
    afterwards(t, () => recorder.close());
    under.queue.add(...lines(3));
    const since = performance.now();
    under.start({ kind: 'd4', host: '127.0.0.1', port: recorder.port, sensor, ca }, { secrets: { key: KEY } });
    await under.said.until(problem);
    await recorder.until(() => recorder.opens.length === 4);
    // The waits between are 75 and 150 ms at the least.
    assert.ok(performance.now() - since > 200);
    assert.doesNotMatch(under.said.text, /connected to d4/);
    delete options.refuse;
    delete options.accept;
    delete options.onData;
    await under.said.until('connected to d4');
    assert.equal(await under.stop(), 0);
    assert.deepEqual(await under.left(), []);
    assert.match(under.said.text, /3 delivered, [3-9] errors/);
  });
}

test('d4: a heartbeat longer than any timer is not taken at its word', async (t) => {
  const { under, made, ca } = await start(t);
  const recorder = await startAckRecorder({ key: KEY, tls: made, heartbeatMs: 0xffff_ffff });
  afterwards(t, () => recorder.close());
  under.queue.add(...lines(3));
  under.start({ kind: 'd4', host: '127.0.0.1', port: recorder.port, sensor, ca }, { secrets: { key: KEY } });
  await recorder.until(() => recorder.bytes().toString() === asText(lines(3)));
  assert.equal(await under.stop(), 0);
  assert.equal(recorder.opens.length, 1);
});

for (const [name, alpn] of [
  ['that knows no other protocol', {}],
  ['that knows other protocols only', { ALPNProtocols: ['other/1'] }],
] as const) {
  test(`d4: a server ${name} gets v1 frames`, async (t) => {
    const { under, made, ca } = await start(t);
    const recorder = await startRecorder({ key: KEY, tls: { ...made, ...alpn } });
    afterwards(t, () => recorder.close());
    under.queue.add(...lines(3));
    under.start({ kind: 'd4', host: '127.0.0.1', port: recorder.port, sensor, ca }, { secrets: { key: KEY } });
    await recorder.until(() => recorder.payload(254).toString() === asText(lines(3)));
    assert.equal(await under.stop(), 0);
    assert.deepEqual(JSON.parse(recorder.payload(2).toString()), { type: '3', 'd4-forwarded-by': ['unknown'] });
    assert.ok(recorder.frames.every((frame) => frame.verified && frame.sensor === sensor));
    assert.deepEqual(await under.left(), []);
    assert.match(under.said.text, /3 delivered, 0 errors, 0 skipped, the other server acknowledges nothing\n$/);
  });
}
