import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Command } from 'commander';
import { registerExportCommand } from './export-command.ts';

const QUEUE = '0d0c5d58-1e4d-4d4f-9f7b-5a3f2f0a9c11';

/** What `d4 export udp` makes of its words, without running it. */
function parsed(...words: string[]): unknown {
  const program = new Command('d4').exitOverride();
  registerExportCommand(program);
  const udp = program.commands[0]?.commands[0];
  assert.ok(udp);
  udp.exitOverride().configureOutput({ writeErr: () => {} });
  udp.action(() => {});
  program.parse(['export', 'udp', ...words], { from: 'user' });
  return udp.opts();
}

describe('d4 export udp', () => {
  it('takes the flags of the reference', () => {
    const plain = QUEUE.replaceAll('-', '').toUpperCase();
    const words = ['-t', 'maltrail', '-u', plain, '-i', '::1', '-p', '8337', '-n', '-ri', 'redis', '-rp=6381', '-v'];
    assert.deepEqual(parsed(...words), {
      type: 'maltrail',
      queue: QUEUE,
      ip: '::1',
      port: 8337,
      newline: true,
      redisHost: 'redis',
      redisPort: 6381,
      rate: 20_000,
      verbose: true,
    });
  });

  it('has defaults for the rest', () => {
    assert.deepEqual(parsed('-t', '3', '-u', QUEUE, '-p', '1', '--rate', '0.5'), {
      type: '3',
      queue: QUEUE,
      ip: '127.0.0.1',
      port: 1,
      redisHost: '127.0.0.1',
      redisPort: 6380,
      rate: 0.5,
    });
  });

  for (const [name, words, message] of [
    ['no port', ['-t', '3', '-u', QUEUE], /required option '-p, --port <port>' not specified/],
    ['a port that is none', ['-t', '3', '-u', QUEUE, '-p', '70000'], /Expected a port from 1 to 65535/],
    ['a queue that is no uuid', ['-t', '3', '-u', 'x', '-p', '1'], /Expected a UUID/],
    ['a type that is none', ['-t', '999', '-u', QUEUE, '-p', '1'], /Expected a number from 0 to 255/],
    ['a rate of nothing', ['-t', '3', '-u', QUEUE, '-p', '1', '--rate', '0'], /more than 0/],
  ] as const) {
    it(`refuses ${name}`, () => assert.throws(() => parsed(...words), { message }));
  }
});
