import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pino } from 'pino';
import { verifyPassword } from '../registry/passwords.ts';
import { openSqliteRegistry } from '../registry/sqlite.ts';
import { ADMINISTRATOR, completeFirstStart } from './first-start.ts';
import { homePaths, openHome } from './home.ts';
import { resetPasswordInHome } from './local-password.ts';

const LOG = pino({ level: 'silent' });

test('who has the machine gets back in while no server runs', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'd4-local-password-'));
  try {
    const paths = homePaths(folder);
    const openRegistry = () => openSqliteRegistry({ file: paths.registry, keyFile: paths.registryKey, log: LOG });
    await assert.rejects(resetPasswordInHome(folder, ADMINISTRATOR, LOG), { code: 'D4_NOT_FOUND' });
    const home = openHome(folder);
    const before = await openRegistry();
    await completeFirstStart(before, paths.defaultPassword, 1);
    const first = before.users.get(ADMINISTRATOR);
    assert.ok(first !== undefined);
    await before.users.put(ADMINISTRATOR, { ...first.value, disabled: true }, { name: 'server' });
    const session = { user: ADMINISTRATOR, createdAt: 1, lastUsedAt: 1, address: '::1', userAgent: '' };
    await before.loginSessions.put('a', session, { name: 'server' });
    await before.close();
    await assert.rejects(resetPasswordInHome(folder, ADMINISTRATOR, LOG), { code: 'D4_HOME_HELD' });
    home.release();

    await assert.rejects(resetPasswordInHome(folder, 'x@example.org', LOG), {
      code: 'D4_NOT_FOUND',
      message: /admin@admin\.test \(admin\)/,
    });
    const password = await resetPasswordInHome(folder, ADMINISTRATOR, LOG);
    assert.equal(existsSync(paths.defaultPassword), false);
    const after = await openRegistry();
    const user = after.users.get(ADMINISTRATOR)?.value;
    assert.ok(user !== undefined);
    assert.deepEqual([user.disabled, user.mustChangePassword, after.loginSessions.size], [undefined, true, 0]);
    assert.equal(await verifyPassword(password, user.passwordHash), true);
    await after.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
