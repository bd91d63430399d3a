import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  makeTestCertificates,
  type Recorder,
  runD4,
  startD4,
  startRecorder,
  type TestCertificates,
} from '@d4ts/testkit';

const KEY = 'private key to change';
const D4 = new URL('../bin/d4.js', import.meta.url).pathname;
const events = readFileSync(new URL('../../../test/data/maltrail/events.txt', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'd4-client-command-'));
let certificates: TestCertificates;
let recorder: Recorder;

before(async () => {
  certificates = await makeTestCertificates();
  recorder = await startRecorder({ key: KEY, tls: certificates });
});

after(async () => {
  await recorder.close();
  rmSync(root, { recursive: true });
});

/** A configuration directory for the recorder. */
function directory(files: Record<string, string> = {}): string {
  const path = mkdtempSync(join(root, 'conf-'));
  const destination = `127.0.0.1:${recorder.port}`;
  const all = { key: KEY, type: '3', destination, 'rootCA.crt': certificates.ca, ...files };
  for (const [name, content] of Object.entries(all)) writeFileSync(join(path, name), content);
  return path;
}

/** What arrived on the newest connection. */
function newest(): string {
  return recorder.payload(3, recorder.connections.length - 1).toString();
}

test('pipes its standard input to the server and exits 0; a uuid is made', async () => {
  const { code, stderr } = await runD4(['client', '-c', directory()], { input: events });
  assert.equal(code, 0, stderr);
  assert.equal(newest(), events.toString());
  assert.match(
    stderr,
    /^d4 client: new uuid [0-9a-f-]{36}, kept in .*uuid\nd4 client: .* takes no acknowledged streams.*\n$/,
  );
});

test('frames on the standard output', async () => {
  const { code, stdout } = await runD4(['client', '-c', directory({ destination: 'stdout' })], { input: 'line\n' });
  assert.equal(code, 0);
  assert.match(stdout, /line\n/);
});

test('a reader of the standard output that goes away is a failure', async () => {
  const child = startD4(['client', '-c', directory({ destination: 'stdout' })]);
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  child.stdout.destroy();
  child.stdin.write('line\n');
  const [code] = await once(child, 'close');
  assert.equal(code, 1);
  assert.match(said, /the standard output cannot be written: write EPIPE/);
});

test('SIGTERM while nobody takes the frames exits 1', async () => {
  const child = startD4(['client', '-c', directory({ destination: 'stdout' })]);
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  child.stdin.on('error', () => {});
  // More than the pipes on both sides hold: when it is all taken, the client has read what it cannot send.
  await new Promise((resolve) => child.stdin.write(Buffer.alloc(900_000, 'line\n'), resolve));
  child.kill('SIGTERM');
  const closed = once(child, 'close');
  await once(child, 'exit');
  child.stdout.destroy();
  const [code] = await closed;
  assert.equal(code, 1);
  assert.match(said, /stopped: \d+ bytes that were read have not been delivered/);
});

test('the flags of the Go client, before and after -c', async () => {
  const config = directory({ 'rootCA.crt': '' });
  for (const words of [
    ['-cc=false', '-c', config],
    ['-c', config, '-cc', 'false', '-rt', '5s', '-rl=200ms', '-cka', '0', '-ct', '5s', '-ce=true', '-v'],
    ['--config', config, '--check-certificate=false'],
  ]) {
    const { code, stderr } = await runD4(['client', ...words], { input: 'line\n' });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /warning: -cc=false/);
    assert.equal(newest(), 'line\n');
  }
});

test('wrong use and wrong configuration exit 2 and say what is allowed', async () => {
  const config = directory({ 'rootCA.crt': '' });
  const table: [string[], RegExp][] = [
    [[], /required option.*--config/],
    [['-c', join(root, 'nowhere')], /nowhere cannot be read/],
    [['-c', config], /nothing to check the certificate .* --pin SHA256/],
    [['-c', config, '-rt', '5'], /Allowed is a number with a unit/],
    [['-c', config, '-cc=perhaps'], /Allowed is true or false/],
    [['-c', config, '--unknown'], /unknown option/],
    [['-c', config, '--spool-limit', '5 apples'], /Allowed is a number of bytes/],
    [['-c', config, '--spool-limit', '5k'], /At least 1MB/],
    [['-c', config, '-ce=false', '--ack', 'require'], /--ack require needs a server and TLS/],
    [['spool'], /say which configuration directory/],
  ];
  for (const [words, expected] of table) {
    const { code, stderr } = await runD4(['client', ...words], { input: 'line\n' });
    assert.match(stderr, expected);
    assert.equal(code, 2, stderr);
  }
});

