import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { type Recorder, type RecorderOptions, startRecorder } from '@d4ts/testkit';
import { type ClientChanges, type ClientUnderTest, startClient, TEST_KEY, TEST_UUID } from './client-under-test.ts';

const data = new URL('../../../test/data/', import.meta.url);
const events = readFileSync(new URL('maltrail/events.txt', data));
const capture = readFileSync(new URL('samples/mixed_soup.pcap', data));

async function withRecorder(
  options: Omit<RecorderOptions, 'key'>,
  body: (recorder: Recorder, address: string) => Promise<void>,
): Promise<void> {
  const recorder = await startRecorder({ key: TEST_KEY, ...options });
  try {
    await body(recorder, `127.0.0.1:${recorder.port}`);
  } finally {
    await recorder.close();
  }
}

/** Runs a client whose standard input is `input`, to its end. */
async function deliver(address: string, input: Buffer | string, changes?: ClientChanges): Promise<ClientUnderTest> {
  const client = startClient(address, changes);
  client.stdin.end(input);
  assert.equal(await client.exit, 0, client.stderr());
  return client;
}

test('the standard input arrives whole, ends with an empty frame, and the connection is closed', async () => {
  await withRecorder({}, async (recorder, address) => {
    const client = await deliver(address, events);
    assert.deepEqual(recorder.payload(3), events);
    assert.ok(recorder.frames.every((frame) => frame.verified && frame.sensor === TEST_UUID));
    assert.ok(recorder.frames.every((frame) => frame.payload.length <= 4096));
    assert.equal(recorder.frames.at(-1)?.payload.length, 0);
    assert.equal(recorder.connections[0]?.ended, true);
    assert.equal(client.stderr(), '');
  });
});

test('an empty input is one empty frame', async () => {
  await withRecorder({}, async (recorder, address) => {
    await deliver(address, '');
    assert.deepEqual(
      recorder.frames.map(({ type, payload }) => [type, payload.length]),
      [[3, 0]],
    );
  });
});

test('the bytes are those of the C client for the same input at the same time', async () => {
  const recorded = readFileSync(new URL('wire-vectors/c-t1-pcap.d4', data));
  const now = () => 1_795_321_490_000;
  await withRecorder({}, async (recorder, address) => {
    await deliver(address, recorded.subarray(62, 62 + 1392), { files: { type: '1' }, environment: { now } });
    assert.deepEqual(Buffer.concat(recorder.connections[0]?.chunks ?? []), recorded);
  });
});

test('a meta header goes first, in frames of type 2', async () => {
  const metaHeader = '{\n "type": "maltrail"\n}\n';
  await withRecorder({}, async (recorder, address) => {
    await deliver(address, events, { files: { type: '254', snaplen: '10', 'metaheader.json': metaHeader } });
    assert.equal(recorder.payload(2).toString(), metaHeader);
    assert.deepEqual(recorder.payload(254), events);
    const types = recorder.frames.map((frame) => frame.type);
    assert.equal(types.lastIndexOf(2), types.indexOf(254) - 1);
  });
});

test('frames go to the standard output', async () => {
  const stdout = new PassThrough();
  const collected = stdout.toArray();
  await deliver('stdout', events, { environment: { stdout } });
  stdout.end();
  const bytes = Buffer.concat((await collected) as Buffer[]);
  assert.equal(bytes.length, events.length + 62 * (Math.ceil(events.length / 4096) + 1));
});

test('a standard output that breaks ends the client', async () => {
  const stdout = new PassThrough();
  const client = startClient('stdout', { environment: { stdout } });
  stdout.destroy(new Error('EPIPE'));
  client.stdin.write('line\n');
  assert.equal(await client.exit, 1);
  assert.match(client.stderr(), /standard output cannot be written: EPIPE.*5 bytes that were read have not been/s);
});

test('one record arrives while the input stays open', async () => {
  await withRecorder({}, async (recorder, address) => {
    const client = startClient(address);
    for (const line of ['one\n', 'two\n']) {
      client.stdin.write(line);
      await recorder.until(() => recorder.payload(3).toString().endsWith(line));
    }
    client.stdin.end();
    assert.equal(await client.exit, 0);
    assert.equal(recorder.payload(3).toString(), 'one\ntwo\n');
  });
});

