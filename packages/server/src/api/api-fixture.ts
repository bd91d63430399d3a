import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { SensorId } from '@d4ts/protocol';
import { pino } from 'pino';
import type { ArchiveStatus } from '../archive/archive.ts';
import { ArchivedFiles } from '../archive/listing.ts';
import { loadConfig } from '../config/load.ts';
import { EMPTY_JOURNAL } from '../export/empty-journal-fixture.ts';
import { Exporters } from '../export/exporters.ts';
import { formatFor } from '../formats/registry.ts';
import { issueServerCertificate } from '../home/certificates.ts';
import { homePaths } from '../home/home.ts';
import { openIdentity } from '../home/identity.ts';
import { ServerCertificate } from '../home/server-certificate.ts';
import type { Ingest, SessionInfo } from '../ingest/port.ts';
import type { Journal } from '../journal/port.ts';
import { Maltrail } from '../maltrail/maltrail.ts';
import { ThreatStore } from '../maltrail/threat-store.ts';
import { beginCounting } from '../monitor/ledger/counting.ts';
import { Ledger } from '../monitor/ledger/ledger.ts';
import { Monitor } from '../monitor/monitor.ts';
import { SessionHistory } from '../monitor/sessions/session-history.ts';
import { MemoryQueues } from '../queues/redis/memory-queues-fixture.ts';
import { hashPassword } from '../registry/passwords.ts';
import type { Registry, Role } from '../registry/port.ts';
import { openSqliteRegistry } from '../registry/sqlite.ts';
import { tokenHash } from '../registry/tokens.ts';
import { policyOf } from '../retention/policy.ts';
import type { Retention, RetentionStatus } from '../retention/port.ts';
import { type Api, type ApiOptions, startApi, type TlsIdentity } from './http-server.ts';

/** The local administrator's token of the interface under test. */
export const LOCAL_TOKEN = 'the-token-of-server.json';
/** Its clock, ms since 1970. */
export const NOW = 1_790_000_000_000;

/** For tests: sensors' connections as they are said to be. */
export class FakeIngest implements Ingest {
  readonly address = { host: '127.0.0.1', port: 4443 };
  live: SessionInfo[] = [];
  clones: SensorId[] = [];

  get connections(): number {
    return this.live.length;
  }

  sessions(): SessionInfo[] {
    return this.live;
  }

  suspectedClones(): SensorId[] {
    return this.clones;
  }

  backPressure() {
    return { paused: 0, pauses: 3 };
  }

  kick(sensor: SensorId): number {
    const before = this.live.length;
    this.live = this.live.filter((session) => session.sensor !== sensor);
    return before - this.live.length;
  }

  hold(): void {}

  async expel(): Promise<void> {}

  setIdentity(): void {}

  async close(): Promise<void> {}
}

/** For tests: a retention that has nothing to do. */
class FakeRetention implements Omit<Retention, 'close' | 'run'> {
  status(): RetentionStatus {
    const none = {
      reason: undefined,
      ageRulesPaused: undefined,
      lastRemoval: undefined,
      lastRunAt: undefined,
      error: undefined,
    };
    const policy = policyOf(loadConfig({ flags: { home: '/' }, environment: {}, directory: '/' }).retention, {
      journal: 1000,
      archive: 1000,
    });
    const forecast = { outcome: 'unknown' } as const;
    return { ...none, state: 'ok', since: NOW, disks: [], policy, journal: [], archive: [], forecast, erasures: [] };
  }

  async plan(): Promise<[]> {
    return [];
  }

  erase(): Promise<never> {
    return Promise.reject(new Error('not here'));
  }

  async acceptClock(): Promise<boolean> {
    return false;
  }
}

/** An answer of the interface. */
export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly text: string;
  /** The body, where it is JSON. */
  readonly body: unknown;
}

