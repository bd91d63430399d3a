import type { Writable } from 'node:stream';
import type { Logger } from 'pino';
import type { Config } from './config/schema.ts';
import type { QueueExport } from './export/queue-export.ts';
import type { RunningServer } from './server.ts';

export type { AuditEntry, AuditPage } from './api/audit-schemas.ts';
export type { ExporterView } from './api/exporter-schemas.ts';
export type { LedgerRow, SensorLedger, ServerLedger } from './api/ledger-schemas.ts';
export type { History as SensorHistory, Overview, Rates } from './api/monitor-schemas.ts';
export type { LockoutView, TokenAdded, TokenView, UserAdded, UserView } from './api/people/people-schemas.ts';
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
export type { CommandTarget, QueueExport } from './export/queue-export.ts';
export { readServerFile, type ServerFile } from './home/server-file.ts';
export { type OpenLog, openLog } from './log.ts';
export type { ExporterKind, ExporterSecrets, ExporterTarget } from './registry/exporter.ts';
export type { RunningServer } from './server.ts';
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

/** As `runQueueExport` of export/queue-export.ts, which is loaded by this. */
export async function runQueueExport(
  options: QueueExport,
  signal: AbortSignal,
  streams: { readonly stdout: Writable; readonly stderr: Writable },
): Promise<number> {
  const exporting = await import('./export/queue-export.ts');
  return exporting.runQueueExport(options, signal, streams);
}
