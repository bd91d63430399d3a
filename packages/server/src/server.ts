import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Logger } from 'pino';
import { AttemptThrottle } from './api/attempt-throttle.ts';
import { startApi } from './api/http-server.ts';
import { openArchive } from './archive/archive.ts';
import { ArchivedFiles } from './archive/listing.ts';
import { formatHostPort, type HostPort } from './config/host-port.ts';
import type { Config } from './config/schema.ts';
import { formatFor } from './formats/registry.ts';
import { completeFirstStart } from './home/first-start.ts';
import { openHome } from './home/home.ts';
import { openIdentity } from './home/identity.ts';
import { removeServerFile, type ServerFile, tokenComparison, writeServerFile } from './home/server-file.ts';
import { DEFAULT_LIMITS } from './ingest/limits.ts';
import { startIngest } from './ingest/listener.ts';
import { openFileJournal } from './journal/files.ts';
import { listening, sensorAddress } from './listen.ts';
import { openQueues, recordedSequences } from './queues/queues.ts';
import { startRedisSocket } from './queues/redis/socket.ts';
import { openSqliteRegistry } from './registry/sqlite.ts';
import { newToken } from './registry/tokens.ts';
import type { ServerFacts } from './server-facts.ts';
import { StartedParts } from './started-parts.ts';
import { VERSION } from './version.ts';

/** A server that serves: all its sockets listen, and `server.json` is written. */
export interface RunningServer extends ServerFacts {
  /** What `<home>/server.json` says. */
  readonly file: ServerFile;
  /** Path of `DEFAULT_PASSWORD`, which is there until the password is changed. */
  readonly defaultPassword: string | undefined;
  /**
   * Stops accepting, finishes what has arrived, saves everything, within 10 s; the second call waits for the first.
   * Never rejects: what cannot be stopped in time is logged and left.
   */
  stop(): Promise<void>;
}

/** How long each part may take to stop, in ms; they sum up to less than the 10 s that the whole may take. */
const STOP_WITHIN = { sockets: 5_500, archive: 2_000, queues: 700, journal: 900, registry: 300, home: 100 } as const;

/**
 * Starts the server: home, registry, identity, journal, queues, sockets, `server.json`. Where one of them fails, those
 * before it are stopped in reverse.
 * @throws {D4Error} D4_HOME_…, D4_REGISTRY_…, D4_IDENTITY, D4_JOURNAL_…, D4_LISTEN: saying what cannot start, why, and
 *   what to do
 */
export async function startServer(config: Config, log: Logger): Promise<RunningServer> {
  const parts = new StartedParts(log);
  try {
    return await startParts(config, log, parts);
  } catch (error) {
    await parts.stop();
    throw error;
  }
}

async function startParts(config: Config, log: Logger, parts: StartedParts): Promise<RunningServer> {
  const startedAt = Date.now();
  const home = openHome(config.home);
  const { paths } = home;
  parts.add('home', STOP_WITHIN.home, async () => home.release());

  const registry = await openSqliteRegistry({ file: paths.registry, keyFile: paths.registryKey, log });
  parts.add('registry', STOP_WITHIN.registry, () => registry.close());
  await completeFirstStart(registry, paths.defaultPassword, startedAt);
  const identity = await openIdentity(paths, log, startedAt);

  const journal = await openFileJournal({
    root: paths.journal,
    policy: config.journal.policy,
    log,
    minimumSequence: recordedSequences(registry, formatFor),
  });
  parts.add('journal', STOP_WITHIN.journal, () => journal.close());
  const queues = await openQueues({ registry, journal, formats: formatFor, log });
  parts.add('queues', STOP_WITHIN.queues, () => queues.close());

  const archive = await openArchive({
    root: config.archive.root === undefined ? paths.archive : resolve(config.home, config.archive.root),
    paused: config.archive.paused,
    registry,
    journal,
    formats: formatFor,
    log,
  });
  parts.add('archive', STOP_WITHIN.archive, () => archive.close());

  const token = newToken();
  let file: ServerFile | undefined;
  const facts: ServerFacts = {
    version: VERSION,
    startedAt,
    config,
    certificateSha256: identity.certificateSha256,
    ca: identity.ca,
    isLocalToken: tokenComparison(token),
    isReady: () => file !== undefined,
    addresses: () => file,
  };

  // Started one after the other, but stopped at the same time: each may take seconds to finish what it has.
  const sockets: { close(): Promise<void> }[] = [];
  parts.add('sockets', STOP_WITHIN.sockets, async () => {
    file = undefined;
    removeServerFile(config.home);
    await Promise.all(sockets.map((socket) => socket.close()));
  });
  const redis = await listening({ title: 'analyzers (Redis protocol)', flag: '--redis' }, config.redis, () =>
    startRedisSocket({
      listen: config.redis,
      path: config.redisSocket === undefined ? undefined : resolve(config.home, config.redisSocket),
      password: config.redisPassword,
      attempts: new AttemptThrottle(),
      queues,
      log,
    }),
  );
  sockets.push(redis);
  const listen = await sensorAddress(config, log);
  const ingest = await listening({ title: 'sensors', flag: '--listen' }, listen, () =>
    startIngest({
      listen,
      identity,
      mode: config.mode,
      defaultKey: config.defaultKey === undefined ? undefined : Buffer.from(config.defaultKey).toString('latin1'),
      limits: { ...DEFAULT_LIMITS, ...config.limits },
      registry,
      journal,
      formats: formatFor,
      log,
    }),
  );
  sockets.push(ingest);
  const api = await listening({ title: 'the HTTP interface', flag: '--web' }, config.web, () =>
    startApi({
      listen: config.web,
      identity,
      registry,
      queues,
      journal,
      archive,
      archivedFiles: new ArchivedFiles(archive.root, journal),
      ingest,
      redis,
      server: facts,
      log,
    }),
  );
  sockets.push(api);

  const written: ServerFile = {
    pid: process.pid,
    version: VERSION,
    home: config.home,
    startedAt,
    listen: formatHostPort(ingest.address),
    web: formatHostPort(api.address),
    redis: formatHostPort(redis.address),
    url: `https://${formatHostPort(reachable(api.address))}`,
    ca: identity.ca,
    certificateSha256: identity.certificateSha256,
    token,
  };
  writeServerFile(config.home, written);
  file = written;
  log.info(
    { version: VERSION, listen: file.listen, web: file.web, redis: file.redis, home: config.home },
    'the server is ready',
  );
  return {
    ...facts,
    file: written,
    defaultPassword: existsSync(paths.defaultPassword) ? paths.defaultPassword : undefined,
    stop: () => parts.stop(),
  };
}

/** An address of this machine for one that means all of them. */
function reachable({ host, port }: HostPort): HostPort {
  if (host === '0.0.0.0') return { host: '127.0.0.1', port };
  return host === '::' ? { host: '::1', port } : { host, port };
}
