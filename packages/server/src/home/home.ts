import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { D4Error } from '@d4ts/protocol';
import { writeFileDurably } from '../registry/durable-file.ts';

/** Version of the home's layout: which files there are, and where. Each of them has a format version of its own. */
const HOME_FORMAT = 1;

/** SQLITE_BUSY: another process has the lock. */
const BUSY = 5;

/** ms; of two servers that start at the same moment one must get the lock, which without patience neither may. */
const LOCK_PATIENCE = 250;

/** Files and folders of a home, as absolute paths. */
export interface HomePaths {
  readonly root: string;
  /** The registry's database, and the key that sensors' keys are encrypted with. */
  readonly registry: string;
  readonly registryKey: string;
  /** Copies of both that the server makes itself, for the case that they are damaged. */
  readonly registryCopy: string;
  readonly registryKeyCopy: string;
  /** The folder of what was damaged and set aside. */
  readonly damaged: string;
  readonly ledger: string;
  /** What Maltrail sensors have found. */
  readonly maltrail: string;
  /** Who was connected from where, when. */
  readonly sessions: string;
  readonly journal: string;
  /** The archive, unless it is configured to be elsewhere. */
  readonly archive: string;
  readonly serverPem: string;
  readonly rootCaCertificate: string;
  readonly rootCaKey: string;
  readonly serverJson: string;
  readonly defaultPassword: string;
}

/** Where things lie in a home. */
export function homePaths(root: string): HomePaths {
  return {
    root,
    registry: join(root, 'registry.sqlite'),
    registryKey: join(root, 'registry.key'),
    registryCopy: join(root, 'registry.sqlite.bak'),
    registryKeyCopy: join(root, 'registry.key.bak'),
    damaged: join(root, 'damaged'),
    ledger: join(root, 'ledger.sqlite'),
    maltrail: join(root, 'maltrail.sqlite'),
    sessions: join(root, 'sessions.sqlite'),
    journal: join(root, 'journal'),
    archive: join(root, 'archive'),
    serverPem: join(root, 'server.pem'),
    rootCaCertificate: join(root, 'rootCA.crt'),
    rootCaKey: join(root, 'rootCA.key'),
    serverJson: join(root, 'server.json'),
    defaultPassword: join(root, 'DEFAULT_PASSWORD'),
  };
}

/** A home that this process holds. */
export interface Home {
  readonly paths: HomePaths;
  /** Lets another server have the home. */
  release(): void;
}

/**
 * Makes the home (0700) if needed and takes hold of it, for one server at a time. The hold is a lock of the kernel, by
 * way of SQLite: it ends with the process, however that ends, so nothing is left behind that could block a start.
 * @throws {D4Error} D4_HOME_HELD (by a living server, with its pid), D4_HOME_FORMAT (a newer version made it),
 *   D4_HOME_FAILED (it cannot be made or written)
 */
export function openHome(root: string): Home {
  makeFolder(root);
  const lock = takeLock(root);
  try {
    checkFormat(root);
    removeLeftovers(root);
    return { paths: homePaths(root), release: () => lock.close() };
  } catch (error) {
    lock.close();
    throw error instanceof D4Error ? error : failed(root, error);
  }
}

/**
 * Takes hold of a home as it is, whatever its format says, to look at it or to put it right.
 * @throws {D4Error} D4_HOME_HELD, D4_HOME_FAILED
 */
export function holdHome(root: string): Home {
  const lock = takeLock(root);
  return { paths: homePaths(root), release: () => lock.close() };
}

/** What is wrong with the file that says the home's format, in words. @throws {D4Error} D4_HOME_FORMAT where a newer version made it */
export function inspectHomeFormat(root: string): string | undefined {
  const file = join(root, 'format');
  if (!existsSync(file)) return 'it is missing';
  const text = readFileSync(file, 'latin1').trim();
  if (!/^[1-9][0-9]{0,8}$/.test(text)) return `it says ${JSON.stringify(text)}, and not a format`;
  checkFormat(root);
  return undefined;
}

/** Writes the file that says the home's format. */
export function mendHomeFormat(root: string): void {
  writeFileDurably(join(root, 'format'), `${HOME_FORMAT}\n`, 0o600);
}

function makeFolder(root: string): void {
  try {
    if (existsSync(root)) {
      if (!statSync(root).isDirectory()) {
        throw new D4Error('D4_HOME_FAILED', `${root} is not a directory; choose another home with --home`);
      }
      return;
    }
    makeFolders(root);
    chmodSync(root, 0o700);
  } catch (error) {
    throw error instanceof D4Error ? error : failed(root, error);
  }
}

/** One by one: where nothing can be made, as in /proc, the recursive `mkdirSync` of Node 24 never returns. */
function makeFolders(path: string): void {
  if (existsSync(path)) return;
  makeFolders(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Another server may have made it meanwhile.
    if (!existsSync(path)) throw error;
  }
}

/**
 * The lock file is an empty database with a transaction that never ends. No other code of this process may open it:
 * closing any descriptor of a file drops the process's POSIX locks on it.
 */
function takeLock(root: string): { close(): void } {
  const file = join(root, 'lock');
  const holderFile = join(root, 'lock.pid');
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { timeout: LOCK_PATIENCE });
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    chmodSync(file, 0o600);
    writeFileDurably(holderFile, `${process.pid}\n`, 0o600);
  } catch (error) {
    database?.close();
    if (!isBusy(error)) throw failed(root, error);
    const pid = readHolder(holderFile);
    throw new D4Error(
      'D4_HOME_HELD',
      `the home ${root} is in use by another server${pid === undefined ? '' : ` (pid ${pid})`}; stop that one, or choose another home with --home`,
      error,
    );
  }
  const held = database;
  return {
    close: () => {
      rmSync(holderFile, { force: true });
      held.close();
    },
  };
}

function readHolder(file: string): string | undefined {
  try {
    return /^[0-9]+$/.exec(readFileSync(file, 'latin1').trim())?.[0];
  } catch {
    return undefined;
  }
}

function checkFormat(root: string): void {
  const file = join(root, 'format');
  if (!existsSync(file)) {
    writeFileDurably(file, `${HOME_FORMAT}\n`, 0o600);
    return;
  }
  const text = readFileSync(file, 'latin1').trim();
  if (!/^[1-9][0-9]{0,8}$/.test(text)) {
    throw new D4Error(
      'D4_HOME_FORMAT',
      `${file} should say the format of the home, ${HOME_FORMAT}, but says "${text}"; correct it`,
    );
  }
  if (Number(text) > HOME_FORMAT) {
    throw new D4Error(
      'D4_HOME_FORMAT',
      `the home ${root} has format ${text}, and this version of the program knows formats up to ${HOME_FORMAT}: start the newer version that made it`,
    );
  }
}

/** What a server that was killed has left: `server.json` would send commands to nobody. */
function removeLeftovers(root: string): void {
  rmSync(homePaths(root).serverJson, { force: true });
  for (const name of readdirSync(root)) {
    if (/\.[0-9]+\.new$/.test(name)) rmSync(join(root, name), { force: true });
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && Number(error.errcode) % 256 === BUSY;
}

function failed(root: string, error: unknown): D4Error {
  const message = error instanceof Error ? error.message : String(error);
  return new D4Error(
    'D4_HOME_FAILED',
    `the home ${root} cannot be used: ${message}; choose another with --home`,
    error,
  );
}
