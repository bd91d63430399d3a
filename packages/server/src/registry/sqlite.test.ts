import assert from 'node:assert/strict';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { newSensorId } from '@d4ts/protocol';
import { pino } from 'pino';
import { testRegistryContract } from './contract.ts';
import type { Registry, Sensor } from './port.ts';
import { openSqliteRegistry } from './sqlite.ts';
import { MIGRATIONS, migrate } from './sqlite-format.ts';

const LOG = pino({ level: 'silent' });
const ADMIN = { name: 'admin@admin.test', address: '192.0.2.1' };

testRegistryContract('SQLite', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'd4-registry-'));
  return {
    open: () => openIn(folder),
    dispose: async () => rmSync(folder, { recursive: true, force: true }),
  };
});

function openIn(folder: string, migrations = MIGRATIONS): Promise<Registry> {
  const options = {
    file: join(folder, 'registry.sqlite'),
    keyFile: join(folder, 'registry.key'),
    log: LOG,
    migrations,
  };
  return openSqliteRegistry({ ...options, now: () => 1_234 });
}

function sensorWith(key: string): Sensor {
  return {
    uuid: newSensorId(),
    key,
    state: 'approved',
    description: 'north gate',
    mail: '',
    thirdParty: false,
    unproven: false,
    createdAt: 1,
  };
}

