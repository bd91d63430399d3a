import { existsSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { D4Error } from '@d4ts/protocol';
import type { Logger } from 'pino';
import { AttemptThrottle } from './api/attempt-throttle.ts';
import { startApi } from './api/http-server.ts';
import { openArchive } from './archive/archive.ts';
import { archivedItems } from './archive/archived-items.ts';
import { ArchivedFiles } from './archive/listing.ts';
import { describeConfig } from './config/describe.ts';
import { formatHostPort, type HostPort } from './config/host-port.ts';
import type { Config } from './config/schema.ts';
import { serverHop } from './export/d4-target.ts';
import { eventsOnly } from './export/events-only.ts';
import { Exporters, exporterSequences } from './export/exporters.ts';
import { formatFor } from './formats/registry.ts';
import { backupStream } from './home/backup/write-backup.ts';
import { ADMINISTRATOR, completeFirstStart } from './home/first-start.ts';
import { openHome } from './home/home.ts';
import { openIdentity } from './home/identity.ts';
import { ServerCertificate } from './home/server-certificate.ts';
import { removeServerFile, type ServerFile, tokenComparison, writeServerFile } from './home/server-file.ts';
import { sumsDatabases } from './home/sums-databases.ts';
import { DEFAULT_LIMITS } from './ingest/limits.ts';
import { startIngest } from './ingest/listener.ts';
import { openFileJournal } from './journal/files.ts';
import { listening, sensorAddress } from './listen.ts';
import { MALTRAIL_TOPIC, Maltrail } from './maltrail/maltrail.ts';
import { openThreats } from './maltrail/open-threats.ts';
import { beginCounting } from './monitor/ledger/counting.ts';
import { openLedger } from './monitor/ledger/open-ledger.ts';
import { Monitor } from './monitor/monitor.ts';
import { SessionHistory } from './monitor/sessions/session-history.ts';
import { ItemCursors } from './queues/item-cursor.ts';
import { openQueues, recordedSequences, sourceTopic } from './queues/queues.ts';
import { startRedisSocket } from './queues/redis/socket.ts';
import { startExpiry } from './registry/expiry.ts';
import { mendDatabase } from './registry/mend-database.ts';
import { filesAside } from './registry/set-aside.ts';
import { openSqliteRegistry } from './registry/sqlite.ts';
import { newToken } from './registry/tokens.ts';
import { finishEarlierRemovals } from './retention/archive-removal.ts';
import { DiskWatch, segmentBytesFor } from './retention/disk-watch.ts';
import { startRetention } from './retention/retention.ts';
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

/** Where packages/web is built. */
const PAGES_FOLDER = join(import.meta.dirname, '..', '..', 'web', 'dist');

/** How long each part may take to stop, in ms; they sum up to less than the 10 s that the whole may take. */
const STOP_WITHIN = {
  sockets: 5_400,
  monitor: 100,
  retention: 200,
  archive: 1_800,
  queues: 700,
  counting: 200,
  journal: 900,
  ledger: 200,
  threats: 50,
  sessions: 50,
  maltrail: 100,
  registry: 300,
  home: 100,
  expiry: 50,
  certificate: 50,
} as const;

/**
 * Starts the server: home, registry, identity, journal, queues, sockets, `server.json`. Where one of them fails, those
 * before it are stopped in reverse.
 * @throws {D4Error} D4_HOME_…, D4_REGISTRY_…, D4_IDENTITY, D4_JOURNAL_…, D4_LISTEN: saying what cannot start, why, and
 *   what to do
 */
export async function startServer(config: Config, log: Logger): Promise<RunningServer> {
  const parts = new StartedParts(log);
  const isNew = !existsSync(config.home);
  try {
    return await startParts(config, log, parts);
  } catch (error) {
    await parts.stop();
    throw isNew ? withNewHome(error, config.home) : error;
  }
}

/** Says that a home was made all the same, and what to do with it. */
function withNewHome(error: unknown, home: string): unknown {
  if (!(error instanceof D4Error) || error.code !== 'D4_LISTEN') return error;
  const what = 'registry, certificates and the first password in DEFAULT_PASSWORD';
  const message = `${error.message}. The home ${home} was made before that (${what}): the next start goes on with it; remove it if it is not wanted`;
  return new D4Error(error.code, message, error);
}

async function startParts(config: Config, log: Logger, parts: StartedParts): Promise<RunningServer> {
  const startedAt = Date.now();
  const home = openHome(config.home);
  const { paths } = home;
  parts.add('home', STOP_WITHIN.home, async () => home.release());

  for (const database of Object.values(sumsDatabases(paths))) mendDatabase(database, paths.damaged, log);
  const registry = await openSqliteRegistry({
    file: paths.registry,
    keyFile: paths.registryKey,
    log,
    rescue: { copy: paths.registryCopy, keyCopy: paths.registryKeyCopy, folder: paths.damaged },
  });
  parts.add('registry', STOP_WITHIN.registry, () => registry.close());
  const expiry = await startExpiry(registry, log);
  parts.add('expiry', STOP_WITHIN.expiry, () => expiry.close());
  await completeFirstStart(registry, paths.defaultPassword, startedAt);
  const certificate = new ServerCertificate(paths, await openIdentity(paths, log, startedAt), log);
  parts.add('certificate', STOP_WITHIN.certificate, async () => certificate.close());

  const ledger = openLedger(paths.ledger, log);
  parts.add('ledger', STOP_WITHIN.ledger, () => ledger.close());
  const threats = openThreats(paths.maltrail, log);
  parts.add('threats', STOP_WITHIN.threats, async () => threats.close());

  const sequenceOfQueues = recordedSequences(registry, formatFor);
  const sequenceOfExporters = exporterSequences(registry, (topic) => sourceTopic(topic, formatFor(topic)));
  const journal = await openFileJournal({
    root: paths.journal,
    segmentBytes: await segmentBytesFor(config.home),
    policy: config.journal.policy,
    log,
    minimumSequence: (topic) =>
      Math.max(
        ...[sequenceOfQueues(topic), sequenceOfExporters(topic), ledger.counted(topic)],
        topic === MALTRAIL_TOPIC ? threats.marks.next : 0,
      ),
  });
  parts.add('journal', STOP_WITHIN.journal, () => journal.close());
  const counting = await beginCounting({ ledger, journal, registry, formats: formatFor, log });
  parts.add('counting', STOP_WITHIN.counting, () => counting.close());
  const sessions = new SessionHistory({ file: paths.sessions, activity: registry.activity, log });
  parts.add('sessions', STOP_WITHIN.sessions, async () => sessions.close());
  counting.ingest.onOpened((sensor, topic) => sessions.opened(sensor, topic));
  registry.sensors.watch(({ before, after }) => {
    if (before !== undefined && after === undefined) sessions.forget(before.uuid);
  });
  const archiveRoot = config.archive.root === undefined ? paths.archive : resolve(config.home, config.archive.root);
  const queues = await openQueues({
    registry,
    journal,
    formats: formatFor,
    log,
    onTaken: counting.onTaken,
    archived: (range) => archivedItems({ root: archiveRoot, journal, formats: formatFor, log }, range),
  });
  parts.add('queues', STOP_WITHIN.queues, () => queues.close());

  const maltrail = new Maltrail({ store: threats, journal, formats: formatFor, log });
  parts.add('maltrail', STOP_WITHIN.maltrail, () => maltrail.close());

  await finishEarlierRemovals(registry.archive, log);
  const archive = await openArchive({
    root: archiveRoot,
    paused: config.archive.paused,
    registry,
    journal,
    formats: formatFor,
    log,
  });
  parts.add('archive', STOP_WITHIN.archive, () => archive.close());

  const monitor = new Monitor({
    ledger,
    counting,
    registry,
    journal,
    queues,
    alerts: config.alerts,
    certificate: () => certificate.identity.cert,
    damagedFiles: () => filesAside(paths.damaged),
    log,
  });
  parts.add('monitor', STOP_WITHIN.monitor, () => monitor.close());
  monitor.start();

  const token = newToken();
  let file: ServerFile | undefined;
  const facts: ServerFacts = {
    version: VERSION,
    startedAt,
    config,
    get certificateSha256() {
      return certificate.identity.certificateSha256;
    },
    get ca() {
      return certificate.identity.ca;
    },
    settings: () => describeConfig(config),
    isLocalToken: tokenComparison(token),
    isReady: () => file !== undefined,
    addresses: () => file,
    damagedFiles: () => filesAside(paths.damaged),
  };

  // Started one after the other, but stopped at the same time: each may take seconds to finish what it has.
  const sockets: { close(): Promise<void> }[] = [];
  parts.add('sockets', STOP_WITHIN.sockets, async () => {
    file = undefined;
    removeServerFile(config.home);
    await Promise.all(sockets.map((socket) => socket.close()));
  });
  const exporters = await Exporters.open({
    registry,
    journal,
    formats: formatFor,
    items: new ItemCursors({ registry, journal, formats: formatFor }),
    self: () => serverHop(certificate.identity.cert),
    home: config.home,
    declared: config.exporters,
    filterFor: eventsOnly,
    log,
  });
  sockets.push(exporters);
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
      identity: certificate.identity,
      mode: config.mode,
      defaultKey: config.defaultKey === undefined ? undefined : Buffer.from(config.defaultKey).toString('latin1'),
      limits: { ...DEFAULT_LIMITS, ...config.limits },
      registry,
      journal,
      formats: formatFor,
      log,
      ledger: counting.ingest,
    }),
  );
  sockets.push(ingest);
  sessions.follow(() => ingest.sessions());
  const retention = await startRetention({
    settings: config.retention,
    registry,
    journal,
    queues: exporters.amongQueues(queues),
    archive,
    sensors: ingest,
    disks: await DiskWatch.open({ journal: paths.journal, archive: archive.root }, config.retention),
    forget: (sensor) => maltrail.forget(sensor),
    losses: ledger,
    log,
  });
  parts.add('retention', STOP_WITHIN.retention, () => retention.close());
  const api = await listening({ title: 'the HTTP interface', flag: '--web' }, config.web, () =>
    startApi({
      listen: config.web,
      identity: certificate.identity,
      registry,
      queues,
      exporters,
      journal,
      archive,
      archivedFiles: new ArchivedFiles(archive.root, journal),
      ingest,
      redis,
      monitor,
      sessions,
      maltrail,
      retention,
      server: facts,
      certificate,
      backup: (data) => backupStream({ paths, archiveRoot: archive.root, journal }, data),
      forgetFirstPassword: (mail) => {
        if (mail === ADMINISTRATOR) rmSync(paths.defaultPassword, { force: true });
      },
      pagesFolder: PAGES_FOLDER,
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
    ca: facts.ca,
    certificateSha256: facts.certificateSha256,
    token,
  };
  writeServerFile(config.home, written);
  file = written;
  certificate.onChange((identity) => {
    for (const listener of [ingest, api]) listener.setIdentity(identity);
    const { ca, certificateSha256 } = identity;
    file = { ...written, ca, certificateSha256 };
    writeServerFile(config.home, file);
  });
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
