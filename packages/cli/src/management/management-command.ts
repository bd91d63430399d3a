import type { Command } from 'commander';
import { ApiConnection } from './api-connection.ts';
import { print, printJson } from './output.ts';
import { type AccessOptions, addAccessOptions, serverAccess } from './server-access.ts';

/** What a management command needs: the server, and where to print. */
export interface CommandContext {
  /** Found on first use. @throws {D4Error} D4_USAGE, D4_SERVER_NOT_RUNNING, D4_SERVER_FILE */
  readonly api: ApiConnection;
  /** Prints the value as JSON where that was asked for, else the text for people. */
  show(value: unknown, text: () => string): Promise<void>;
  readonly json: boolean;
}

/**
 * Ends the making of a command: adds the options that all management commands share, and its action.
 * @param action gets the command's arguments, as commander has read them, and its options
 */
export function managementCommand<A extends readonly unknown[], O extends object = object>(
  command: Command,
  action: (context: CommandContext, options: O, ...parameters: A) => Promise<void>,
): void {
  const parameters = command.registeredArguments.length;
  addAccessOptions(command).action(async (...given: unknown[]) => {
    const options = given[parameters] as O & AccessOptions;
    const json = options.json === true;
    let api: ApiConnection | undefined;
    const context: CommandContext = {
      get api() {
        api ??= new ApiConnection(serverAccess(options, process.env));
        return api;
      },
      show: (value, text) => (json ? printJson(value) : print(text())),
      json,
    };
    await action(context, options, ...(given.slice(0, parameters) as unknown as A));
  });
}
