import { randomBytes } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { D4Error } from '@d4ts/protocol';
import type { Logger } from 'pino';
import { hashPassword } from '../registry/passwords.ts';
import { openSqliteRegistry } from '../registry/sqlite.ts';
import { ADMINISTRATOR } from './first-start.ts';
import { homePaths, openHome } from './home.ts';

/** 120 bits. */
const PASSWORD_BYTES = 15;

/**
 * The way back in for who has the machine, while no server runs on the home: gives a user a password made by chance,
 * which has to be changed at the next login, and enables the user. All sessions of the user end.
 * @param mail lower case
 * @returns the password
 * @throws {D4Error} D4_NOT_FOUND (no such home or user), D4_HOME_HELD (a server runs), D4_REGISTRY_…
 */
export async function resetPasswordInHome(home: string, mail: string, log: Logger): Promise<string> {
  if (!existsSync(homePaths(home).registry)) {
    throw new D4Error('D4_NOT_FOUND', `${home} is no home of a server: say where it is with --home`);
  }
  const { paths, release } = openHome(home);
  try {
    const registry = await openSqliteRegistry({ file: paths.registry, keyFile: paths.registryKey, log });
    try {
      const user = registry.users.get(mail);
      if (user === undefined) {
        const known = [...registry.users.entries()].map(([each, { value }]) => `${each} (${value.role})`);
        throw new D4Error('D4_NOT_FOUND', `there is no user ${mail}; there are: ${known.join(', ')}`);
      }
      const password = randomBytes(PASSWORD_BYTES).toString('base64url');
      const { disabled: _, ...rest } = user.value;
      const actor = { name: 'local' };
      const passwordHash = await hashPassword(password);
      await registry.users.put(mail, { ...rest, passwordHash, mustChangePassword: true }, actor, user.revision);
      for (const [key, { value }] of [...registry.loginSessions.entries()]) {
        if (value.user === mail) await registry.loginSessions.remove(key, actor);
      }
      if (mail === ADMINISTRATOR) rmSync(paths.defaultPassword, { force: true });
      return password;
    } finally {
      await registry.close();
    }
  } finally {
    release();
  }
}
