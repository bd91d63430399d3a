import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  type AckRecorder,
  type AckRecorderOptions,
  makeTestCertificates,
  startAckRecorder,
  startRecorder,
  type TestCertificates,
} from '@d4ts/testkit';
import { type ClientChanges, type ClientUnderTest, startClient, TEST_KEY, TEST_UUID } from '../client-under-test.ts';
import { inspectSpool } from '../spool/inspect.ts';

const root = mkdtempSync(join(tmpdir(), 'd4-ack-client-'));
let certificates: TestCertificates;

before(async () => {
  certificates = await makeTestCertificates();
});

after(() => rmSync(root, { recursive: true }));

/** A recorder with its options, which may be changed. */
async function withRecorder(
  options: Partial<AckRecorderOptions>,
  body: (recorder: AckRecorder, options: AckRecorderOptions) => Promise<void>,
): Promise<void> {
  const all: AckRecorderOptions = { key: TEST_KEY, tls: certificates, ...options };
  const recorder = await startAckRecorder(all);
  try {
    await body(recorder, all);
  } finally {
    await recorder.close();
  }
}

/** A client of a recorder, with a directory that stays. */
function start(
  port: number,
  changes: ClientChanges = {},
  directory = mkdtempSync(join(root, 'conf-')),
): ClientUnderTest {
  return startClient(`127.0.0.1:${port}`, {
    ...changes,
    directory,
    files: { 'rootCA.crt': certificates.ca, ...changes.files },
    options: { tls: true, ...changes.options },
    environment: { outageMs: 20, behindMs: 20, spoolSyncMs: 10, spoolRetryMs: 20, ...changes.environment },
  });
}

function lines(count: number, from = 0): string {
  return Array.from({ length: count }, (_, i) => `line ${from + i} of the test\n`).join('');
}

test('the input arrives, its end is acknowledged, and nothing is left on disk', async () => {
  await withRecorder({}, async (recorder) => {
    const client = start(recorder.port);
    client.stdin.end(lines(50_000));
    assert.equal(await client.exit, 0, client.stderr());
    assert.equal(client.stderr(), '');
    const [stream] = recorder.streams.values();
    assert.equal(recorder.bytes().toString(), lines(50_000));
    assert.deepEqual(
      [stream?.ended, stream?.sensor, stream?.type, stream?.previous],
      ['complete', TEST_UUID, 3, undefined],
    );
    assert.equal(existsSync(join(client.directory, 'spool')), false);
  });
});

test('an empty input is an empty stream', async () => {
  await withRecorder({}, async (recorder) => {
    const client = start(recorder.port);
    client.stdin.end();
    assert.equal(await client.exit, 0, client.stderr());
    assert.deepEqual(
      [...recorder.streams.values()].map(({ ended, offset }) => [ended, offset]),
      [['complete', 0]],
    );
  });
});

test('a meta header goes with the stream; a capture names its preamble', async () => {
  await withRecorder({}, async (recorder) => {
    const client = start(recorder.port, { files: { type: '254', 'metaheader.json': '{"type":"maltrail"}' } });
    client.stdin.end('x\n');
    assert.equal(await client.exit, 0, client.stderr());
    const [stream] = recorder.streams.values();
    assert.equal(stream?.type, 254);
    assert.equal(stream?.metaHeader.toString(), '{"type":"maltrail"}');
  });
});

test('connections that break and acknowledgements that are lost: every byte once, in order', async () => {
  let seen = 0;
  const onData: AckRecorderOptions['onData'] = (_stream, socket) => {
    seen++;
    if (seen % 7 === 3) return 'cut';
    if (seen % 11 === 5) {
      setImmediate(() => socket.destroy());
      return 'silent';
    }
    return undefined;
  };
  await withRecorder({ onData }, async (recorder) => {
    const client = start(recorder.port, { options: { retryMs: 1 } });
    const text = lines(100_000);
    client.stdin.end(text);
    assert.equal(await client.exit, 0, client.stderr());
    assert.equal(recorder.streams.size, 1);
    assert.ok(recorder.bytes().equals(Buffer.from(text)));
    assert.ok(recorder.opens.length > 5);
  });
});

