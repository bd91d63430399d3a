import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SensorId } from '@d4ts/protocol';
import { pino } from 'pino';
import type { ArchiveStatus } from '../archive/archive.ts';
import { ArchivedFiles } from '../archive/listing.ts';
import { issueServerCertificate, makeCertificateAuthority } from '../home/certificates.ts';
import type { Ingest, SessionInfo } from '../ingest/port.ts';
import type { Journal } from '../journal/port.ts';
import { MemoryQueues } from '../queues/redis/memory-queues-fixture.ts';
import type { Registry, Role } from '../registry/port.ts';
import { openSqliteRegistry } from '../registry/sqlite.ts';
import { tokenHash } from '../registry/tokens.ts';
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

  setIdentity(): void {}

  async close(): Promise<void> {}
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
  readonly ca: string;
  readonly registry: Registry;
  readonly queues: MemoryQueues;
  readonly ingest: FakeIngest;
  readonly logged: { level: number; msg: string }[];
  readonly state: { ready: boolean };
  /** Asks as the local administrator, unless another token, or null for none, is given. */
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  /** Makes a token of a role. */
  addToken(role: Role, options?: { expiresAt?: number }): Promise<string>;
  issue(): Promise<TlsIdentity>;
  [Symbol.asyncDispose](): Promise<void>;
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
  options: Partial<Pick<ApiOptions, 'stallTimeoutMs' | 'archivedFiles'>> = {},
): Promise<ApiFixture> {
  const folder = mkdtempSync(join(tmpdir(), 'd4-api-'));
  const logged: { level: number; msg: string }[] = [];
  const log = pino({ level: 'trace' }, { write: (line: string) => logged.push(JSON.parse(line)) });
  const registry = await openSqliteRegistry({ file: join(folder, 'r.sqlite'), keyFile: join(folder, 'r.key'), log });
  const authority = await makeCertificateAuthority('test', Date.now());
  const issue = async (): Promise<TlsIdentity> => {
    const subject = { commonName: 'localhost', names: ['localhost'], addresses: ['127.0.0.1'] };
    const { key, certificate } = await issueServerCertificate(authority, subject, Date.now());
    return { key, cert: certificate };
  };
  const queues = new MemoryQueues();
  const ingest = new FakeIngest();
  const state = { ready: true };
  const api = await startApi({
    listen: { host: '127.0.0.1', port },
    identity: await issue(),
    registry,
    queues,
    journal: NO_JOURNAL,
    archive: { status: () => ARCHIVE_STATUS },
    archivedFiles: new ArchivedFiles(folder, NO_JOURNAL),
    ingest,
    redis: { clients: 2 },
    server: {
      version: '0.0.0-test',
      startedAt: NOW - 5_000,
      certificateSha256: 'ab'.repeat(32),
      config: { home: folder, mode: 'registration' },
      isLocalToken: (token) => token === LOCAL_TOKEN,
      isReady: () => state.ready,
      addresses: () => ADDRESSES,
    },
    log,
    now: () => NOW,
    ...options,
  }).catch(async (error) => {
    await registry.close();
    rmSync(folder, { recursive: true });
    throw error;
  });
  let tokens = 0;
  return {
    api,
    ca: authority.certificate,
    registry,
    queues,
    ingest,
    logged,
    state,
    issue,
    call: (method, path, options = {}) => call(api, authority.certificate, method, path, options),
    async addToken(role, options = {}) {
      const token = `${++tokens}`.padStart(41, 'token-');
      const user = `${role}@example.org`;
      await registry.tokens.put(
        tokenHash(token),
        { name: 'test', user, role, createdAt: NOW, ...options },
        { name: 'server' },
      );
      return token;
    },
    async [Symbol.asyncDispose]() {
      await api.close();
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
