import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { request as httpsRequest } from 'node:https';
import { after, before, test } from 'node:test';
import { encodeEnrollToken, newSensorId, parseEnrollToken } from '@d4ts/protocol';
import { removeExpired } from '../registry/expiry.ts';
import { tokenHash } from '../registry/tokens.ts';
import { type ApiFixture, NOW, startApiFixture } from './api-fixture.ts';
import type { EnrolmentAdded, EnrolmentList, EnrolmentView } from './enrolment-schemas.ts';

const DAY = 24 * 60 * 60_000;
const PATH = '/api/v1/enrolments';

let fixture: ApiFixture;

before(async () => {
  fixture = await startApiFixture();
  for (const name of ['3', 'maltrail', '254']) {
    await fixture.registry.types.put(name, { name, createdAt: NOW }, { name: 'test' });
  }
});
after(() => fixture[Symbol.asyncDispose]());

async function add(json: object = {}, token?: string): Promise<EnrolmentAdded> {
  const { status, body, text } = await fixture.call('POST', PATH, { json, ...(token !== undefined && { token }) });
  assert.equal(status, 201, text);
  return body as EnrolmentAdded;
}

async function refusal(json: object, path = PATH, token?: string): Promise<string> {
  const { status, text } = await fixture.call('POST', path, { json, ...(token !== undefined && { token }) });
  return `${status} ${JSON.parse(text).error.code}`;
}

async function list(token?: string): Promise<EnrolmentView[]> {
  const { body } = await fixture.call('GET', PATH, token === undefined ? {} : { token });
  return (body as EnrolmentList).items;
}

test('a token carries what the sensor needs; the server keeps the hash of its secret', async () => {
  const { enrolment, token, command } = await add({ name: 'Roof', tags: ['a', 'a'], mail: 'o@example.org' });
  const { secret, ...read } = parseEnrollToken(token);
  const { body } = await fixture.call('GET', '/api/v1/certificate');
  const { authority } = body as { authority: { sha256: string } };
  assert.deepEqual(read, { server: { host: '127.0.0.1', port: 1 }, caSha256: authority.sha256 });
  assert.equal(encodeEnrollToken({ ...read, secret }), token);
  assert.equal(command, `d4 client enroll ${token} -c d4-sensor`);
  const key = tokenHash(secret.toString('base64url'));
  const { id, ...facts } = enrolment;
  assert.equal(id, key.slice(0, 16));
  assert.deepEqual(facts, {
    state: 'open',
    name: 'Roof',
    tags: ['a'],
    description: '',
    mail: 'o@example.org',
    type: '3',
    approve: false,
    server: '127.0.0.1:1',
    author: 'local',
    maxUses: 1,
    uses: [],
    createdAt: NOW,
    expiresAt: NOW + DAY,
    revokedAt: null,
  });
  const records = fixture.registry.audit.list({ kind: 'enrolments' }, 10).records;
  assert.equal(records[0]?.key, `${key.slice(0, 8)}…`);
  assert.doesNotMatch(JSON.stringify(records), new RegExp(secret.toString('base64url')));
  assert.deepEqual(
    (await list()).map((each) => each.id),
    [id],
  );
});

test('a token is refused where its sensors would be refused', async () => {
  assert.equal(await refusal({ server: 'nowhere' }), '400 D4_BAD_SERVER');
  assert.equal(await refusal({ server: 'elsewhere.example.org:4443' }), '400 D4_BAD_SERVER');
  assert.equal(await refusal({ server: '192.0.2.1:4443' }), '400 D4_BAD_SERVER');
  assert.equal(await refusal({ type: '8' }), '422 D4_TYPE_NOT_ACCEPTED');
  assert.equal(await refusal({ type: '254' }), '400 D4_BAD_TYPE');
  assert.equal(await refusal({ type: 'no such' }), '400 D4_BAD_TYPE');
  assert.equal(await refusal({ expiresAt: NOW }), '400 D4_BAD_REQUEST');
  assert.equal(await refusal({ expiresAt: NOW + 400 * DAY }), '400 D4_BAD_REQUEST');
  for (const json of [{ maxUses: 0 }, { maxUses: 101 }, { secret: 'x' }, { name: 'x'.repeat(201) }]) {
    assert.equal(await refusal(json), '400 D4_BAD_REQUEST');
  }
});

test('a viewer makes none; who may only register sees and revokes the own ones, and approves nobody', async () => {
  const [viewer, registrar, user] = await Promise.all([
    fixture.addToken('viewer'),
    fixture.addToken('sensor_register'),
    fixture.addToken('user'),
  ]);
  const configuration = `${PATH}/configuration`;
  assert.equal(await refusal({}, PATH, viewer), '403 D4_FORBIDDEN');
  assert.equal(await refusal({ client: 'd4' }, configuration, viewer), '403 D4_FORBIDDEN');
  assert.equal(await refusal({ approve: true }, PATH, registrar), '403 D4_FORBIDDEN');
  assert.equal(await refusal({ client: 'd4', approve: true }, configuration, registrar), '403 D4_FORBIDDEN');
  const { enrolment: mine } = await add({}, registrar);
  const { enrolment: other } = await add({ approve: true, type: 'maltrail', maxUses: 5 }, user);
  assert.deepEqual([mine.author, other.author], ['sensor_register@example.org', 'user@example.org']);
  assert.deepEqual(
    (await list(registrar)).map(({ id }) => id),
    [mine.id],
  );
  assert.ok((await list(viewer)).length >= 2);
  const revoke = async (id: string, token: string) => (await fixture.call('DELETE', `${PATH}/${id}`, { token })).status;
  assert.equal(await revoke(other.id, viewer), 403);
  assert.equal(await revoke(other.id, registrar), 404);
  assert.equal(await revoke(mine.id, registrar), 200);
  assert.equal(await revoke(other.id, user), 200);
  const audited = () => fixture.registry.audit.list({ kind: 'enrolments' }, 100).records.length;
  const records = audited();
  assert.equal(await revoke(other.id, user), 409);
  assert.equal(audited(), records);
  assert.deepEqual(
    (await list(registrar)).map(({ state, revokedAt }) => [state, revokedAt]),
    [['revoked', NOW]],
  );
});

