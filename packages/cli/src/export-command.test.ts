import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Command } from 'commander';
import { registerExportCommand } from './export-command.ts';
import { KINDS, secretsOf, type TargetFlags } from './exporter-options.ts';

const QUEUE = '0d0c5d58-1e4d-4d4f-9f7b-5a3f2f0a9c11';

/** What `d4 export` makes of its words, without running it. */
function parsed(kind: string, ...words: string[]): Record<string, unknown> {
  const program = new Command('d4').exitOverride();
  registerExportCommand(program);
  const exporter = program.commands[0]?.commands.find((each) => each.name() === kind);
  assert.ok(exporter);
  exporter.exitOverride().configureOutput({ writeErr: () => {} });
  exporter.action(() => {});
  program.parse(['export', kind, ...words], { from: 'user' });
  return exporter.opts();
}

/** The target that it would export to. */
function target(kind: string, ...words: string[]): unknown {
  const flags: TargetFlags = parsed(kind, '-t', '3', '-u', QUEUE, ...words);
  return KINDS.find((each) => each.kind === kind)?.target(flags);
}

describe('d4 export', () => {
  it('takes the flags of the reference', () => {
    const plain = QUEUE.replaceAll('-', '').toUpperCase();
    const words = ['-t', 'maltrail', '-u', plain, '-i', '::1', '-p', '8337', '-n', '-ri', 'redis', '-rp=6381', '-v'];
    assert.deepEqual(parsed('udp', ...words), {
      type: 'maltrail',
      queue: QUEUE,
      ip: '::1',
      port: 8337,
      newline: true,
      redisHost: 'redis',
      redisPort: 6381,
      verbose: true,
    });
    assert.deepEqual(target('tcp', '-i', 'h', '-p', '5', '-k', '60', '-n'), {
      kind: 'tcp',
      host: 'h',
      port: 5,
      keepAlive: 60,
    });
    assert.deepEqual(target('tls', '-p', '5', '-v', 'False', '-c', 'ca.pem', '--verbose'), {
      kind: 'tls',
      host: '127.0.0.1',
      port: 5,
      verify: false,
      ca: 'ca.pem',
    });
    assert.deepEqual(target('unix', '-s', '/run/x', '-n'), { kind: 'unix', path: '/run/x', newline: true });
    assert.deepEqual(target('syslog', '-i', 'h', '-l', 'CRITICAL'), {
      kind: 'syslog',
      host: 'h',
      transport: 'udp',
      level: 'critical',
    });
    const { redisHost, redisPort } = parsed('stdout', '-t', '3', '-u', QUEUE, '-i', 'r', '-p', '7', '-n', '-f');
    assert.deepEqual([redisHost, redisPort, target('stdout', '-f')], ['r', 7, { kind: 'stdout', files: true }]);
  });

  it('has long names for everything, and defaults', () => {
    assert.deepEqual(target('udp', '--ip', 'h', '--port', '1', '--rate', '0.5'), {
      kind: 'udp',
      host: 'h',
      port: 1,
      rate: 0.5,
    });
    assert.deepEqual(target('udp', '-p', '1', '--rate', 'none'), { kind: 'udp', host: '127.0.0.1', port: 1, rate: 0 });
    assert.deepEqual(target('syslog', '--transport', 'unix', '--stream', '--facility', 'LOCAL3', '--rfc3164'), {
      kind: 'syslog',
      host: '127.0.0.1',
      transport: 'unix',
      facility: 'local3',
      rfc3164: true,
      stream: true,
    });
    assert.deepEqual(target('http', '--url', 'https://h/x', '--raw', '--verify', 'true'), {
      kind: 'http',
      url: 'https://h/x',
      raw: true,
      verify: true,
    });
    assert.deepEqual(target('file', '--path', 'x', '-f'), { kind: 'file', path: 'x', files: true });
    const { redisHost, redisPort } = parsed('udp', '-t', '3', '-u', QUEUE);
    assert.deepEqual([redisHost, redisPort], ['127.0.0.1', 6380]);
  });

  it('reads headers from the command line and the environment', () => {
    assert.deepEqual(secretsOf({ header: ['A: 1'] }, 'B:x:y\n\n'), { headers: { A: '1', B: 'x:y' } });
    assert.deepEqual(secretsOf({}), {});
    assert.throws(() => secretsOf({ header: ['none'] }), { code: 'D4_USAGE' });
  });

  for (const [name, kind, words, message] of [
    ['no port', 'udp', [], /required option '--port' not specified/],
    ['a port that is none', 'tcp', ['-p', '70000'], /Expected a port from 1 to 65535/],
    ['a queue that is no uuid', 'tcp', ['-u', 'x', '-p', '1'], /Expected a UUID/],
    ['a type that is none', 'udp', ['-t', '999', '-p', '1'], /Expected a number from 0 to 255/],
    ['a rate of nothing', 'udp', ['-p', '1', '--rate', '0'], /more than 0/],
    ['a level that is none', 'syslog', ['-l', 'loud'], /Expected one of emergency, /],
    ['no socket', 'unix', [], /required option '--socket' not specified/],
  ] as const) {
    it(`refuses ${name}`, () => assert.throws(() => target(kind, ...words), { message }));
  }
});
