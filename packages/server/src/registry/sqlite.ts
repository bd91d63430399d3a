import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fdatasync,
  openSync,
  readFileSync,
  statSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { isDeepStrictEqual, promisify } from 'node:util';
import { D4Error, parseSensorId } from '@d4ts/protocol';
import type { Logger } from 'pino';
import { type ActivityState, MemoryActivity } from './activity.ts';
import { copyDatabase } from './copy-database.ts';
import { PARSE } from './documents.ts';
import { writeFileDurably } from './durable-file.ts';
import type { ExporterDefinition } from './exporter.ts';
import type {
  ArchiveBooks,
  AuditTrail,
  Collection,
  CursorState,
  EndedStreams,
  QueueDefinition,
  Registry,
  Sensor,
  Token,
  User,
} from './port.ts';
import { registryJudge, rowCrc, rowName } from './row-check.ts';
import { damageOf, readDatabase, type Schema, schemaOf } from './salvage.ts';
import { copyAside } from './set-aside.ts';
import { SqliteArchiveBooks } from './sqlite-archive-books.ts';
import { SqliteAudit } from './sqlite-audit.ts';
import { type CollectionStore, SqliteCollection } from './sqlite-collection.ts';
import { SqliteEndedStreams } from './sqlite-ended-streams.ts';
import { checkFormat, inTransaction, MIGRATIONS, type Migration, migrate, registrySchema } from './sqlite-format.ts';
import { type RescuePlaces, rescueRegistry } from './sqlite-rescue.ts';
import { isOpenToOthers, openVault, type Vault } from './vault.ts';

/** How often changed counters are written, in ms. */
const FLUSH_INTERVAL = 1_000;

/** How often a copy is made for the case that the file is damaged, in ms: where somebody has changed something, else seldom. */
const COPY_INTERVAL = 60 * 60 * 1_000;
const SELDOM_INTERVAL = 24 * COPY_INTERVAL;

/** SQLite's result codes (https://sqlite.org/rescode.html), the lower 8 bits. */
const SQLITE = {
  error: 1,
  permission: 3,
  busy: 5,
  locked: 6,
  noMemory: 7,
  readOnly: 8,
  io: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  notADatabase: 26,
} as const;

/** What has another reason than that the file's bytes are wrong. */
const NOT_DAMAGE: ReadonlySet<number | undefined> = new Set<number>([
  SQLITE.permission,
  SQLITE.busy,
  SQLITE.locked,
  SQLITE.noMemory,
  SQLITE.io,
  SQLITE.full,
  SQLITE.cannotOpen,
]);

/** What the vault seals first of all, to know later whether a key file is the right one. */
const PROOF = { name: 'key-proof', plain: 'd4 registry', label: "the registry's proof of its key" } as const;

export interface SqliteRegistryOptions {
  /** The database; made if it does not exist. SQLite keeps a `-wal` and a `-shm` file beside it. */
  readonly file: string;
  /** The key that sensors' keys are encrypted with; made with the database. */
  readonly keyFile: string;
  readonly log: Logger;
  /** ms since 1970, for the audit record. */
  readonly now?: () => number;
  /** The format's history; another one only in tests. */
  readonly migrations?: readonly Migration[];
  /**
   * Where copies are made, and what is damaged is put: then a damaged registry is made anew of what can be read of it, and
   * of the copy. Without it, a damaged registry does not open.
   */
  readonly rescue?: RescuePlaces;
}

/**
 * Opens the registry in SQLite: everything in memory, durable before a change is resolved (WAL, `synchronous=FULL`).
 * @throws {D4Error} D4_REGISTRY_DAMAGED, D4_REGISTRY_FORMAT (a newer version wrote it), D4_REGISTRY_KEY (the key file
 *   is missing or another one), D4_REGISTRY_FAILED
 */