test('what became of a token is forgotten after a month', async () => {
  await add();
  const { registry } = fixture;
  const before = registry.enrolments.size;
  await removeExpired(registry, NOW + 30 * DAY);
  assert.equal(registry.enrolments.size, before);
  await removeExpired(registry, NOW + 32 * DAY);
  assert.equal(registry.enrolments.size, 0);
});

/** Downloads a configuration. */
async function configuration(
  json: object,
  path = `${PATH}/configuration`,
): Promise<{ archive: Buffer; sensor: string; name: string }> {
  const body = JSON.stringify(json);
  return new Promise((resolve, reject) => {
    const asked = httpsRequest(
      {
        host: '127.0.0.1',
        port: fixture.api.address.port,
        ca: fixture.ca,
        method: 'POST',
        path,
        agent: false,
        headers: { authorization: 'the-token-of-server.json', 'content-type': 'application/json' },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          assert.equal(response.statusCode, 200);
          const name = String(response.headers['content-disposition']);
          const sensor = String(response.headers['content-location']).replace('/api/v1/sensors/', '');
          resolve({ archive: Buffer.concat(chunks), sensor, name });
        });
      },
    );
    asked.on('error', reject);
    asked.end(body);
  });
}

test('a configuration is a folder for its owner alone, and its sensor is registered', async () => {
  const { archive, sensor, name } = await configuration({ client: 'go', type: 'maltrail', name: 'Go', approve: true });
  const folder = `d4-sensor-${sensor.slice(0, 8)}`;
  assert.equal(name, `attachment; filename="${folder}.tar.gz"`);
  const listed = execFileSync('tar', ['-tvzf', '-'], { input: archive, encoding: 'utf8' });
  assert.match(listed, new RegExp(`^drwx------ .*${folder}/\n(-rw------- .*\n)+$`));
  const read = (file: string) => execFileSync('tar', ['-xzOf', '-', `${folder}/${file}`], { input: archive });
  const value = fixture.registry.sensors.get(sensor)?.value;
  assert.deepEqual([value?.state, value?.name], ['approved', 'Go']);
  assert.equal(read('key').toString('latin1'), value?.key);
  assert.equal(read('uuid').toString(), sensor);
  assert.equal(read('destination').toString(), '127.0.0.1:1');
  assert.equal(read('type').toString(), '254');
  assert.deepEqual(JSON.parse(read('metaheader.json').toString()), { type: 'maltrail', encoding: 'utf-8' });
  assert.match(read('rootCA.crt').toString(), /^-----BEGIN CERTIFICATE-----/);
  assert.match(read('README').toString(), /d4-goclient -c d4-sensor-[0-9a-f]{8}\/\/ -cc/);
  const [made] = fixture.registry.audit.list({ kind: 'configuration-made' }, 1).records;
  assert.deepEqual([made?.key, made?.after], [sensor, { client: 'go', type: 'maltrail', server: '127.0.0.1:1' }]);

  const forC = await configuration({ client: 'c' });
  const cFolder = `d4-sensor-${forC.sensor.slice(0, 8)}`;
  const destination = execFileSync('tar', ['-xzOf', '-', `${cFolder}/destination`], { input: forC.archive });
  assert.equal(destination.toString(), 'stdout');
  assert.equal(fixture.registry.sensors.get(forC.sensor)?.value.state, 'pending');

  // Of a sensor that is there: for administrators, as its key is shown to nobody else.
  const path = `/api/v1/sensors/${sensor}/configuration`;
  const again = await configuration({ client: 'd4', type: 'maltrail' }, path);
  const key = execFileSync('tar', ['-xzOf', '-', `${folder}/key`], { input: again.archive });
  assert.deepEqual([again.sensor, key.toString('latin1')], [sensor, value?.key]);
  const { records } = fixture.registry.audit.list({ kind: 'configuration-made' }, 1);
  assert.deepEqual(
    [records[0]?.key, records[0]?.after],
    [sensor, { client: 'd4', type: 'maltrail', server: '127.0.0.1:1' }],
  );
  assert.equal(await refusal({ client: 'd4' }, path, await fixture.addToken('user')), '403 D4_FORBIDDEN');
  assert.equal(await refusal({ client: 'd4', type: '8' }, path), '422 D4_TYPE_NOT_ACCEPTED');
  assert.equal(await refusal({ client: 'd4' }, `/api/v1/sensors/${newSensorId()}/configuration`), '404 D4_NOT_FOUND');
});
