import { randomBytes } from 'node:crypto';
import { writeFileDurably } from '../registry/durable-file.ts';
import { hashPassword } from '../registry/passwords.ts';
import type { Actor, Registry } from '../registry/port.ts';
import { newToken, tokenHash } from '../registry/tokens.ts';

/** The administrator that a first start makes; the ecosystem's scripts know the address (docs/drop-in.md). */
export const ADMINISTRATOR = 'admin@admin.test';

/** What is accepted until the operator says otherwise. */
const ACCEPTED = ['1', '2', '3', '4', '6', '8', '254', 'ja3-jl', 'maltrail'] as const;

const SERVER: Actor = { name: 'server' };

/**
 * Makes the administrator, his API key and the accepted types, and writes the credentials to `file` (0600), if the
 * registry has no user yet. The file is written first and the user last, so a start that is killed in between is done
 * again as a whole.
 * @returns whether this was the first start
 */
export async function completeFirstStart(registry: Registry, file: string, now: number): Promise<boolean> {
  if (registry.users.size > 0) return false;
  const password = randomBytes(15).toString('base64url');
  const apiKey = newToken();
  writeFileDurably(file, `email=${ADMINISTRATOR}\npassword=${password}\nAPI_Key=${apiKey}\n`, 0o600);

  for (const name of ACCEPTED) {
    if (registry.types.get(name) === undefined) await registry.types.put(name, { name, createdAt: now }, SERVER);
  }
  for (const [key, { value }] of [...registry.tokens.entries()]) {
    if (value.user === ADMINISTRATOR) await registry.tokens.remove(key, SERVER);
  }
  await registry.tokens.put(
    tokenHash(apiKey),
    { name: 'first start', user: ADMINISTRATOR, role: 'admin', createdAt: now },
    SERVER,
  );
  await registry.users.put(
    ADMINISTRATOR,
    {
      mail: ADMINISTRATOR,
      passwordHash: await hashPassword(password),
      role: 'admin',
      mustChangePassword: true,
      createdAt: now,
    },
    SERVER,
  );
  return true;
}