test('SIGTERM while the server cannot be reached exits 1, with the input at its end or open', async () => {
  for (const atEnd of [true, false]) {
    const child = startD4(['client', '-c', directory({ destination: '127.0.0.1:9' })]);
    let said = '';
    child.stderr.on('data', (chunk) => {
      said += chunk;
      if (/cannot reach/.test(said)) child.kill('SIGTERM');
    });
    child.stdin.on('error', () => {});
    if (atEnd) child.stdin.end('line\n');
    else child.stdin.write('line\n');
    const [code] = await once(child, 'close');
    assert.equal(code, 1, said);
    assert.match(said, /stopped: 5 bytes that were read have not been delivered/);
    assert.equal(/and what the standard input still had/.test(said), !atEnd);
  }
});

test('--keep-open takes what the next writer of a named pipe says', async () => {
  const pipe = join(root, 'pipe');
  execFileSync('mkfifo', [pipe]);
  // Opened for both, so that opening waits for nobody and the pipe is at its end only when it is closed here.
  const keeper = openSync(pipe, 'r+');
  const connections = recorder.connections.length;
  const child = spawn(process.execPath, [D4, 'client', '-c', directory(), '--keep-open', '-rl', '5ms'], {
    stdio: [openSync(pipe, 'r'), 'ignore', 'inherit'],
  });
  const ended = once(child, 'close');
  const say = async (line: string) => {
    const writer = await open(pipe, 'w');
    await writer.write(line);
    await writer.close();
  };
  closeSync(keeper);
  for (const line of ['one\n', 'two\n', 'three\n']) {
    await say(line);
    await recorder.until(() => recorder.connections.length > connections && newest().endsWith(line));
  }
  assert.equal(newest(), 'one\ntwo\nthree\n');
  child.kill('SIGTERM');
  assert.deepEqual(await ended, [0, null]);
});

test('d4 client spool shows what waits, checks it and mends it', async () => {
  const config = directory({ destination: '127.0.0.1:9' });
  assert.equal((await runD4(['client', 'spool', '-c', config])).stdout, `nothing waits: there is no ${config}/spool\n`);
  const client = await runD4(['client', '-c', config, '-rt', '0'], { input: 'one\ntwo\n' });
  assert.equal(client.code, 1);
  assert.match(client.stderr, /gave up: 8 bytes that were read have not been delivered.*; 8 bytes wait in .*spool for/);
  const shown = await runD4(['client', '-c', config, 'spool', '--check']);
  assert.equal(shown.code, 0, shown.stdout + shown.stderr);
  assert.match(shown.stdout, /WAITING .*\n[0-9a-f]{32} {2}3 +the standard input +8 bytes +0-8 +- +(yes|stopped)\n$/);
  const json = JSON.parse((await runD4(['client', 'spool', '-c', config, '--json'])).stdout);
  const { folder } = json.streams[0];
  const segment = join(folder, '00000000000000000000.seg');
  const bytes = readFileSync(segment);
  writeFileSync(segment, bytes.subarray(0, bytes.length - 1));
  const damaged = await runD4(['client', 'spool', '-c', config, '--check']);
  assert.equal(damaged.code, 1);
  assert.match(damaged.stdout, /torn: .*seg: \d+ bytes at \d+ cannot be read \(offsets 0 to 8\)/);
  const mended = await runD4(['client', 'spool', '-c', config, '--repair']);
  assert.equal(mended.code, 0, mended.stdout + mended.stderr);
  assert.match(mended.stdout, /mended: .*seg: what cannot be read was taken out\n/);
  assert.equal((await runD4(['client', 'spool', '-c', config, '--check'])).code, 0);
});
