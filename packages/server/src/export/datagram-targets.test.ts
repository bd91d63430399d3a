import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterwards, freePorts, makeTestCertificates, temporaryFolder } from '@d4ts/testkit';
import { ExportUnderTest } from './export-fixture.ts';
import type { TargetEvents } from './port.ts';
import { UnixDatagramTarget } from './unix-datagram-target.ts';

/** Where nobody else takes the ports of a receiver before it has them. */
const HOST = '127.0.0.38';

function start(t: TestContext, program: string, args: readonly string[]): ChildProcess {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = once(child, 'exit');
  afterwards(t, async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return child;
}

async function exists(path: string): Promise<void> {
  while (!existsSync(path)) await sleep(5);
}

/** Waits until a file has so many lines. */
async function linesOf(path: string, count: number): Promise<string[]> {
  for (;;) {
    const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [];
    if (lines.length >= count) return lines;
    await sleep(10);
  }
}

/** Keeps each datagram on a line. */
const RECEIVER = `
import os, socket, sys
path, kept = sys.argv[1:]
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(path)
while True:
    with open(kept, 'ab') as file:
        file.write(repr(receiver.recv(300000)).encode() + b'\\n')
`;

for (const program of ['perl', 'python3'] as const) {
  test(`unix datagrams with the help of ${program}: each record one, also for a receiver that comes and goes`, async (t) => {
    const folder = temporaryFolder(t);
    const [path, kept] = [join(folder, 'socket'), join(folder, 'kept')];
    let delivered = 0;
    const warnings: string[] = [];
    const events: TargetEvents = {
      delivered: (count) => {
        delivered += count;
      },
      warn: (text) => void warnings.push(text),
    };
    const options = { kind: 'unix', path, datagram: (record: Buffer) => record, programs: [program] };
    const target = await UnixDatagramTarget.open(options, events, { records: 1_000, bytes: 1e6 });
    afterwards(t, () => target.close());
    const { signal } = new AbortController();
    await target.send({ records: ['a', 'b\nc', ''].map((text) => Buffer.from(text)) }, signal);
    while (target.problem === undefined) await sleep(5);
    assert.match(target.problem, /cannot send to .*socket: No such file/);
    const receiver = start(t, 'python3', ['-c', RECEIVER, path, kept]);
    assert.deepEqual(await linesOf(kept, 3), ["b'a'", "b'b\\nc'", "b''"]);
    while (delivered < 3) await sleep(5);
    receiver.kill('SIGKILL');
    await once(receiver, 'exit');
    await target.send({ records: [Buffer.from('d')] }, signal);
    while (target.problem === undefined) await sleep(5);
    assert.match(target.problem, /refused/);
    rmSync(path);
    start(t, 'python3', ['-c', RECEIVER, path, kept]);
    assert.equal((await linesOf(kept, 4)).at(-1), "b'd'");
    await target.send({ records: [Buffer.alloc(1_000_000), Buffer.from('e')] }, signal);
    assert.equal((await linesOf(kept, 5)).at(-1), "b'e'");
    while (delivered < 6) await sleep(5);
    assert.equal(target.counts.skipped, 1);
    assert.match(warnings.join('\n'), /takes datagrams again[\s\S]*1000000 bytes is skipped/);
  });
}

test('unix datagrams without a helper: says plainly what can be done', async () => {
  const options = { kind: 'unix', path: '/nowhere', datagram: (record: Buffer) => record, programs: [] };
  const events: TargetEvents = { delivered: () => {}, warn: () => {} };
  await assert.rejects(UnixDatagramTarget.open(options, events, { records: 1, bytes: 1 }), {
    code: 'D4_EXPORT_TARGET',
    message: /Node.js has no unix datagram sockets.*--stream/,
  });
});

test('unix: a queue to socat', async (t) => {
  const under = await ExportUnderTest.for(t, '3');
  const folder = temporaryFolder(t);
  const [path, kept] = [join(folder, 'socket'), join(folder, 'kept')];
  start(t, 'socat', ['-u', `UNIX-RECV:${path}`, `OPEN:${kept},creat,append`]);
  await exists(path);
  const records = Array.from({ length: 500 }, (_, i) => `record ${i}`);
  under.queue.add(...records);
  under.start({ kind: 'unix', path, newline: true });
  assert.deepEqual(await linesOf(kept, 500), records);
  assert.equal(await under.stop(), 0);
  assert.deepEqual(await under.left(), []);
});

test('syslog: a real rsyslog takes every form over every transport, byte for byte', async (t) => {
  const rsyslogd = ['/usr/sbin/rsyslogd', '/usr/bin/rsyslogd'].find(existsSync);
  assert.ok(rsyslogd, 'this test needs the packages rsyslog and rsyslog-gnutls');
  const folder = temporaryFolder(t);
  const kept = join(folder, 'kept');
  const [udp = 0, tcp = 0, tls = 0] = await freePorts(3, HOST);
  const made = await makeTestCertificates([HOST]);
  for (const name of ['ca', 'cert', 'key'] as const) writeFileSync(join(folder, name), made[name]);
  const files = ['CA', 'Cert', 'Key'].map(
    (name) => `DefaultNetstreamDriver${name}File="${join(folder, name.toLowerCase())}"`,
  );
  const [socket, plain] = [join(folder, 'log'), join(folder, 'log-5424')];
  writeFileSync(
    join(folder, 'conf'),
    `
global(workDirectory="${folder}" maxMessageSize="64k" ${files.join(' ')})
module(load="imudp") module(load="imtcp")
module(load="imuxsock" SysSock.Use="off")
input(type="imudp" address="${HOST}" port="${udp}")
input(type="imtcp" address="${HOST}" port="${tcp}")
input(type="imtcp" address="${HOST}" port="${tls}" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
input(type="imuxsock" Socket="${socket}")
input(type="imuxsock" Socket="${plain}" UseSpecialParser="off")
template(name="kept" type="string" string="%syslogfacility-text%.%syslogseverity-text% %programname% %msgid% [%msg%]\\n")
action(type="omfile" file="${kept}" template="kept")
`,
  );
  const check = spawnSync(rsyslogd, ['-N1', '-f', join(folder, 'conf')], { encoding: 'utf8' });
  assert.equal(check.status, 0, check.stderr);
  start(t, rsyslogd, ['-n', '-f', join(folder, 'conf'), '-i', join(folder, 'pid'), '-C']);
  await exists(socket);
  const under = await ExportUnderTest.for(t, 'maltrail');
  const record = '"2026-10-01 00:00:00.1" sensor 192.0.2.1 - 198.51.100.7 53 [x] ünï %d';
  const expected: string[] = [];
  const take = async (target: Parameters<ExportUnderTest['start']>[0], line: string): Promise<void> => {
    under.queue.add(record, record);
    under.start(target);
    expected.push(line, line);
    assert.deepEqual(await linesOf(kept, expected.length), expected, under.said.text);
    assert.equal(await under.stop(), 0);
    assert.deepEqual(await under.left(), []);
  };
  const host = HOST;
  await take({ kind: 'syslog', host, port: udp }, `user.info d4 maltrail [${record}]`);
  await take(
    { kind: 'syslog', transport: 'tcp', host, port: tcp, level: 'critical', facility: 'local3' },
    `local3.crit d4 maltrail [${record}]`,
  );
  await take(
    { kind: 'syslog', transport: 'tcp', host, port: tcp, rfc3164: true },
    `user.info d4-maltrail - [ ${record}]`,
  );
  await take(
    { kind: 'syslog', transport: 'tls', host, port: tls, ca: join(folder, 'ca') },
    `user.info d4 maltrail [${record}]`,
  );
  await take({ kind: 'syslog', transport: 'unix', path: plain }, `user.info d4 maltrail [${record}]`);
  await take(
    { kind: 'syslog', transport: 'unix', path: socket, rfc3164: true },
    `user.info d4-maltrail - [ ${record}]`,
  );
});
