/**
 * Makes a clone ready to run, before every command of package.json: what package-lock.json asks for, Node.js 24, and the
 * pages.
 * With `--test` also the system packages that tests need. Runs under older Nodes; quick where nothing has changed.
 *
 * What follows it in an npm script is found anew in PATH, in which npm has put node_modules/.bin first: so `node` is
 * 24 there, once the shell has forgotten (`hash -r`) where the older one was.
 */
import { spawnSync } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installMisfit } from './installed.js';
import { node24 } from './node-24.js';
import { ensureTestPackages } from './system-packages.js';
import { ensurePagesBuilt } from './web-build.js';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

try {
  ensureInstalled();
  ensurePagesBuilt(root);
  if (process.argv.includes('--test')) ensureTestPackages();
} catch (error) {
  process.stderr.write(`setup: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}

function ensureInstalled() {
  const misfit = installMisfit(root);
  if (misfit === undefined) {
    node24(root);
    return;
  }
  process.stderr.write(`setup: npm ci, because ${misfit}\n`);
  npmCi();
  const left = installMisfit(root);
  if (left !== undefined) throw new Error(`npm ci has run, but ${left}.`);
  const { status, stdout } = spawnSync(node24(root), ['--version'], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${node24(root)} does not run on this machine: install Node.js 24 yourself.`);
  process.stderr.write(`setup: done, with Node.js ${stdout.trim()}\n`);
}

function npmCi() {
  const quiet = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  const npm = process.env.npm_execpath;
  const [program, args] =
    npm === undefined ? ['npm', quiet] : [process.env.npm_node_execpath ?? process.execPath, [npm, ...quiet]];
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (status === 0) return;
  const why = error === undefined ? `exit code ${status}` : error.message;
  throw new Error(`npm ci failed (${why}). What npm says stands above; the project cannot run without it.`);
}
