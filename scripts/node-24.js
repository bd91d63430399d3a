import { existsSync } from 'node:fs';
import { join } from 'node:path';

const MAJOR = 24;

/**
 * The Node.js that runs the project: the one npm installed with it, or else the running one if it is new enough.
 * @param {string} root the repository's folder
 * @returns {string} path of the program
 * @throws {Error} where there is none, saying what to do
 */
export function node24(root) {
  const installed = join(root, 'node_modules', '.bin', 'node');
  if (existsSync(installed)) return installed;
  if (Number.parseInt(process.versions.node, 10) >= MAJOR) return process.execPath;
  throw new Error(
    `Node.js ${MAJOR} is needed, and this is ${process.version}. No package brings it for ${process.platform}-${process.arch}: ` +
      `install Node.js ${MAJOR} (https://nodejs.org) and put it first in PATH.`,
  );
}
