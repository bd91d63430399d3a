import type { Command } from 'commander';
import { registerArchiveCommands } from './management/archive-commands.ts';
import { registerBlockCommands } from './management/block-commands.ts';
import { registerQueueCommands } from './management/queue-commands.ts';
import { registerSensorCommands } from './management/sensor-commands.ts';
import { registerStatusCommands } from './management/status-commands.ts';
import { registerTypeCommands } from './management/type-commands.ts';

/** Adds the commands that manage a running server through its HTTP interface. */
export function registerManagementCommands(program: Command): void {
  registerSensorCommands(program);
  registerTypeCommands(program);
  registerQueueCommands(program);
  registerBlockCommands(program);
  registerArchiveCommands(program);
  registerStatusCommands(program);
}