export async function openSqliteRegistry(options: SqliteRegistryOptions): Promise<Registry> {
  const { file, log, rescue } = options;
  if (rescue === undefined) return openAsItIs(options);
  let registry: SqliteRegistry;
  try {
    if (existsSync(rescue.copy) && (!existsSync(file) || statSync(file).size === 0)) throw damaged(file, 'it is gone');
    registry = openWithKeyCopy(options, rescue);
  } catch (error) {
    if (!(error instanceof D4Error) || error.code !== 'D4_REGISTRY_DAMAGED') throw error;
    log.error({ err: error }, 'the registry is damaged');
    rescueRegistry(file, rescue, options.migrations ?? MIGRATIONS, log);
    registry = openWithKeyCopy(options, rescue);
  }
  await registry.keepCopies(rescue.copy);
  return registry;
}

/** @throws {D4Error} D4_REGISTRY_KEY where neither the key file nor its copy is the right one */
function openWithKeyCopy(options: SqliteRegistryOptions, { keyCopy, folder }: RescuePlaces): SqliteRegistry {
  const { keyFile, log } = options;
  const read = (file: string): string | undefined => (existsSync(file) ? readFileSync(file, 'latin1') : undefined);
  let registry: SqliteRegistry;
  try {
    registry = openAsItIs(options);
  } catch (error) {
    const [key, copy] = [read(keyFile), read(keyCopy)];
    if (!(error instanceof D4Error) || error.code !== 'D4_REGISTRY_KEY' || copy === undefined || copy === key)
      throw error;
    registry = openAsItIs({ ...options, keyFile: keyCopy });
    const kept = key === undefined ? undefined : copyAside(keyFile, folder);
    writeFileDurably(keyFile, copy, 0o600);
    log.error({ err: error, keyFile, kept }, 'the key file is damaged or gone: it was made again from its copy');
  }
  const key = read(keyFile);
  if (key !== undefined && key !== read(keyCopy)) writeFileDurably(keyCopy, key, 0o600);
  return registry;
}

/**
 * Looks at a registry's file, every row of it that a server reads at its start.
 * @returns what is damaged, in words; nothing where it is sound
 * @throws {D4Error} D4_REGISTRY_FORMAT, D4_REGISTRY_FAILED
 */
export function inspectRegistry(file: string): string[] {
  try {
    openSound(file, MIGRATIONS, true).close();
    return [];
  } catch (error) {
    if (error instanceof D4Error && error.code === 'D4_REGISTRY_DAMAGED') return [error.message];
    throw error;
  }
}

/** @throws {D4Error} */
function openAsItIs(options: SqliteRegistryOptions): SqliteRegistry {
  const { file, keyFile, log } = options;
  const database = openDatabase(file, options.migrations ?? MIGRATIONS);
  try {
    const vault = openProvenVault(database, keyFile);
    if (isOpenToOthers(keyFile)) log.warn(`${keyFile} can be read by others than its owner; chmod 600 it`);
    return new SqliteRegistry(database, vault, options);
  } catch (error) {
    database.close();
    throw error instanceof D4Error ? error : failure(file, error);
  }
}

function openDatabase(file: string, migrations: readonly Migration[]): DatabaseSync {
  const database = openSound(file, migrations, false);
  try {
    migrate(database, file, migrations);
    return database;
  } catch (error) {
    database.close();
    throw failure(file, error);
  }
}

/** Opens a database in the format that it has. @throws {D4Error} */
function openSound(file: string, migrations: readonly Migration[], thorough: boolean): DatabaseSync {
  const isNew = !existsSync(file);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { timeout: 1_000 });
    if (isNew) chmodSync(file, 0o600);
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    const finding = damageOf(database, file, thorough);
    if (finding !== undefined) throw damaged(file, finding);
    const version = checkFormat(database, file, migrations);
    if (version > 0) checkContent(database, file, registrySchema(migrations.slice(0, version)));
    return database;
  } catch (error) {
    database?.close();
    if (error instanceof D4Error) throw error;
    throw isNew || NOT_DAMAGE.has(resultCode(error)) || !canWrite(file)
      ? failure(file, error)
      : damaged(file, error instanceof Error ? error.message : String(error), error);
  }
}

