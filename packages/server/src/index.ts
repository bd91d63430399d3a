import type { Writable } from 'node:stream';
import type { Logger } from 'pino';
import type { Config } from './config/schema.ts';
import type { UdpExportOptions } from './export/udp.ts';
import type { RunningServer } from './server.ts';

export type {
  ArchivedFilePage,
  ArchivedFileView,
  BlockView,
  Credential,
  Items,
  ItemView,
  QueueView,
  SensorView,
  Status,
  TypeView,
} from './api/schemas.ts';
export { describeConfig, type SettingReport } from './config/describe.ts';
export { formatHostPort, type HostPort, parseHostPort } from './config/host-port.ts';
export { allowedValues, type ConfigInputs, loadConfig } from './config/load.ts';
export { allSettings, type Config, type Setting } from './config/schema.ts';
export type { UdpExportOptions } from './export/udp.ts';
export { readServerFile, type ServerFile } from './home/server-file.ts';
export { type OpenLog, openLog } from './log.ts';
export type { RunningServer } from './server.ts';
export { VERSION } from './version.ts';

/** As `startServer` of server.ts, which is loaded by this: commands that only ask a server need nothing of it. */
export async function startServer(config: Config, log: Logger): Promise<RunningServer> {
  const server = await import('./server.ts');
  return server.startServer(config, log);
}

/** As `runUdpExport` of export/udp.ts, which is loaded by this. */
export async function runUdpExport(options: UdpExportOptions, signal: AbortSignal, stderr: Writable): Promise<number> {
  const udp = await import('./export/udp.ts');
  return udp.runUdpExport(options, signal, stderr);
}
