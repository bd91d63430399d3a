import type { Readable } from 'node:stream';
import type { Logger } from 'pino';
import type { Config } from './config/schema.ts';
import type { BackupManifest } from './home/backup/manifest.ts';
import type { EntryTaker } from './home/backup/read-backup.ts';
import type { HomeCheckOptions } from './home/check/check-home.ts';
import type { HomeCheck } from './home/check/findings.ts';
import type { RunningServer } from './server.ts';
import type { BackupData } from './server-facts.ts';

export type { AuditEntry, AuditPage } from './api/audit-schemas.ts';
export type { EnrolmentAdded, EnrolmentList } from './api/enrolment-schemas.ts';
export type { ExporterView } from './api/exporter-schemas.ts';
export type { LedgerRow, SensorLedger, ServerLedger } from './api/ledger-schemas.ts';
export type {
  MaltrailEventPage,
  MaltrailSummary,
  ThreatPage,
} from './api/maltrail-schemas.ts';
export type { History as SensorHistory, Overview, Rates } from './api/monitor-schemas.ts';
export type { LockoutView, TokenAdded, TokenView, UserAdded, UserView } from './api/people/people-schemas.ts';
export type {
  Acknowledged,
  Records,
  RecordView,
  Released,
  ReplayView,
  RewoundView,
} from './api/queue-record-schemas.ts';
export type { ErasureView, RetentionPlan, RetentionView, SpaceView } from './api/retention-schemas.ts';
export type {
  ArchivedFilePage,
  ArchivedFileView,
  BlockView,
  Credential,
  Items,
  ItemView,
  QueueView,
  Status,
  TypeView,
} from './api/schemas.ts';
export type { KeyChanged, RevealedKey } from './api/sensor-key-schemas.ts';
export type { SensorView } from './api/sensor-schemas.ts';
export type { CertificateView } from './api/settings-schemas.ts';
export { parseTargetSettings } from './config/declared-exporters.ts';
export { describeConfig, type SettingReport } from './config/describe.ts';
export { formatHostPort, type HostPort, parseHostPort } from './config/host-port.ts';
export { allowedValues, type ConfigInputs, loadConfig } from './config/load.ts';
export { allSettings, type Config, type Setting } from './config/schema.ts';
export type { BackupManifest } from './home/backup/manifest.ts';
export type { HomeCheckOptions } from './home/check/check-home.ts';
export type { CheckedPart, Finding, HomeCheck, Note } from './home/check/findings.ts';
export { readServerFile, type ServerFile } from './home/server-file.ts';
export { type OpenLog, openLog } from './log.ts';
export type { ExporterKind, ExporterSecrets, ExporterTarget } from './registry/exporter.ts';
export type { RunningServer } from './server.ts';
export { BACKUP_DATA, type BackupData } from './server-facts.ts';
export { VERSION } from './version.ts';

/** As `startServer` of server.ts, which is loaded by this: commands that only ask a server need nothing of it. */
export async function startServer(config: Config, log: Logger): Promise<RunningServer> {
  const server = await import('./server.ts');
  return server.startServer(config, log);
}

/** As `resetPasswordInHome` of home/local-password.ts, which is loaded by this. */
export async function resetPasswordInHome(home: string, mail: string, log: Logger): Promise<string> {
  const local = await import('./home/local-password.ts');
  return local.resetPasswordInHome(home, mail, log);
}

/** As `backupHome` of home/backup/backup-home.ts, which is loaded by this. */
export async function backupHome(home: string, archiveRoot: string, data: BackupData): Promise<Readable> {
  const offline = await import('./home/backup/backup-home.ts');
  return offline.backupHome(home, archiveRoot, data);
}

/** As `readBackup` of home/backup/read-backup.ts, which is loaded by this. */
export async function readBackup(file: string, take: EntryTaker): Promise<BackupManifest> {
  const reading = await import('./home/backup/read-backup.ts');
  return reading.readBackup(file, take);
}

/** As `restoreHome` of home/backup/restore.ts, which is loaded by this. */
export async function restoreHome(file: string, home: string): Promise<BackupManifest> {
  const restoring = await import('./home/backup/restore.ts');
  return restoring.restoreHome(file, home);
}

/** As `checkHome` of home/check/check-home.ts, which is loaded by this. */
export async function checkHome(options: HomeCheckOptions): Promise<HomeCheck> {
  const check = await import('./home/check/check-home.ts');
  return check.checkHome(options);
}