/** The interface under test, with what stands around it. */
export interface ApiFixture {
  readonly api: Api;
  /** Where its files lie. */
  readonly home: string;
  readonly ca: string;
  readonly registry: Registry;
  readonly queues: MemoryQueues;
  readonly ingest: FakeIngest;
  readonly monitor: Monitor;
  readonly logged: { level: number; msg: string }[];
  readonly state: { ready: boolean; damaged: string[] };
  /** The interface's clock, ms since 1970: `NOW`, until a test sets it on. */
  readonly clock: { now: number };
  /** Asks as the local administrator, unless another token, or null for none, is given. */
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  /** Makes a user; without a password, one who cannot sign in. */
  addUser(mail: string, role: Role, password?: string): Promise<void>;
  /** Signs in. The cookie is as a browser sends it back. */
  signIn(mail: string, password: string): Promise<SignedIn>;
  /** Makes a token of a role, and its user. */
  addToken(role: Role, options?: { expiresAt?: number }): Promise<string>;
  issue(): Promise<TlsIdentity>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** What came of signing in. */
export interface SignedIn {
  readonly answer: Answer;
  readonly cookie: string;
  readonly csrfToken: string;
}

export interface CallOptions {
  readonly token?: string | null;
  readonly json?: unknown;
  readonly body?: string;
  readonly headers?: Record<string, string>;
}

/**
 * Starts the interface over a real registry in a temporary folder.
 * @param port any free one if not given
 */
export async function startApiFixture(
  port = 0,
  options: Partial<Pick<ApiOptions, 'stallTimeoutMs' | 'timeouts' | 'archivedFiles' | 'pagesFolder'>> = {},
): Promise<ApiFixture> {
  const folder = mkdtempSync(join(tmpdir(), 'd4-api-'));
  const logged: { level: number; msg: string }[] = [];
  const log = pino({ level: 'trace' }, { write: (line: string) => logged.push(JSON.parse(line)) });
  const registry = await openSqliteRegistry({ file: join(folder, 'r.sqlite'), keyFile: join(folder, 'r.key'), log });
  const paths = homePaths(folder);
  const certificate = new ServerCertificate(paths, await openIdentity(paths, log, Date.now()), log);
  const authority = { key: readFileSync(paths.rootCaKey, 'latin1'), certificate: certificate.identity.ca };
  const issue = async (): Promise<TlsIdentity> => {
    const subject = { commonName: 'localhost', names: ['localhost'], addresses: ['127.0.0.1'] };
    const { key, certificate } = await issueServerCertificate(authority, subject, Date.now());
    return { key, cert: certificate };
  };
  const queues = new MemoryQueues();
  const ingest = new FakeIngest();
  const state = { ready: true, damaged: [] as string[] };
  const ledger = new Ledger(join(folder, 'ledger.sqlite'), log);
  const journal = NO_JOURNAL;
  const counting = await beginCounting({ ledger, journal, registry, formats: formatFor, log });
  const monitor = new Monitor({
    ledger,
    counting,
    registry,
    journal,
    queues,
    alerts: { gatherSeconds: 0, smtp: { port: 587, tls: 'starttls' } },
    certificate: () => authority.certificate,
    damagedFiles: () => state.damaged,
    log,
  });
  monitor.start();
  const sessions = new SessionHistory({ file: join(folder, 'sessions.sqlite'), activity: registry.activity, log });
  sessions.follow(() => ingest.sessions());
  const threats = new ThreatStore(join(folder, 'maltrail.sqlite'));
  const maltrail = new Maltrail({ store: threats, journal, formats: formatFor, log });
  const clock = { now: NOW };
  const exporters = await Exporters.open({
    registry,
    journal,
    formats: formatFor,
    items: EMPTY_JOURNAL,
    self: () => 'this-server',
    home: folder,
    log,
  });
  const api = await startApi({
    listen: { host: '127.0.0.1', port },
    identity: certificate.identity,
    certificate,
    registry,
    queues,
    exporters,
    journal: NO_JOURNAL,
    archive: { status: () => ARCHIVE_STATUS },
    archivedFiles: new ArchivedFiles(folder, NO_JOURNAL),
    ingest,
    sessions,
    monitor,
    maltrail,
    retention: new FakeRetention(),
    redis: { clients: 2 },
    server: {
      version: '0.0.0-test',
      startedAt: NOW - 5_000,
      certificateSha256: 'ab'.repeat(32),
      config: {
        home: folder,
        mode: 'registration',
        sessions: { idleMinutes: 60, hours: 12 },
        metrics: { open: false },
      },
      settings: () => [
        { name: 'home', value: folder, source: 'default', description: 'The home' },
        { name: 'default-key', value: '********', source: 'D4_DEFAULT_KEY', description: 'The key' },
        { name: 'redis-socket', value: undefined, source: 'default', description: 'A socket' },
      ],
      isLocalToken: (token) => token === LOCAL_TOKEN,
      isReady: () => state.ready,
      addresses: () => ADDRESSES,
      damagedFiles: () => state.damaged,
    },
    forgetFirstPassword: () => {},
    backup: (data) => Readable.from([Buffer.from(`a backup: ${data}`)]),
    pagesFolder: join(folder, 'pages'),
    log,
    now: () => clock.now,
    ...options,
  }).catch(async (error) => {
    await registry.close();
    rmSync(folder, { recursive: true });
    throw error;
  });
  certificate.onChange((identity) => api.setIdentity(identity));
  let tokens = 0;
  const addUser: ApiFixture['addUser'] = async (mail, role, password) => {
    const passwordHash = password === undefined ? '' : await hashPassword(password);
    const user = { mail, passwordHash, role, mustChangePassword: false, createdAt: NOW };
    await registry.users.put(mail, user, { name: 'server' });
  };
  return {
    api,
    home: folder,
    ca: authority.certificate,
    registry,
    queues,
    ingest,
    monitor,
    logged,
    state,
    clock,
    issue,
    call: (method, path, options = {}) => call(api, authority.certificate, method, path, options),
    addUser,
    async signIn(mail, password) {
      const answer = await call(api, authority.certificate, 'POST', '/api/v1/session', {
        token: null,
        json: { mail, password },
      });
      const [cookie = ''] = answer.headers['set-cookie'] ?? [];
      const { csrfToken = '' } = (answer.body ?? {}) as { csrfToken?: string };
      return { answer, cookie: cookie.split(';', 1)[0] ?? '', csrfToken };
    },
    async addToken(role, options = {}) {
      const token = `${++tokens}`.padStart(41, 'token-');
      const user = `${role}@example.org`;
      if (registry.users.get(user) === undefined) await addUser(user, role);
      await registry.tokens.put(
        tokenHash(token),
        { name: 'test', user, role, createdAt: NOW, ...options },
        { name: 'server' },
      );
      return token;
    },
    async [Symbol.asyncDispose]() {
      certificate.close();
      await api.close();
      await exporters.close();
      await maltrail.close();
      threats.close();
      sessions.close();
      await monitor.close();
      await counting.close();
      await ledger.close();
      await registry.close();
      rmSync(folder, { recursive: true });
    },
  };
}

/** As the composition root gives them: with more than the addresses. */
const ADDRESSES = { listen: '127.0.0.1:1', web: '127.0.0.1:2', redis: '127.0.0.1:3', token: LOCAL_TOKEN };

const ARCHIVE_STATUS: ArchiveStatus = {
  root: '/archive',
  paused: false,
  topics: [{ topic: '3', lag: 4, filesFinished: 5, rejected: { 'not base64': 6 }, error: undefined }],
};

const NO_JOURNAL: Journal = {
  open: () => Promise.reject(new Error('not here')),
  get: () => undefined,
  onOpen: () => () => {},
  topics: () => [],
  close: async () => {},
};

function call(api: Api, ca: string, method: string, path: string, options: CallOptions): Promise<Answer> {
  const { token = LOCAL_TOKEN, json, headers = {} } = options;
  const body = json === undefined ? options.body : JSON.stringify(json);
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      {
        host: '127.0.0.1',
        port: api.address.port,
        ca,
        method,
        path,
        agent: false,
        headers: {
          ...(token !== null && { authorization: token }),
          ...(json !== undefined && { 'content-type': 'application/json' }),
          ...(body !== undefined && { 'content-length': String(Buffer.byteLength(body)) }),
          ...headers,
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          const isJson = response.headers['content-type']?.startsWith('application/json') === true;
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            body: isJson ? JSON.parse(text) : undefined,
          });
        });
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}