/** @throws {D4Error} D4_REGISTRY_DAMAGED, naming rows that are not as they were written */
function checkContent(database: DatabaseSync, file: string, schema: Schema): void {
  if (!isDeepStrictEqual(schemaOf(database), schema)) throw damaged(file, 'its tables are not what they should be');
  // Of audit records there may be a million, and no start depends on them.
  const tables = readDatabase(database, registryJudge, 'audit');
  const rows = [...tables].flatMap(([table, { damaged }]) => damaged.map((row) => rowName(table, row)));
  const torn = [...tables].filter(([, { whole }]) => !whole).map(([table]) => `a part of table ${table}`);
  const found = [...rows, ...torn];
  if (found.length === 0) return;
  const more = found.length > 3 ? ` and ${found.length - 3} more` : '';
  throw damaged(file, `${found.slice(0, 3).join(', ')}${more} cannot be read`);
}

/** Whether it could be written, were its content right: a damaged header can say that it must not be. */
function canWrite(file: string): boolean {
  try {
    accessSync(file, constants.W_OK);
    accessSync(dirname(file), constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function openProvenVault(database: DatabaseSync, keyFile: string): Vault {
  const row = database.prepare('SELECT value FROM summary WHERE name = ?').get(PROOF.name);
  const vault = openVault(keyFile, row === undefined);
  if (row === undefined) {
    const proof = vault.seal(PROOF.plain, PROOF.label);
    database
      .prepare('INSERT INTO summary (name, value, crc) VALUES (?, ?, ?)')
      .run(PROOF.name, proof, rowCrc(PROOF.name, proof));
  } else {
    vault.open(String(row.value), PROOF.label);
  }
  return vault;
}

class SqliteRegistry implements Registry {
  readonly sensors: Collection<Sensor>;
  readonly types: Registry['types'];
  readonly queues: Collection<QueueDefinition>;
  readonly exporters: Collection<ExporterDefinition>;
  readonly blocks: Registry['blocks'];
  readonly users: Collection<User>;
  readonly tokens: Collection<Token>;
  readonly enrolments: Registry['enrolments'];
  readonly loginSessions: Registry['loginSessions'];
  readonly tokenUses: Registry['tokenUses'];
  readonly audit: AuditTrail;
  readonly archive: ArchiveBooks;
  readonly endedStreams: EndedStreams;
  readonly activity: MemoryActivity;
  readonly #database: DatabaseSync;
  readonly #file: string;
  readonly #log: Logger;
  readonly #flushing: NodeJS.Timeout;
  #copying: NodeJS.Timeout | undefined;
  #copied: Promise<void> = Promise.resolve();
  #flushFailed = false;

  constructor(database: DatabaseSync, vault: Vault, { file, log, now = Date.now }: SqliteRegistryOptions) {
    this.#database = database;
    this.#file = file;
    this.#log = log;
    const store: CollectionStore = { database, vault, log, now, failure: (error) => failure(file, error) };
    const open = { secret: [], sealed: [], secretKey: false } as const;
    this.sensors = new SqliteCollection<Sensor>(
      {
        name: 'sensors',
        parse: PARSE.sensor,
        secret: ['key', 'previousKey'],
        sealed: ['key', 'previousKey'],
        secretKey: false,
      },
      store,
    );
    this.types = new SqliteCollection({ name: 'types', parse: PARSE.acceptedType, ...open }, store);
    this.queues = new SqliteCollection<QueueDefinition>(
      { name: 'queues', parse: PARSE.queue, secret: ['credential'], sealed: [], secretKey: false },
      store,
    );
    this.exporters = new SqliteCollection<ExporterDefinition>(
      { name: 'exporters', parse: PARSE.exporter, secret: ['secrets'], sealed: ['secrets'], secretKey: false },
      store,
    );
    this.blocks = new SqliteCollection({ name: 'blocks', parse: PARSE.block, ...open }, store);
    this.users = new SqliteCollection<User>(
      { name: 'users', parse: PARSE.user, secret: ['passwordHash'], sealed: [], secretKey: false },
      store,
    );
    this.tokens = new SqliteCollection<Token>(
      { name: 'tokens', parse: PARSE.token, secret: [], sealed: [], secretKey: true },
      store,
    );
    this.enrolments = new SqliteCollection(
      { name: 'enrolments', parse: PARSE.enrolment, ...open, secretKey: true },
      store,
    );
    const unaudited = { ...open, secretKey: true, audited: false } as const;
    this.loginSessions = new SqliteCollection(
      { name: 'login-sessions', parse: PARSE.loginSession, ...unaudited },
      store,
    );
    this.tokenUses = new SqliteCollection({ name: 'token-uses', parse: PARSE.tokenUse, ...unaudited }, store);
    this.audit = new SqliteAudit(store);
    this.archive = new SqliteArchiveBooks(store);
    this.endedStreams = new SqliteEndedStreams(store);
    this.activity = new MemoryActivity(this.#loadActivity());
    this.#flushing = setInterval(() => this.#flush(), FLUSH_INTERVAL).unref();
  }

  loadCursors(): Map<string, CursorState> {
    const rows = this.#database.prepare('SELECT queue, value FROM cursor').all();
    return new Map(
      rows.map(({ queue, value }) => [
        String(queue),
        PARSE.cursor(String(value), `the registry's cursor of queue "${queue}"`),
      ]),
    );
  }

  /** This comes ten times a second: nobody else waits for the disk meanwhile. */
  async saveCursors(changed: ReadonlyMap<string, CursorState>): Promise<void> {
    if (changed.size === 0) return;
    await this.#commitLater(() => {
      const save = this.#database.prepare('INSERT OR REPLACE INTO cursor (queue, value, crc) VALUES (?, ?, ?)');
      for (const [queue, state] of changed) {
        const text = JSON.stringify(state);
        save.run(queue, text, rowCrc(queue, text));
      }
    });
  }

  async removeCursor(queue: string): Promise<void> {
    this.#commit(() => this.#database.prepare('DELETE FROM cursor WHERE queue = ?').run(queue));
  }

  loadProgress(role: string): string | undefined {
    const row = this.#database.prepare('SELECT value FROM progress WHERE role = ?').get(role);
    return row === undefined ? undefined : String(row.value);
  }

  async saveProgress(role: string, text: string): Promise<void> {
    this.#commit(() =>
      this.#database
        .prepare('INSERT OR REPLACE INTO progress (role, value, crc) VALUES (?, ?, ?)')
        .run(role, text, rowCrc(role, text)),
    );
  }

  /** Makes a copy now and again and again. A failure is logged: without a copy the server runs as well. */
  async keepCopies(file: string): Promise<void> {
    const copied = { changes: -1, at: 0 };
    const copy = async (): Promise<void> => {
      const changes = Number(this.#database.prepare('SELECT max(id) AS id FROM audit').get()?.id ?? 0);
      if (changes === copied.changes && performance.now() - copied.at < SELDOM_INTERVAL) return;
      await copyDatabase(this.#file, file);
      Object.assign(copied, { changes, at: performance.now() });
    };
    const tryCopy = (): Promise<void> =>
      copy().catch((error) => this.#log.error({ err: error, file }, 'the registry cannot be copied'));
    await tryCopy();
    this.#copying = setInterval(() => {
      this.#copied = tryCopy();
    }, COPY_INTERVAL).unref();
  }

  async close(): Promise<void> {
    if (!this.#database.isOpen) return;
    clearInterval(this.#flushing);
    clearInterval(this.#copying);
    await this.#copied;
    this.#flush();
    this.#database.close();
  }

  #loadActivity(): ActivityState {
    const rows = this.#database.prepare('SELECT sensor, value FROM activity').all();
    return {
      sensors: new Map(
        rows.map(({ sensor, value }) => [
          parseSensorId(String(sensor)),
          PARSE.sensorActivity(String(value), `the registry's activity of sensor "${sensor}"`),
        ]),
      ),
      refusalTotals: PARSE.refusalTotals(this.#summary('refusal-totals', '{}'), "the registry's totals of refusals"),
      claimedRefusals: PARSE.claimedRefusals(
        this.#summary('claimed-refusals', '[]'),
        "the registry's claimed refusals",
      ),
      knocks: PARSE.knocks(this.#summary('knocks', '[]'), "the registry's list of knocks"),
    };
  }

  #summary(name: string, otherwise: string): string {
    const row = this.#database.prepare('SELECT value FROM summary WHERE name = ?').get(name);
    return row === undefined ? otherwise : String(row.value);
  }

  /** Writes changed counters. A failure is logged once and tried again: counters must not stop the server. */
  #flush(): void {
    const changes = this.activity.changes();
    if (changes === undefined) return;
    try {
      inTransaction(this.#database, () => {
        const save = this.#database.prepare('INSERT OR REPLACE INTO activity (sensor, value, crc) VALUES (?, ?, ?)');
        const remove = this.#database.prepare('DELETE FROM activity WHERE sensor = ?');
        for (const [uuid, activity] of changes.sensors) {
          if (activity === undefined) remove.run(uuid);
          else {
            const text = JSON.stringify(activity);
            save.run(uuid, text, rowCrc(uuid, text));
          }
        }
        this.#saveSummary('refusal-totals', changes.refusalTotals);
        this.#saveSummary('claimed-refusals', changes.claimedRefusals);
        this.#saveSummary('knocks', changes.knocks);
      });
      this.activity.changesSaved();
      this.#flushFailed = false;
    } catch (error) {
      if (!this.#flushFailed) this.#log.error({ err: failure(this.#file, error) }, 'counters cannot be saved');
      this.#flushFailed = true;
    }
  }

  #saveSummary(name: string, value: unknown): void {
    if (value === undefined) return;
    const text = JSON.stringify(value);
    this.#database
      .prepare('INSERT OR REPLACE INTO summary (name, value, crc) VALUES (?, ?, ?)')
      .run(name, text, rowCrc(name, text));
  }

  /** As `#commit`, but the sync that makes it durable does not hold the thread. */
  async #commitLater(work: () => void): Promise<void> {
    this.#database.exec('PRAGMA synchronous = NORMAL');
    try {
      this.#commit(work);
    } finally {
      this.#database.exec('PRAGMA synchronous = FULL');
    }
    try {
      await syncFile(`${this.#file}-wal`);
    } catch (error) {
      throw failure(this.#file, error);
    }
  }

  #commit(work: () => void): void {
    try {
      inTransaction(this.#database, work);
    } catch (error) {
      throw failure(this.#file, error);
    }
  }
}

async function syncFile(path: string): Promise<void> {
  const file = openSync(path, 'r+');
  try {
    await promisify(fdatasync)(file);
  } finally {
    closeSync(file);
  }
}

function damaged(file: string, why: string, cause?: unknown): D4Error {
  return new D4Error(
    'D4_REGISTRY_DAMAGED',
    `the registry ${file} is damaged (${why}); the next start of a server on its home makes it anew of what can be read of it and of its last copy, or put it back from a backup`,
    cause,
  );
}

function failure(file: string, error: unknown): D4Error {
  if (error instanceof D4Error) return error;
  const message = error instanceof Error ? error.message : String(error);
  switch (resultCode(error)) {
    case SQLITE.corrupt:
    case SQLITE.notADatabase:
      return damaged(file, message, error);
    case SQLITE.full:
      return new D4Error('D4_REGISTRY_FAILED', `the registry ${file} cannot be written: the disk is full`, error);
    case SQLITE.busy:
      return new D4Error(
        'D4_REGISTRY_FAILED',
        `the registry ${file} is locked by another program; close that one`,
        error,
      );
    default:
      return new D4Error('D4_REGISTRY_FAILED', `the registry ${file} failed: ${message}`, error);
  }
}

function resultCode(error: unknown): number | undefined {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
    ? error.errcode & 0xff
    : undefined;
}