describe('the registry in SQLite', () => {
  const inFolder = (test: (folder: string, file: string) => Promise<void>) => async () => {
    const folder = mkdtempSync(join(tmpdir(), 'd4-registry-'));
    try {
      await test(folder, join(folder, 'registry.sqlite'));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };

  it(
    'has a change on disk before it is resolved',
    inFolder(async (folder, file) => {
      const registry = await openIn(folder);
      await registry.types.put('3', { name: '3', createdAt: 5 }, ADMIN);
      const reader = new DatabaseSync(file, { readOnly: true });
      assert.equal(reader.prepare("SELECT revision FROM document WHERE key = '3'").get()?.revision, 1);
      reader.close();
      await registry.close();
    }),
  );

  it(
    'keeps secrets out of its files and of the audit record',
    inFolder(async (folder, file) => {
      const registry = await openIn(folder);
      const sensor = sensorWith('a-most-secret-key');
      const hash = `$scrypt$ln=15,r=8,p=1$c2FsdA$${'aGFzaA'.repeat(4)}`;
      const token = '0123456789abcdef'.repeat(4);
      await registry.sensors.put(sensor.uuid, sensor, ADMIN);
      await registry.sensors.put(sensor.uuid, { ...sensor, key: 'the-next-secret-key' }, ADMIN);
      await registry.users.put(
        'a@b',
        { mail: 'a@b', passwordHash: hash, role: 'user', mustChangePassword: false, createdAt: 1 },
        ADMIN,
      );
      await registry.tokens.put(token, { name: 't', user: 'a@b', role: 'user', createdAt: 1 }, ADMIN);

      const files = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'latin1'));
      assert.doesNotMatch(files.join(''), /secret-key/);
      const reader = new DatabaseSync(file, { readOnly: true });
      const audit = reader.prepare('SELECT * FROM audit ORDER BY id').all();
      reader.close();
      await registry.close();
      assert.equal(audit.length, 4);
      const text = JSON.stringify(audit);
      assert.ok(!text.includes(hash) && !text.includes(token));
      assert.deepEqual(
        { ...audit[1], before: null, after: null },
        {
          id: 2,
          time: 1_234,
          actor: 'admin@admin.test',
          address: '192.0.2.1',
          collection: 'sensors',
          key: sensor.uuid,
          before: null,
          after: null,
          event: 0,
        },
      );
      assert.equal(JSON.parse(String(audit[1]?.before)).key, '(secret)');
      assert.equal(JSON.parse(String(audit[1]?.after)).key, '(another secret)');
      assert.equal(JSON.parse(String(audit[1]?.after)).description, 'north gate');
      assert.equal(audit[3]?.key, '01234567…');
    }),
  );

  it(
    'has files that only the owner reads',
    inFolder(async (folder) => {
      const registry = await openIn(folder);
      for (const name of readdirSync(folder)) assert.equal(statSync(join(folder, name)).mode & 0o077, 0, name);
      await registry.close();
    }),
  );

  it(
    'does not open without its key file, or with another one',
    inFolder(async (folder) => {
      const keyFile = join(folder, 'registry.key');
      await (await openIn(folder)).close();
      const key = readFileSync(keyFile, 'utf8');
      rmSync(keyFile);
      await assert.rejects(openIn(folder), { code: 'D4_REGISTRY_KEY', message: /missing/ });
      writeFileSync(keyFile, `${'0'.repeat(64)}\n`);
      await assert.rejects(openIn(folder), { code: 'D4_REGISTRY_KEY', message: /right one/ });
      writeFileSync(keyFile, 'nonsense');
      await assert.rejects(openIn(folder), { code: 'D4_REGISTRY_KEY', message: /not a key file/ });
      writeFileSync(keyFile, key);
      await (await openIn(folder)).close();
    }),
  );

  it(
    'says that its file is damaged',
    inFolder(async (folder, file) => {
      const registry = await openIn(folder);
      for (let n = 0; n < 50; n++) {
        const sensor = sensorWith('k'.repeat(1_000));
        await registry.sensors.put(sensor.uuid, sensor, ADMIN);
      }
      await registry.close();
      const descriptor = openSync(file, 'r+');
      writeSync(descriptor, Buffer.alloc(8_192, 0xa5), 0, 8_192, 8_192);
      closeSync(descriptor);
      await assert.rejects(openIn(folder), {
        code: 'D4_REGISTRY_DAMAGED',
        message: /registry\.sqlite is damaged.*backup/,
      });
      writeFileSync(file, 'this was a database once'.repeat(1_000));
      await assert.rejects(openIn(folder), {
        code: 'D4_REGISTRY_DAMAGED',
        message: /registry\.sqlite is damaged.*backup/,
      });
    }),
  );

  it(
    'says which document does not fit',
    inFolder(async (folder, file) => {
      const registry = await openIn(folder);
      await registry.types.put('3', { name: '3', createdAt: 5 }, ADMIN);
      await registry.close();
      const writer = new DatabaseSync(file);
      writer.exec(`UPDATE document SET value = '{"name":3}', crc = NULL WHERE key = '3'`);
      writer.close();
      await assert.rejects(openIn(folder), { code: 'D4_REGISTRY_DAMAGED', message: /document "3" of types/ });
    }),
  );

  it(
    'refuses a newer format and migrates an older one',
    inFolder(async (folder) => {
      const registry = await openIn(folder);
      await registry.types.put('3', { name: '3', createdAt: 5 }, ADMIN);
      await registry.close();
      const next = [
        ...MIGRATIONS,
        (database: DatabaseSync) => database.exec("UPDATE document SET key = '8', crc = NULL"),
      ];
      const migrated = await openIn(folder, next);
      assert.equal(migrated.types.get('8')?.value.createdAt, 5);
      await migrated.close();
      await (await openIn(folder, next)).close();
      const message = new RegExp(`format ${next.length},.*newer version`);
      await assert.rejects(openIn(folder), { code: 'D4_REGISTRY_FORMAT', message });
    }),
  );

  it(
    'counts what is left out from zero where an older version has not counted it',
    inFolder(async (folder, file) => {
      const uuid = newSensorId();
      const counts = { frames: 1, bytes: 2, records: 3, sessions: 4, firstSeen: 5, lastSeen: 6 };
      const seen = { firstSeen: 5, lastSeen: 6, lastAddress: '192.0.2.7' };
      const writer = new DatabaseSync(file);
      migrate(writer, file, MIGRATIONS.slice(0, 2));
      const insert = writer.prepare('INSERT INTO activity (sensor, value) VALUES (?, ?)');
      insert.run(uuid, JSON.stringify({ ...seen, topics: { maltrail: counts }, refusals: {} }));
      writer.close();
      const registry = await openIn(folder);
      assert.deepEqual(registry.activity.find(uuid), {
        ...seen,
        today: { day: 0, bytes: 0 },
        topics: { maltrail: { ...counts, skippedBytes: 0, cutRecords: 0 } },
        refusals: {},
      });
      await registry.close();
    }),
  );

  it(
    'leaves an older format as it was where the migration fails',
    inFolder(async (folder) => {
      await (await openIn(folder)).close();
      const failing = [
        ...MIGRATIONS,
        (database: DatabaseSync) => {
          database.exec('DROP TABLE audit');
          database.exec('this is no SQL');
        },
      ];
      await assert.rejects(openIn(folder, failing), { code: 'D4_REGISTRY_FAILED' });
      const registry = await openIn(folder);
      await registry.types.put('3', { name: '3', createdAt: 5 }, ADMIN);
      await registry.close();
    }),
  );

  it(
    'does not take a change after it is closed',
    inFolder(async (folder) => {
      const registry = await openIn(folder);
      await registry.close();
      await registry.close();
      await assert.rejects(registry.types.put('3', { name: '3', createdAt: 5 }, ADMIN), { code: 'D4_REGISTRY_FAILED' });
      assert.equal(registry.types.get('3'), undefined);
    }),
  );
});
