import { chmodSync, existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { D4Error, parseSensorId } from '@d4ts/protocol';
import type { Logger } from 'pino';
import { type ActivityState, MemoryActivity } from './activity.ts';
import { PARSE } from './documents.ts';
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
import { SqliteArchiveBooks } from './sqlite-archive-books.ts';
import { SqliteAudit } from './sqlite-audit.ts';
import { type CollectionStore, SqliteCollection } from './sqlite-collection.ts';
import { SqliteEndedStreams } from './sqlite-ended-streams.ts';
import { inTransaction, MIGRATIONS, type Migration, migrate } from './sqlite-format.ts';
import { isOpenToOthers, openVault, type Vault } from './vault.ts';

/** How often changed counters are written, in ms. */
const FLUSH_INTERVAL = 1_000;

/** SQLite's result codes (https://sqlite.org/rescode.html), the lower 8 bits. */
const SQLITE = { busy: 5, corrupt: 11, full: 13, notADatabase: 26 } as const;

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
}

/**
 * Opens the registry in SQLite: everything in memory, durable before a change is resolved (WAL, `synchronous=FULL`).
 * @throws {D4Error} D4_REGISTRY_DAMAGED, D4_REGISTRY_FORMAT (a newer version wrote it), D4_REGISTRY_KEY (the key file
 *   is missing or another one), D4_REGISTRY_FAILED
 */
export async function openSqliteRegistry(options: SqliteRegistryOptions): Promise<Registry> {
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
  const isNew = !existsSync(file);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { timeout: 1_000 });
    if (isNew) chmodSync(file, 0o600);
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    const [finding] = Object.values(database.prepare('PRAGMA quick_check(1)').get() ?? {});
    if (finding !== 'ok') throw damaged(file, String(finding).replace('*** in database main ***\n', ''));
    migrate(database, file, migrations);
    return database;
  } catch (error) {
    database?.close();
    throw error instanceof D4Error ? error : failure(file, error);
  }
}

function openProvenVault(database: DatabaseSync, keyFile: string): Vault {
  const row = database.prepare('SELECT value FROM summary WHERE name = ?').get(PROOF.name);
  const vault = openVault(keyFile, row === undefined);
  if (row === undefined) {
    database
      .prepare('INSERT INTO summary (name, value) VALUES (?, ?)')
      .run(PROOF.name, vault.seal(PROOF.plain, PROOF.label));
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

  async saveCursors(changed: ReadonlyMap<string, CursorState>): Promise<void> {
    if (changed.size === 0) return;
    this.#commit(() => {
      const save = this.#database.prepare('INSERT OR REPLACE INTO cursor (queue, value) VALUES (?, ?)');
      for (const [queue, state] of changed) save.run(queue, JSON.stringify(state));
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
      this.#database.prepare('INSERT OR REPLACE INTO progress (role, value) VALUES (?, ?)').run(role, text),
    );
  }

  async close(): Promise<void> {
    if (!this.#database.isOpen) return;
    clearInterval(this.#flushing);
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
        const save = this.#database.prepare('INSERT OR REPLACE INTO activity (sensor, value) VALUES (?, ?)');
        const remove = this.#database.prepare('DELETE FROM activity WHERE sensor = ?');
        for (const [uuid, activity] of changes.sensors) {
          if (activity === undefined) remove.run(uuid);
          else save.run(uuid, JSON.stringify(activity));
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
    this.#database
      .prepare('INSERT OR REPLACE INTO summary (name, value) VALUES (?, ?)')
      .run(name, JSON.stringify(value));
  }

  #commit(work: () => void): void {
    try {
      inTransaction(this.#database, work);
    } catch (error) {
      throw failure(this.#file, error);
    }
  }
}

function damaged(file: string, why: string, cause?: unknown): D4Error {
  return new D4Error(
    'D4_REGISTRY_DAMAGED',
    `the registry ${file} is damaged (${why}); put it back from a backup, or move it away to start with an empty one`,
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
