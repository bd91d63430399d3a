import type { Command } from 'commander';
import { registerArchiveCommands } from './management/archive-commands.ts';
import { registerAuditCommand } from './management/audit-command.ts';
import { registerBlockCommands } from './management/block-commands.ts';
import { registerCertificateCommands } from './management/certificate-commands.ts';
import { registerEnrollCommands } from './management/enroll-commands.ts';
import { registerExporterCommands } from './management/exporter-commands.ts';
import { registerLedgerCommand } from './management/ledger-commands.ts';
import { registerMaltrailCommands } from './management/maltrail-commands.ts';
import { registerQueueCommands } from './management/queue-commands.ts';
import { registerRetentionCommands } from './management/retention-commands.ts';
import { registerSensorCommands } from './management/sensor-commands.ts';
import { registerStatusCommands } from './management/status-commands.ts';
import { registerTokenCommands } from './management/token-commands.ts';
import { registerTypeCommands } from './management/type-commands.ts';
import { registerUserCommands } from './management/user-commands.ts';

/** Adds the commands that manage a running server through its HTTP interface. */
export function registerManagementCommands(program: Command): void {
  registerSensorCommands(program);
  registerEnrollCommands(program);
  registerTypeCommands(program);
  registerQueueCommands(program);
  registerExporterCommands(program);
  registerMaltrailCommands(program);
  registerBlockCommands(program);
  registerArchiveCommands(program);
  registerRetentionCommands(program);
  registerLedgerCommand(program);
  registerUserCommands(program);
  registerTokenCommands(program);
  registerAuditCommand(program);
  registerCertificateCommands(program);
  registerStatusCommands(program);
}
