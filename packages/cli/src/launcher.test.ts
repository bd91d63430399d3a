import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';

const LAUNCHER = join(import.meta.dirname, '..', 'bin', 'd4.js');
const OLDER = olderNode();

describe('the launcher under an older Node.js', { skip: OLDER === undefined && 'none is installed here' }, () => {
  const start = (...args: string[]) => spawn(OLDER ?? '', [LAUNCHER, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });

  it('runs the command with the installed one, with its output and exit code', async () => {
    const child = start('config', '--colour');
    const [errors, [code]] = await Promise.all([text(child.stderr), once(child, 'close'), text(child.stdout)]);
    assert.equal(errors, "d4: unknown option '--colour'\nTry: d4 config --help\n");
    assert.equal(code, 2);
  });

  it('passes SIGTERM on, and ends when the command has', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'd4-launcher-'));
    const home = join(folder, 'home');
    const ports = ['--listen', '--web', '--redis'].flatMap((flag) => [flag, '127.0.0.1:0']);
    const child = start('server', '--home', home, ...ports);
    child.stderr.resume();
    let printed = '';
    for await (const chunk of child.stdout) {
      printed += chunk;
      if (printed.includes('is ready')) break;
    }
    assert.equal(existsSync(join(home, 'server.json')), true);
    child.kill('SIGTERM');
    assert.deepEqual(await once(child, 'exit'), [0, null]);
    assert.equal(existsSync(join(home, 'server.json')), false);
    rmSync(folder, { recursive: true, force: true });
  });
});

/** A Node.js in the path that is too old to run TypeScript, but not so old that it matters to nobody. */
function olderNode(): string | undefined {
  const found = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'node'));
  return [...found, '/usr/bin/node'].filter(existsSync).find((node) => {
    const major = Number.parseInt(execFileSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8' }), 10);
    return major >= 18 && major < 24;
  });
}
