import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** @typedef {{ version?: string, integrity?: string, link?: boolean, optional?: boolean, os?: string | string[], cpu?: string | string[], libc?: string[] }} LockedPackage */

const DEPENDENCY_FIELDS = ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies'];

/**
 * Why `node_modules` is not what package-lock.json asks for: compared with npm's own record of what it installed, so a
 * plain `npm ci` counts as much as one of ours.
 * @param {string} root the repository's folder
 * @returns {string | undefined} the first misfit found; undefined where all is right
 * @throws {Error} where package-lock.json itself is at fault, saying what to do
 */
export function installMisfit(root) {
  const wanted = lockedPackages(join(root, 'package-lock.json'));
  if (wanted === undefined) throw new Error('package-lock.json is missing or damaged: restore it.');
  const stale = staleManifest(root, wanted);
  if (stale !== undefined) {
    throw new Error(
      `package-lock.json does not have the dependencies of ${stale}: run npm install and keep what it changes.`,
    );
  }
  const present = lockedPackages(join(root, 'node_modules', '.package-lock.json'));
  if (present === undefined) return 'nothing is installed yet';
  for (const [path, locked] of wanted) {
    if (!path.startsWith('node_modules/')) continue;
    const installed = present.get(path);
    if (installed === undefined) {
      if (locked.optional === true && !isForThisMachine(locked)) continue;
      return `${path} is not installed`;
    }
    if (installed.version !== locked.version || installed.integrity !== locked.integrity) {
      return `${path} is not the version that package-lock.json asks for`;
    }
    if (!existsSync(join(root, path))) return `${path} was removed`;
  }
  for (const path of present.keys()) {
    if (!wanted.has(path)) return `${path} is no longer needed`;
  }
  return undefined;
}

/**
 * @param {string} file a lock file
 * @returns {Map<string, LockedPackage> | undefined} its packages by path
 */
function lockedPackages(file) {
  const packages = readJson(file)?.packages;
  return packages === undefined ? undefined : new Map(Object.entries(packages));
}

/**
 * The first package.json whose dependencies are not those that the lock file has noted for it.
 * @param {string} root
 * @param {Map<string, LockedPackage>} wanted
 * @returns {string | undefined}
 */
function staleManifest(root, wanted) {
  const folders = ['', ...workspaceFolders(root)];
  for (const folder of folders) {
    const manifest = readJson(join(root, folder, 'package.json'));
    /** @type {Record<string, unknown>} */
    const noted = Object(wanted.get(folder));
    for (const field of DEPENDENCY_FIELDS) {
      if (listed(manifest?.[field]) !== listed(noted[field])) return join(folder, 'package.json');
    }
  }
  return undefined;
}

/** @param {string} root */
function workspaceFolders(root) {
  return readdirSync(join(root, 'packages'))
    .map((name) => join('packages', name))
    .filter((folder) => existsSync(join(root, folder, 'package.json')));
}

/**
 * Whether an optional package is one that npm installs here. Those that name a C library are left to npm.
 * @param {LockedPackage} locked
 */
function isForThisMachine(locked) {
  if (locked.os === undefined || locked.cpu === undefined || locked.libc !== undefined) return false;
  return [locked.os].flat().includes(process.platform) && [locked.cpu].flat().includes(process.arch);
}

/** @param {unknown} dependencies */
function listed(dependencies) {
  return JSON.stringify(Object.entries(Object(dependencies)).sort());
}

/** @param {string} file */
function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}
