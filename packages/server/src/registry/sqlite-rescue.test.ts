import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { newSensorId, type SensorId } from '@d4ts/protocol';
import { pino } from 'pino';
import type { CursorState, Registry, Sensor } from './port.ts';
import { filesAside } from './set-aside.ts';
import { inspectRegistry, openSqliteRegistry } from './sqlite.ts';

const ADMIN = { name: 'admin@admin.test' };
const PAGE = 4096;
const CURSOR: CursorState = { sequence: 7, record: 1, taken: 3, dropped: 0, flushed: 0, givenBack: [] };

/** A folder with a registry, opened as a server does. */
class RescueFolder implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'd4-rescue-'));
  readonly file = join(this.folder, 'registry.sqlite');
  readonly copy = join(this.folder, 'registry.sqlite.bak');
  readonly damaged = join(this.folder, 'damaged');
  readonly errors: string[] = [];

  open(): Promise<Registry> {
    const log = pino({ level: 'error' }, { write: (line: string) => this.errors.push(line) });
    const keyFile = join(this.folder, 'registry.key');
    const rescue = { copy: this.copy, keyCopy: `${keyFile}.bak`, folder: this.damaged };
    return openSqliteRegistry({ file: this.file, keyFile, log, rescue });
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function sensorOf(uuid: SensorId): Sensor {
  return {
    uuid,
    key: `the key of ${uuid}`,
    state: 'approved',
    description: 'x'.repeat(300),
    mail: '',
    thirdParty: false,
    unproven: false,
    createdAt: 1,
  };
}

/** A registry of some pages, closed, with a copy that has all but the last two changes. */
async function fill(place: RescueFolder): Promise<{ kept: SensorId[]; late: SensorId; removed: SensorId }> {
  const sensors = Array.from({ length: 40 }, () => newSensorId());
  const late = newSensorId();
  const [removed = late, ...kept] = sensors;
  const first = await place.open();
  for (const uuid of sensors) await first.sensors.put(uuid, sensorOf(uuid), ADMIN);
  await first.saveCursors(new Map([['q', CURSOR]]));
  await first.close();
  const second = await place.open();
  await second.sensors.remove(removed, ADMIN);
  await second.sensors.put(late, sensorOf(late), ADMIN);
  await second.close();
  return { kept, late, removed };
}

test('whatever page of it is destroyed, a registry opens with all that its copy has, or that is elsewhere', async () => {
  using place = new RescueFolder();
  const { kept, late, removed } = await fill(place);
  const whole = readFileSync(place.file);
  const copy = readFileSync(place.copy);
  let lateLost = 0;
  const pages = Math.floor(whole.length / PAGE);
  assert.ok(pages > 12);
  for (let page = 0; page < pages; page++) {
    rmSync(place.damaged, { recursive: true, force: true });
    const bytes = Buffer.from(whole);
    bytes.fill(0xa5, page * PAGE, (page + 1) * PAGE);
    writeFileSync(place.file, bytes);
    writeFileSync(place.copy, copy);
    const registry = await place.open();
    for (const uuid of kept) assert.deepEqual(registry.sensors.get(uuid)?.value, sensorOf(uuid), `page ${page}`);
    if (!registry.sensors.get(late)) lateLost += 1;
    assert.deepEqual(registry.loadCursors().get('q'), CURSOR);
    await registry.close();
    if (place.errors.length > 0) assert.ok(filesAside(place.damaged).length > 0, `page ${page}`);
    assert.deepEqual(inspectRegistry(place.file), []);
    if (page === 0) assert.equal(registry.sensors.get(removed), undefined, 'what was removed does not come back');
  }
  // The page that it is in, and those above it.
  assert.ok(lateLost <= 3, `the late sensor was lost with ${lateLost} pages`);
});

test('a byte that changes within a value is seen, and the value taken from the copy', async () => {
  using place = new RescueFolder();
  const { kept } = await fill(place);
  const [uuid = newSensorId()] = kept;
  const bytes = readFileSync(place.file);
  const value = `{"uuid":"${uuid}","key":"aes256gcm`;
  // A page that was split has left a copy behind, in space that is free now: which one is in use is not told by its place.
  for (let at = bytes.indexOf(value); at !== -1; at = bytes.indexOf(value, at + 1)) {
    bytes[at + 60] = (bytes[at + 60] ?? 0) ^ 1;
  }
  writeFileSync(place.file, bytes);
  assert.match(inspectRegistry(place.file).join(), new RegExp(`document "${uuid}" of sensors`));
  const registry = await place.open();
  assert.deepEqual(registry.sensors.get(uuid)?.value, sensorOf(uuid));
  await registry.close();
  assert.match(place.errors.join(), /registry is damaged/);
  assert.ok(filesAside(place.damaged)[0]?.endsWith('-registry.sqlite'));
});

test('without a copy a registry keeps what can be read, also with the log of a killed server beside it', async () => {
  using place = new RescueFolder();
  const registry = await place.open();
  const sensors = Array.from({ length: 60 }, () => newSensorId());
  for (const uuid of sensors) await registry.sensors.put(uuid, sensorOf(uuid), ADMIN);
  // As a kill leaves them: the file and its log, which has almost everything.
  const killed = join(place.folder, 'killed');
  for (const ending of ['', '-wal']) cpSync(place.file + ending, killed + ending);
  await registry.close();
  rmSync(place.copy);
  for (const ending of ['', '-wal']) cpSync(killed + ending, place.file + ending);
  const bytes = readFileSync(place.file);
  bytes.fill(0, 0, 100);
  writeFileSync(place.file, bytes);
  const again = await place.open();
  assert.equal([...again.sensors.entries()].length, sensors.length);
  await again.close();
});

test('a registry that is gone comes from its copy', async () => {
  using place = new RescueFolder();
  const { kept } = await fill(place);
  rmSync(place.file);
  const registry = await place.open();
  for (const uuid of kept) assert.ok(registry.sensors.get(uuid));
  await registry.close();
});

test('an older format is made anew in that format, and then brought to the newest', async () => {
  using place = new RescueFolder();
  await fill(place);
  const older = new DatabaseSync(place.file);
  older.exec('UPDATE format SET version = version; PRAGMA user_version = 3');
  older.close();
  const registry = await place.open();
  assert.match(place.errors.join(), /its format is/);
  await registry.close();
  assert.deepEqual(inspectRegistry(place.file), []);
});

test('a key file that is damaged or gone comes from its copy, and a wrong one does not open', async () => {
  using place = new RescueFolder();
  const { kept } = await fill(place);
  const [uuid = newSensorId()] = kept;
  const keyFile = join(place.folder, 'registry.key');
  const key = readFileSync(keyFile, 'latin1');
  for (const damage of ['not hexadecimal', `${'0'.repeat(64)}\n`, undefined]) {
    if (damage === undefined) rmSync(keyFile);
    else writeFileSync(keyFile, damage);
    const registry = await place.open();
    assert.equal(registry.sensors.get(uuid)?.value.key, `the key of ${uuid}`);
    await registry.close();
    assert.equal(readFileSync(keyFile, 'latin1'), key);
  }
  assert.equal(filesAside(place.damaged).filter((name) => name.endsWith('registry.key')).length, 2);
  for (const file of [keyFile, `${keyFile}.bak`]) writeFileSync(file, `${'0'.repeat(64)}\n`);
  await assert.rejects(place.open(), { code: 'D4_REGISTRY_KEY' });
});
