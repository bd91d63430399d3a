import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { verifyPassword } from '../registry/passwords.ts';
import { openSqliteRegistry } from '../registry/sqlite.ts';
import { tokenHash } from '../registry/tokens.ts';
import { completeFirstStart } from './first-start.ts';

describe('the first start', () => {
  it('makes the administrator, his key and the accepted types, once', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'd4-first-start-'));
    const file = join(folder, 'DEFAULT_PASSWORD');
    const log = pino({ level: 'silent' });
    const registry = await openSqliteRegistry({ file: join(folder, 'r'), keyFile: join(folder, 'k'), log });
    try {
      // What a start that was killed in the middle has left: some types, and a key that nobody knows.
      await registry.types.put('1', { name: '1', createdAt: 1 }, { name: 'server' });
      const lost = { name: 'first start', user: 'admin@admin.test', role: 'admin', createdAt: 1 } as const;
      await registry.tokens.put(tokenHash('lost'), lost, { name: 'server' });

      assert.equal(await completeFirstStart(registry, file, 5), true);
      const content = readFileSync(file, 'utf8');
      assert.equal(statSync(file).mode & 0o777, 0o600);
      const [, password, apiKey] =
        /^email=admin@admin\.test\npassword=(\S+)\nAPI_Key=([A-Za-z0-9_-]{41})\n$/.exec(content) ?? [];
      assert.ok(password && apiKey);
      const administrator = registry.users.get('admin@admin.test')?.value;
      assert.equal(administrator?.mustChangePassword, true);
      assert.equal(administrator.role, 'admin');
      assert.equal(await verifyPassword(password, administrator.passwordHash), true);
      assert.equal(registry.tokens.size, 1);
      assert.equal(registry.tokens.get(tokenHash(apiKey))?.value.user, 'admin@admin.test');
      const types = [...registry.types.entries()].map(([name]) => name);
      assert.deepEqual(types.toSorted(), ['1', '2', '254', '3', '4', '6', '8', 'ja3-jl', 'maltrail']);

      await registry.types.remove('4', { name: 'local' });
      assert.equal(await completeFirstStart(registry, file, 6), false);
      assert.equal(readFileSync(file, 'utf8'), content);
      assert.equal(registry.types.size, 8);
    } finally {
      await registry.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
