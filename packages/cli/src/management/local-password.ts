import { resolve } from 'node:path';
import { D4Error } from '@d4ts/protocol';
import type { UserAdded } from '@d4ts/server';
import type { CommandContext } from './management-command.ts';
import { terminalText } from './terminal-text.ts';

/**
 * Gives a user another password and enables the user, on the server's machine: through the running server, or, where
 * none runs, in its home.
 * @throws {D4Error} D4_NOT_FOUND, D4_HOME_…
 */
export async function localPassword(context: CommandContext, mail: string, home: string | undefined): Promise<void> {
  const password = (await byServer(context, mail)) ?? (await inHome(mail, home));
  await context.show(
    { mail, password },
    () =>
      `user ${terminalText(mail)} has another password and is enabled\npassword (not shown again, to be changed at the next login): ${password}\n`,
  );
}

/** Undefined where no server runs. */
async function byServer(context: CommandContext, mail: string): Promise<string | undefined> {
  const path = `/users/${encodeURIComponent(mail)}`;
  try {
    const { api } = context;
    await api.patch(path, { disabled: false });
    return (await api.post<UserAdded>(`${path}/password`, {})).password ?? undefined;
  } catch (error) {
    if (error instanceof D4Error && error.code === 'D4_SERVER_NOT_RUNNING') return undefined;
    throw error;
  }
}

async function inHome(mail: string, home: string | undefined): Promise<string> {
  // Only here, so that other commands need not load the server.
  const { openLog, resetPasswordInHome } = await import('@d4ts/server');
  const { log, flush } = openLog({ level: 'warn', form: 'text' });
  try {
    return await resetPasswordInHome(
      resolve(home ?? (process.env.D4_HOME || './data')),
      mail.trim().toLowerCase(),
      log,
    );
  } finally {
    flush();
  }
}