test('a server that is away: the spool takes what is read, and gives it back in order', async () => {
  await withRecorder({}, async (recorder, options) => {
    const { port } = recorder;
    const client = start(port, { options: { retryMs: 10 } });
    client.stdin.write(lines(1000));
    await recorder.until(() => recorder.bytes().length === lines(1000).length);
    await recorder.close();
    client.stdin.write(lines(30_000, 1000));
    await client.says(/no connection to/);
    await spooled(client.directory, (bytes) => bytes >= lines(30_000, 1000).length);
    const again = await startAckRecorder({ ...options, port, streams: recorder.streams });
    try {
      client.stdin.end(lines(1000, 31_000));
      assert.equal(await client.exit, 0, client.stderr());
      assert.equal(recorder.streams.size, 1);
      assert.equal(again.bytes().toString(), lines(32_000));
      assert.equal(existsSync(join(client.directory, 'spool')), false);
    } finally {
      await again.close();
    }
  });
});

/** Waits until so much is in a spool. */
async function spooled(directory: string, enough: (bytes: number) => boolean): Promise<void> {
  for (;;) {
    const { streams } = await inspectSpool(directory);
    if (enough(streams.reduce((sum, { waitingBytes }) => sum + waitingBytes, 0))) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test('a stop while the server is away leaves the rest in the spool; the next start delivers it first', async () => {
  const reserved = await startAckRecorder({ key: TEST_KEY, tls: certificates });
  const { port } = reserved;
  await reserved.close();
  const client = start(port);
  client.stdin.write(lines(1000));
  await client.says(/cannot reach/);
  client.stop();
  assert.equal(await client.exit, 1);
  const waiting = lines(1000).length;
  assert.match(
    client.stderr(),
    new RegExp(`stopped: ${waiting} bytes that were read have not been delivered, and what`),
  );
  assert.match(client.stderr(), new RegExp(`${waiting} bytes wait in .*spool for the next start`));
  await withRecorder({ port }, async (recorder) => {
    const next = start(port, {}, client.directory);
    next.stdin.end('new\n');
    assert.equal(await next.exit, 0, next.stderr());
    assert.match(next.stderr(), /delivering \d+ bytes that an earlier client has left/);
    const [first, second] = [...recorder.streams.values()];
    assert.equal(recorder.bytes(first?.id).toString(), lines(1000));
    assert.equal(first?.ended, 'aborted');
    assert.equal(recorder.bytes(second?.id).toString(), 'new\n');
    assert.deepEqual([second?.ended, second?.previous, second?.previousCause], ['complete', first?.id, 1]);
    assert.equal(existsSync(join(client.directory, 'spool')), false);
  });
});

test('a stop while the connection holds: what was read is acknowledged, the stream ends as aborted', async () => {
  await withRecorder({}, async (recorder) => {
    const client = start(recorder.port);
    client.stdin.write(lines(10));
    await recorder.until(() => recorder.bytes().length > 0);
    client.stop();
    assert.equal(await client.exit, 1);
    assert.match(
      client.stderr(),
      /stopped: everything that was read is acknowledged; what the standard input still had/,
    );
    const [stream] = recorder.streams.values();
    assert.equal(stream?.ended, 'aborted');
    assert.equal(recorder.bytes().toString(), lines(10));
    assert.equal(existsSync(join(client.directory, 'spool')), false);
  });
});

test('a server that never acknowledges: a stop waits a bounded time, and keeps everything', async () => {
  await withRecorder({ onData: () => 'silent' }, async (recorder, options) => {
    const client = start(recorder.port, { environment: { farewellMs: 50 } });
    client.stdin.write(lines(10));
    await recorder.until(() => recorder.bytes().length > 0);
    // What it has not acknowledged it has not got.
    for (const stream of recorder.streams.values()) Object.assign(stream, { pieces: [], offset: 0, crc: 0 });
    options.refuse = () => 'too-many-sessions';
    recorder.cut();
    await client.says(/refused the stream \(too-many-sessions/);
    client.stop();
    assert.equal(await client.exit, 1);
    assert.match(client.stderr(), new RegExp(`${lines(10).length} bytes wait in`));
    delete options.refuse;
    delete options.onData;
    const next = start(recorder.port, {}, client.directory);
    next.stdin.end();
    assert.equal(await next.exit, 0, next.stderr());
    const [first] = recorder.streams.keys();
    assert.equal(recorder.bytes(first).toString(), lines(10));
  });
});

for (const spoolFull of ['wait', 'drop-oldest'] as const) {
  test(`a spool that is smaller than the backlog: ${spoolFull}`, async () => {
    const { port } = await reservedPort();
    const text = lines(100_000);
    const client = start(port, {
      options: { spoolLimit: 400_000, spoolFull, retryMs: 10 },
      environment: { bufferBytes: 200_000, keptRecordBytes: 10_000 },
    });
    client.stdin.end(text);
    await client.says(/spool has reached its limit/);
    if (spoolFull === 'drop-oldest') {
      await until(() => client.stdin.readableLength === 0 && client.stdin.readableEnded);
    }
    await withRecorder({ port }, async (recorder) => {
      assert.equal(await client.exit, 0, client.stderr());
      const [stream] = recorder.streams.values();
      assert.equal(stream?.ended, 'complete');
      assert.equal(stream.offset, text.length);
      if (spoolFull === 'wait') {
        assert.deepEqual(stream.gaps, []);
        assert.equal(recorder.bytes().toString(), text);
        return;
      }
      assert.ok(stream.gaps.length > 0);
      assertHoles(text, recorder.bytes().toString(), stream.gaps, 'spool-full');
    });
  });
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** What came is the text without the gaps; whole records are missing. */
function assertHoles(
  text: string,
  got: string,
  gaps: readonly { from: number; to: number; cause: string }[],
  cause: string,
): void {
  let expected = '';
  let at = 0;
  for (const gap of gaps) {
    assert.equal(gap.cause, cause);
    expected += text.slice(at, gap.from);
    assert.ok(gap.from === 0 || text[gap.from - 1] === '\n', 'a gap begins with a record');
    assert.ok(text[gap.to - 1] === '\n', 'a gap ends with a record');
    at = gap.to;
  }
  assert.equal(got, expected + text.slice(at));
}

async function reservedPort(): Promise<{ port: number }> {
  const reserved = await startAckRecorder({ key: TEST_KEY, tls: certificates });
  await reserved.close();
  return { port: reserved.port };
}

for (const code of ['stream-forked', 'stream-ahead', 'stream-ended']) {
  test(`${code}: what is not acknowledged goes on in a new stream that names the old one`, async () => {
    await withRecorder({}, async (recorder, options) => {
      const client = start(recorder.port, { options: { retryMs: 1 } });
      client.stdin.write(lines(100));
      await recorder.until(() => recorder.bytes().length === lines(100).length);
      const [old] = recorder.streams.keys();
      options.refuse = ({ stream }) => (stream === old ? code : undefined);
      // Until the last acknowledgement has come, what it is of would be sent again.
      await new Promise((resolve) => setTimeout(resolve, 50));
      recorder.cut();
      client.stdin.end(lines(100, 100));
      assert.equal(await client.exit, 0, client.stderr());
      const [, second] = [...recorder.streams.values()];
      assert.deepEqual([second?.previous, second?.previousCause, second?.ended], [old, 2, 'complete']);
      assert.equal(recorder.bytes(second?.id).toString(), lines(100, 100));
      assert.match(client.stderr(), /cannot go on/);
    });
  });
}

test('a refusal that will never end stops the client, and keeps everything', async () => {
  await withRecorder({ refuse: () => 'not-the-format' }, async (recorder) => {
    const client = start(recorder.port);
    client.stdin.write(lines(10));
    assert.equal(await client.exit, 1);
    assert.match(
      client.stderr(),
      /refused the stream \(not-the-format: for the test: not-the-format\); it will not be/,
    );
    assert.match(client.stderr(), /gave up: .* have not been delivered/);
  });
});

test('a refusal that somebody has to act upon is said, and tried again', async () => {
  await withRecorder({ refuse: () => 'pending' }, async (recorder, options) => {
    const client = start(recorder.port, { options: { retryMs: 5 } });
    client.stdin.end('line\n');
    await client.says(/refused the stream \(pending.*Somebody there has to act: "d4 sensor show/);
    delete options.refuse;
    assert.equal(await client.exit, 0);
    assert.equal(recorder.bytes().toString(), 'line\n');
  });
});

test('a server of another key is not believed', async () => {
  await withRecorder({ key: 'another' }, async (recorder) => {
    const client = start(recorder.port, { options: { retryMs: 0 } });
    client.stdin.end('line\n');
    assert.equal(await client.exit, 1);
    assert.match(client.stderr(), /refused the stream \(hmac-wrong/);
    assert.match(client.stderr(), /gave up: 5 bytes that were read have not been delivered; 5 bytes wait in/);
  });
});

test('a server that is silent is given up', async () => {
  await withRecorder({ heartbeatMs: 10, onData: () => 'silent' }, async (recorder, options) => {
    const client = start(recorder.port, { options: { retryMs: 5 } });
    client.stdin.write('line\n');
    await client.says(/nothing came for 0.3 s/);
    delete options.onData;
    options.heartbeatMs = 10_000;
    client.stdin.end();
    assert.equal(await client.exit, 0, client.stderr());
    assert.equal(recorder.bytes().toString(), 'line\n');
  });
});

test('--ack require refuses a server without acknowledged streams; auto says so once and goes on', async () => {
  const recorder = await startRecorder({ key: TEST_KEY, tls: certificates });
  try {
    const strict = start(recorder.port, { options: { ack: 'require' } });
    strict.stdin.end('line\n');
    assert.equal(await strict.exit, 1);
    assert.match(strict.stderr(), /takes no acknowledged streams, and --ack require was said/);
    const plain = start(recorder.port);
    plain.stdin.end(lines(50_000));
    assert.equal(await plain.exit, 0, plain.stderr());
    assert.equal(plain.stderr().match(/takes no acknowledged streams/g)?.length, 1);
    assert.equal(recorder.payload(3, recorder.connections.length - 1).toString(), lines(50_000));
    assert.equal(existsSync(join(plain.directory, 'spool')), false);
    const off = start(recorder.port, { options: { ack: 'off' } });
    off.stdin.end('line\n');
    assert.equal(await off.exit, 0);
    assert.equal(off.stderr(), '');
  } finally {
    await recorder.close();
  }
});

test('what was spooled before it was known that the server takes no acknowledgements is delivered', async () => {
  const recorder = await startRecorder({ key: TEST_KEY, tls: certificates });
  const { port } = recorder;
  await recorder.close();
  const client = start(port, {
    options: { retryMs: 10 },
    environment: { bufferBytes: 200_000, keptRecordBytes: 1000 },
  });
  client.stdin.write(lines(50_000));
  await spooled(client.directory, (bytes) => bytes > 400_000);
  const again = await startRecorder({ key: TEST_KEY, tls: certificates, port });
  try {
    client.stdin.end('last\n');
    assert.equal(await client.exit, 0, client.stderr());
    assert.equal(again.payload(3).toString(), `${lines(50_000)}last\n`);
    assert.equal(existsSync(join(client.directory, 'spool')), false);
  } finally {
    await again.close();
  }
});

test('two clients with one configuration directory: the second one is told; without acknowledgements both run', async () => {
  await withRecorder({}, async (recorder) => {
    const client = start(recorder.port);
    client.stdin.write('line\n');
    await recorder.until(() => recorder.bytes().length > 0);
    const second = start(recorder.port, {}, client.directory);
    second.stdin.end('other\n');
    assert.equal(await second.exit, 2);
    assert.match(second.stderr(), new RegExp(`spool is in use by another client \\(pid ${process.pid}\\)`));
    client.stdin.end();
    assert.equal(await client.exit, 0);
  });
  const recorder = await startRecorder({ key: TEST_KEY, tls: certificates });
  try {
    const first = start(recorder.port);
    const second = start(recorder.port, {}, first.directory);
    first.stdin.write('one\n');
    second.stdin.write('two\n');
    await recorder.until(() => recorder.connections.length === 2 && recorder.frames.length === 2);
    first.stdin.end();
    second.stdin.end();
    assert.deepEqual([await first.exit, await second.exit], [0, 0], first.stderr() + second.stderr());
  } finally {
    await recorder.close();
  }
});

test('--spool always puts every byte on disk before it is sent', async () => {
  await withRecorder({ onData: () => 'silent' }, async (recorder, options) => {
    const client = start(recorder.port, { options: { spool: 'always' } });
    client.stdin.write('line\n');
    await recorder.until(() => recorder.bytes().length === 5);
    const { streams } = await inspectSpool(client.directory);
    assert.deepEqual(
      streams.map(({ waitingBytes }) => waitingBytes),
      [5],
    );
    delete options.onData;
    client.stdin.end('next\n');
    assert.equal(await client.exit, 0, client.stderr());
    assert.equal(recorder.bytes().toString(), 'line\nnext\n');
    assert.equal(existsSync(join(client.directory, 'spool')), false);
  });
});

test('-v tells what is acknowledged, the spool, gaps and reconnects', async () => {
  await withRecorder({}, async (recorder) => {
    const client = start(recorder.port, { options: { verbose: true } });
    client.stdin.end('line\n');
    assert.equal(await client.exit, 0);
    assert.match(client.stderr(), /; acknowledged to 5, 0 bytes not yet, spool 0 bytes, 0 gaps, 0 reconnects/);
  });
});

test('each file of a folder is a stream; none is sent again by the next start, but where it has changed', async () => {
  const folder = mkdtempSync(join(root, 'folder-'));
  mkdirSync(join(folder, 'sub'));
  writeFileSync(join(folder, 'a.json'), '{"a":1}');
  writeFileSync(join(folder, 'sub', 'b.json'), '{"b":2}');
  await withRecorder({}, async (recorder) => {
    const files = { source: 'folder', folder };
    const changes = { files, options: { json: true }, environment: { fileQuietMs: 20 } };
    const client = start(recorder.port, changes);
    await recorder.until(() => [...recorder.streams.values()].filter(({ ended }) => ended).length === 2);
    client.stop();
    assert.equal(await client.exit, 0, client.stderr());
    const texts = () => [...recorder.streams.keys()].map((id) => recorder.bytes(id).toString()).sort();
    assert.deepEqual(texts(), ['{"a":1}\n', '{"b":2}\n']);
    writeFileSync(join(folder, 'a.json'), '{"a":"changed"}');
    const next = start(recorder.port, changes, client.directory);
    await recorder.until(() => [...recorder.streams.values()].filter(({ ended }) => ended).length === 3);
    next.stop();
    assert.equal(await next.exit, 0, next.stderr());
    assert.deepEqual(texts(), ['{"a":"changed"}\n', '{"a":1}\n', '{"b":2}\n']);
  });
});

test('a large file in base64 goes on where it was, in the same stream, also in the next start', async () => {
  const folder = mkdtempSync(join(root, 'folder-'));
  const content = Buffer.from(lines(40_000));
  writeFileSync(join(folder, 'large.bin'), content);
  await withRecorder({}, async (recorder, options) => {
    let taken = 0;
    options.onData = () => (++taken === 5 || taken === 9 ? 'cut' : undefined);
    const changes = { files: { source: 'folder', folder }, options: { retryMs: 1 }, environment: { fileQuietMs: 20 } };
    const client = start(recorder.port, changes);
    await recorder.until(() => taken >= 11);
    options.refuse = () => 'too-many-sessions';
    recorder.cut();
    await client.says(/too-many-sessions/);
    client.stop();
    assert.equal(await client.exit, 1);
    assert.match(
      client.stderr(),
      /stopped: of .*large.bin \d+ of \d+ bytes are acknowledged; the next start goes on there/,
    );
    delete options.refuse;
    const next = start(recorder.port, changes, client.directory);
    await recorder.until(() => [...recorder.streams.values()].some(({ ended }) => ended === 'complete'));
    next.stop();
    assert.equal(await next.exit, 0, next.stderr());
    assert.equal(recorder.streams.size, 1);
    assert.equal(recorder.bytes().toString(), `${content.toString('base64')}\n`);
  });
});

test('a file as the source: 0 when its end is acknowledged; a second run sends it again', async () => {
  const path = join(root, 'input.txt');
  writeFileSync(path, lines(20_000));
  await withRecorder({}, async (recorder) => {
    const client = start(recorder.port, { files: { source: path } });
    assert.equal(await client.exit, 0, client.stderr());
    assert.equal(recorder.bytes().toString(), lines(20_000));
    assert.equal(existsSync(join(client.directory, 'spool')), false);
    const again = start(recorder.port, { files: { source: path } }, client.directory);
    assert.equal(await again.exit, 0, again.stderr());
    assert.equal(recorder.streams.size, 2);
  });
});

test('a growing file: a stop keeps its stream open, and the next start goes on with it', async () => {
  const path = join(root, 'growing.txt');
  writeFileSync(path, lines(10));
  await withRecorder({}, async (recorder) => {
    const changes = { files: { source: path }, options: { keepOpen: true } };
    const client = start(recorder.port, changes);
    await recorder.until(() => recorder.bytes().length === lines(10).length);
    writeFileSync(path, lines(20));
    await recorder.until(() => recorder.bytes().length === lines(20).length);
    await new Promise((resolve) => setTimeout(resolve, 50));
    client.stop();
    assert.equal(await client.exit, 0, client.stderr());
    writeFileSync(path, lines(30));
    const next = start(recorder.port, changes, client.directory);
    await recorder.until(() => recorder.bytes().length === lines(30).length);
    await new Promise((resolve) => setTimeout(resolve, 50));
    next.stop();
    assert.equal(await next.exit, 0, next.stderr());
    assert.equal(recorder.bytes().toString(), lines(30));
    writeFileSync(path, 'rotated\n');
    const last = start(recorder.port, changes, client.directory);
    await recorder.until(() => recorder.streams.size === 2);
    const [old, rotated] = [...recorder.streams.values()];
    await recorder.until(() => recorder.bytes(rotated?.id).length === 8);
    assert.equal(rotated?.previous, old?.id);
    await new Promise((resolve) => setTimeout(resolve, 50));
    last.stop();
    await last.exit;
  });
});

test('a damaged spool never prevents a start: the rest is sent, the hole is a gap', async () => {
  const { port } = await reservedPort();
  const client = start(port);
  client.stdin.write(lines(20_000));
  await client.says(/cannot reach/);
  client.stop();
  assert.equal(await client.exit, 1);
  const spool = join(client.directory, 'spool');
  const [folder] = readdirSync(spool).filter((name) => name.startsWith('0'));
  const segment = readdirSync(join(spool, folder ?? '')).find((name) => name.endsWith('.seg'));
  const path = join(spool, folder ?? '', segment ?? '');
  const { readFileSync } = await import('node:fs');
  const bytes = readFileSync(path);
  bytes.writeUInt8(bytes.readUInt8(200_000) ^ 0xff, 200_000);
  writeFileSync(path, bytes);
  await withRecorder({ port }, async (recorder) => {
    const next = start(port, {}, client.directory);
    next.stdin.end();
    assert.equal(await next.exit, 0, next.stderr());
    assert.match(next.stderr(), /the spool is damaged: \d+ bytes from offset \d+ on cannot be read/);
    const [first] = recorder.streams.values();
    assert.equal(first?.gaps.length, 1);
    assertHoles(lines(20_000), recorder.bytes(first?.id).toString(), first?.gaps ?? [], 'spool-damaged');
  });
});