test('a server that does not close in time is a warning', async () => {
  await withRecorder({ staysOpen: true }, async (recorder, address) => {
    const client = await deliver(address, 'line\n', { environment: { closeTimeoutMs: 30 } });
    assert.match(client.stderr(), /warning: everything was sent, but the server did not close/);
    assert.equal(recorder.payload(3).toString(), 'line\n');
  });
});

test('waits for a server that cannot be reached, says so once, and delivers', async () => {
  const reserved = net.createServer().listen(0, '127.0.0.1');
  await once(reserved, 'listening');
  const { port } = reserved.address() as AddressInfo;
  reserved.close();
  await once(reserved, 'close');
  const client = startClient(`127.0.0.1:${port}`);
  client.stdin.end('line\n');
  await client.says(/cannot reach 127\.0\.0\.1:\d+: connect ECONNREFUSED/);
  await withRecorder({ port }, async (recorder) => {
    assert.equal(await client.exit, 0);
    assert.equal(recorder.payload(3).toString(), 'line\n');
  });
  assert.equal(client.stderr().match(/cannot reach/g)?.length, 1);
  assert.match(client.stderr(), /connected to/);
});

test('a stop while the server cannot be reached exits 1 and says what is lost', async () => {
  const client = startClient('127.0.0.1:9');
  client.stdin.end('12345\n');
  await client.says(/cannot reach/);
  client.stop();
  assert.equal(await client.exit, 1);
  assert.match(client.stderr(), /stopped: 6 bytes that were read have not been delivered\n$/);
});

test('a stop while the input is open exits 1', async () => {
  await withRecorder({}, async (recorder, address) => {
    const client = startClient(address);
    client.stdin.write('line\n');
    await recorder.until(() => recorder.frames.length === 1);
    client.stop();
    assert.equal(await client.exit, 1);
    assert.match(
      client.stderr(),
      /stopped: everything that was read was sent; what the standard input still had was not/,
    );
  });
});

test('-rt 0 exits 1 on the first failure', async () => {
  const client = startClient('127.0.0.1:9', { options: { retryMs: 0 } });
  client.stdin.write('line\n');
  assert.equal(await client.exit, 1);
  assert.match(client.stderr(), /cannot reach .*\n.*gave up: /);
});

test('--keep-open does not end with the input; a stop then exits 0', async () => {
  await withRecorder({}, async (recorder, address) => {
    const client = startClient(address, { options: { keepOpen: true } });
    client.stdin.end('line\n');
    await recorder.until(() => recorder.payload(3).length === 5);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(recorder.connections[0]?.ended, false);
    client.stop();
    assert.equal(await client.exit, 0);
    assert.equal(recorder.connections[0]?.ended, true);
  });
});

test('after a reset in mid-stream it goes on at a record boundary, with the meta header again', async () => {
  const lineOf = (i: number) => `"2026-11-22 04:26:15" line ${i}\n`;
  let resets = 0;
  const onFrame: RecorderOptions['onFrame'] = ({ socket, frames }) => {
    if (frames.length === 30 && resets < 3) {
      resets++;
      socket.resetAndDestroy();
    }
  };
  await withRecorder({ onFrame }, async (recorder, address) => {
    const files = { type: '254', snaplen: '100', 'metaheader.json': '{"type":"maltrail"}' };
    // Settled at once: the resets are breaks, not refusals.
    const client = startClient(address, { files, environment: { settleMs: 0 } });
    let written = 0;
    while (recorder.connections.length < 4) {
      client.stdin.write(lineOf(written++));
      await new Promise((resolve) => setImmediate(resolve));
    }
    client.stdin.end();
    assert.equal(await client.exit, 0, client.stderr());
    assert.equal(recorder.connections.length, 4);
    const numbers: number[] = [];
    for (const [i] of recorder.connections.entries()) {
      assert.equal(recorder.payload(2, i).toString(), '{"type":"maltrail"}');
      const text = recorder.payload(254, i).toString();
      const whole = text.slice(0, text.lastIndexOf('\n') + 1);
      for (const line of whole.match(/.*\n/g) ?? []) {
        const number = Number(/line (\d+)\n$/.exec(line)?.[1]);
        assert.equal(line, lineOf(number));
        numbers.push(number);
      }
    }
    assert.equal(numbers.at(-1), written - 1);
    assert.match(client.stderr(), /the connection to .* broke/);
  });
});

