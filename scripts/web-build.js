import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { node24 } from './node-24.js';

/** What decides how the bundle looks: files and folders of packages/web, and the versions of what it is made of. */
const SOURCES = ['packages/web/src', 'packages/web/index.html', 'packages/web/vite.config.ts', 'package-lock.json'];

/**
 * Builds the pages where they are not built or their sources have changed since.
 * @param {string} root the repository's folder
 * @throws {Error} with what Vite said, where it fails
 */
export function ensurePagesBuilt(root) {
  const stamp = join(root, 'packages', 'web', 'dist', 'sources.sha256');
  const wanted = digestOf(root);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  process.stderr.write('setup: building the pages\n');
  buildPages(root);
  writeFileSync(stamp, wanted);
}

/** @param {string} root */
function buildPages(root) {
  const vite = join(root, 'node_modules', 'vite', 'bin', 'vite.js');
  const args = [vite, 'build', join(root, 'packages', 'web'), '--logLevel', 'warn'];
  const { status, stdout, stderr } = spawnSync(node24(root), args, {
    cwd: join(root, 'packages', 'web'),
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the pages cannot be built:\n${stdout}${stderr}`);
}

/**
 * @param {string} root
 * @returns {string} SHA-256 over the names and contents of the sources
 */
function digestOf(root) {
  const hash = createHash('sha256');
  for (const source of SOURCES) {
    for (const file of filesOf(root, source))
      hash
        .update(`${file}\0`)
        .update(readFileSync(join(root, file)))
        .update('\0');
  }
  return hash.digest('hex');
}

/**
 * @param {string} root
 * @param {string} path a file, or a folder with whatever is in it
 * @returns {string[]} paths from the root, in an order that does not depend on the machine
 */
function filesOf(root, path) {
  if (/\.[a-z]+$/.test(path)) return [path];
  return readdirSync(join(root, path), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.test.ts'))
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .sort();
}