test('a refused sensor loses nothing: what was sent before the refusal is sent again', async () => {
  // As a server that refuses does: it closes at the first frame, without a word.
  const onFrame: RecorderOptions['onFrame'] = ({ socket }) => {
    if (refusals > 0) {
      refusals--;
      socket.destroy();
    }
  };
  let refusals = 3;
  await withRecorder({ onFrame }, async (recorder, address) => {
    const client = await deliver(address, events, { environment: { settleMs: 150 } });
    assert.equal(recorder.connections.length, 4);
    assert.deepEqual(recorder.payload(3, 3), events);
    assert.match(client.stderr(), /closed the connection right after the first frames .*not approved, wrong key/);
    assert.ok(client.stderr().includes(`"d4 sensor show ${TEST_UUID}"`), 'what to ask the server');
  });
});

test('what was sent on a connection that was refused counts as not delivered', async () => {
  await withRecorder({ onFrame: ({ socket }) => socket.destroy() }, async (_recorder, address) => {
    const client = startClient(address, { options: { retryMs: 0 }, environment: { settleMs: 10_000 } });
    client.stdin.end('line\n');
    assert.equal(await client.exit, 1);
    assert.match(client.stderr(), /or TLS is expected\? /);
    assert.match(client.stderr(), /gave up: 5 bytes that were read have not been delivered\n$/);
  });
});

test('a capture goes on with its global header, at a packet', async () => {
  const onFrame: RecorderOptions['onFrame'] = ({ socket, frames }) => {
    if (frames.length === 9 && !reset) {
      reset = true;
      socket.resetAndDestroy();
    }
  };
  let reset = false;
  await withRecorder({ onFrame }, async (recorder, address) => {
    const files = { type: '1', snaplen: '100' };
    const client = startClient(address, { files, environment: { settleMs: 0 } });
    for (let at = 0; at < capture.length; at += 100) {
      client.stdin.write(capture.subarray(at, at + 100));
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    client.stdin.end();
    assert.equal(await client.exit, 0, client.stderr());
    assert.equal(recorder.connections.length, 2);
    const second = recorder.payload(1, 1);
    assert.deepEqual(second.subarray(0, 24), capture.subarray(0, 24));
    const resumed = second.subarray(24);
    const at = capture.length - resumed.length;
    assert.deepEqual(capture.subarray(at), resumed);
    const packets = [24];
    for (let next = 24; next + 16 < capture.length; packets.push(next)) next += 16 + capture.readUInt32LE(next + 8);
    assert.ok(packets.includes(at), `${at} is the start of a packet`);
  });
});

test('a server that does not read holds the source back, in bounded memory', async () => {
  await withRecorder({ deaf: true }, async (recorder, address) => {
    const bufferBytes = 1_000_000;
    const client = startClient(address, { environment: { bufferBytes, settleMs: 0 } });
    const piece = Buffer.alloc(65_536, 'a line of some length\n');
    let written = 0;
    await recorder.until(() => recorder.connections.length === 1);
    // Network buffers on loopback are a few MB; then nothing moves any more.
    while (written < 64_000_000) {
      written += piece.length;
      if (client.stdin.write(piece)) continue;
      const moved = await Promise.race([
        once(client.stdin, 'drain').then(() => true),
        new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 1000)),
      ]);
      if (!moved) break;
    }
    assert.ok(written < 32_000_000, `${written} bytes were taken`);
    client.stop();
    assert.equal(await client.exit, 1);
    const lost = Number(/stopped: (\d+) bytes/.exec(client.stderr())?.[1]);
    assert.ok(lost > 0 && lost <= bufferBytes + 65_536, client.stderr());
  });
});

test('-v tells bytes, frames, rate and state', async () => {
  await withRecorder({}, async (_recorder, address) => {
    const client = await deliver(address, 'line\n', { options: { verbose: true } });
    assert.match(client.stderr(), /connecting to .*: 0 bytes in 0 frames, 0 bytes\/s/);
    assert.match(client.stderr(), /waiting for the server to close: 5 bytes in 1 frames, \d+ bytes\/s/);
  });
});

test('a wrong configuration exits 2', async () => {
  const client = startClient('127.0.0.1:9', { files: { type: 'x' } });
  assert.equal(await client.exit, 2);
  assert.match(client.stderr(), /^d4 client: .*type contains "x"; allowed is .*\n$/);
});
