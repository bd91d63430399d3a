import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json as jsonOf } from 'node:stream/consumers';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { FrameEncoder, newSensorId, PROTOCOL_VERSION } from '@d4ts/protocol';
import type { AuditEntry, SensorView, UserView } from '@d4ts/server';
import { launchServer, runD4, type ServerProcess } from '@d4ts/testkit';

const PASSWORD = 'neun warme Steine am Weg';
/** How long something that must happen may take, in ms. */
const PATIENCE = 20_000;

interface Answer {
  readonly status: number;
  readonly cookie: string;
  readonly body: { csrfToken?: string; mustChangePassword?: boolean; error?: { code: string } };
}

async function ask(server: ServerProcess, method: string, path: string, cookie = '', csrf = '', body?: object) {
  const asked = request(`${server.info.url}/api/v1${path}`, {
    method,
    ca: server.info.ca,
    agent: false,
    headers: {
      ...(cookie !== '' && { cookie }),
      ...(csrf !== '' && { 'x-csrf-token': csrf }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
  });
  asked.end(body === undefined ? undefined : JSON.stringify(body));
  const [response] = await once(asked, 'response');
  const given = String(response.headers['set-cookie'] ?? '').split(';', 1)[0] ?? '';
  const content = response.statusCode === 204 ? {} : await jsonOf(response);
  return { status: response.statusCode, cookie: given, body: content } as Answer;
}

async function done(home: string, words: string, input?: string): Promise<string> {
  const { code, stdout, stderr } = await runD4(
    [...words.split(' '), '--home', home],
    input === undefined ? {} : { input },
  );
  assert.equal(code, 0, `d4 ${words}: ${stderr}`);
  return stdout;
}

async function withHome(work: (home: string) => Promise<void>): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'd4-people-'));
  try {
    await work(home);
  } finally {
    rmSync(home, { recursive: true });
  }
}

test('the first administrator signs in, changes the password, and is still signed in after a restart', () =>
  withHome(async (home) => {
    const file = join(home, 'DEFAULT_PASSWORD');
    let session: Answer;
    {
      await using server = await launchServer({ home });
      const [, current = ''] = /^password=(.*)$/m.exec(readFileSync(file, 'utf8')) ?? [];
      const first = await ask(server, 'POST', '/session', '', '', { mail: 'admin@admin.test', password: current });
      assert.deepEqual([first.status, first.body.mustChangePassword], [200, true]);
      assert.equal((await ask(server, 'GET', '/status', first.cookie)).body.error?.code, 'D4_PASSWORD_CHANGE_NEEDED');
      const change = { current, password: PASSWORD };
      session = await ask(server, 'POST', '/me/password', first.cookie, first.body.csrfToken, change);
      assert.equal(session.status, 200);
      assert.equal(existsSync(file), false);
      await server.stop();
    }
    {
      await using server = await launchServer({ home });
      assert.equal((await ask(server, 'GET', '/status', session.cookie)).status, 200);
      assert.equal((await ask(server, 'DELETE', '/session', session.cookie, session.body.csrfToken)).status, 204);
      assert.equal((await ask(server, 'GET', '/status', session.cookie)).body.error?.code, 'D4_SESSION_ENDED');
      await server.stop();
    }
    const printed = await done(home, 'user password admin@admin.test --local');
    const [, password = ''] = /: (\S+)\n$/.exec(printed) ?? [];
    await using server = await launchServer({ home });
    assert.equal((await ask(server, 'POST', '/session', '', '', { mail: 'admin@admin.test', password })).status, 200);
    await server.stop();
  }));

test('users, tokens and the audit record from the command line', async () => {
  await using server = await launchServer();
  const { home } = server;
  const d4 = (words: string, input?: string) => done(home, words, input);
  assert.match(
    await d4('user add ann@example.org --role viewer'),
    /^user ann@example.org \(viewer\) is added\npassword .*: \S{20}\n$/,
  );
  await d4('user password ann@example.org --password-file - --keep-password', `${PASSWORD}\n`);
  for (let at = 0; at < 5; at++)
    await ask(server, 'POST', '/session', '', '', { mail: 'ann@example.org', password: 'no' });
  assert.match(await d4('user lockouts'), /user-and-address +ann@example\.org +127\.0\.0\.1 +5 /);
  assert.equal(await d4('user unlock ann@example.org'), '1 lock-outs are cleared\n');
  const login = { mail: 'ann@example.org', password: PASSWORD };
  assert.equal((await ask(server, 'POST', '/session', '', '', login)).status, 200);
  assert.equal(await d4('user sign-out ann@example.org'), '1 sessions of ann@example.org are ended\n');

  const [, id = '', secret = ''] =
    /^token (\w+) of .*: (\S{41})\n$/.exec(
      await d4('token add ci --user ann@example.org --role viewer --expires 90d'),
    ) ?? [];
  const remote = { D4_TOKEN: secret, NODE_EXTRA_CA_CERTS: join(home, 'rootCA.crt') };
  const byToken = await runD4(['token', 'list', '--url', server.info.url, '--ca', join(home, 'rootCA.crt')], {
    environment: remote,
  });
  assert.match(byToken.stdout, new RegExp(`^TOKEN.*\n${id} +ci +ann@example\\.org +viewer `), byToken.stderr);
  await d4(`token revoke ${id}`);
  assert.match(await d4('user edit ann@example.org --role user --disable'), /is changed: user, disabled/);
  const users = JSON.parse(await d4('user list --json')) as UserView[];
  assert.deepEqual(
    users.map(({ mail, role, disabled, tokens }) => [mail, role, disabled, tokens]),
    [
      ['admin@admin.test', 'admin', false, 1],
      ['ann@example.org', 'user', true, 0],
    ],
  );
  await d4('user remove ann@example.org');

  const entries = JSON.parse(await d4('audit --text ann@example.org --since 1h --json')) as AuditEntry[];
  const kinds = new Set(entries.map(({ kind, action }) => `${kind} ${action}`));
  for (const kind of [
    'users added',
    'users changed',
    'users removed',
    'tokens added',
    'tokens removed',
    'login event',
    'login-failed event',
    'locked-out event',
    'unlocked event',
    'logout event',
  ]) {
    assert.ok(kinds.has(kind), kind);
  }
  assert.match(await d4('audit --kind users --key ann@example.org --limit 2'), /role: viewer -> user/);
  assert.match(
    await d4('audit --export csv --kind locked-out'),
    /^id,time,who,.*\r\n\d+,.*,locked-out,ann@example\.org,/,
  );
  await server.stop();
});

test('while a key is replaced both work, and the certificate is renewed under running commands', async () => {
  await using server = await launchServer();
  const d4 = (words: string) => done(server.home, words);
  const uuid = newSensorId();
  await d4(`sensor add --uuid ${uuid} --key old --approve`);
  const send = async (key: string, text: string): Promise<TLSSocket> => {
    const [host, port] = server.info.listen.split(':');
    const socket = connect({ host: host ?? '', port: Number(port), ca: server.info.ca });
    socket.on('error', () => {});
    await once(socket, 'secureConnect');
    socket.resume();
    const encoder = new FrameEncoder({ sensor: uuid, key: Buffer.from(key), version: PROTOCOL_VERSION });
    socket.write(encoder.encode(3, Buffer.from(`${text}\n`), Math.floor(Date.now() / 1000)));
    return socket;
  };
  const until = async (holds: (sensor: SensorView) => boolean): Promise<SensorView> => {
    const deadline = Date.now() + PATIENCE;
    for (;;) {
      const sensor = JSON.parse(await d4(`sensor show ${uuid} --json`)) as SensorView;
      if (holds(sensor)) return sensor;
      assert.ok(Date.now() < deadline, JSON.stringify(sensor));
      await setTimeout(20);
    }
  };

  const before = await send('old', 'before');
  await until(({ sessions }) => sessions.length === 1);
  assert.match(await d4(`sensor key ${uuid} --key new --overlap 1h`), /the one before holds until \d{4}-/);
  const byOld = await send('old', 'with the old key');
  const byNew = await send('new', 'with the new key');
  const both = await until(({ sessions }) => sessions.length === 3);
  assert.deepEqual(both.sessions.map(({ usesPreviousKey }) => usesPreviousKey === true).toSorted(), [
    false,
    false,
    true,
  ]);
  assert.match(await d4(`sensor reveal ${uuid}`), /^key: new\n$/);
  assert.match(await d4(`sensor key ${uuid} --key newest --overlap 0`), /does not hold any more/);
  const refused = await send('old', 'too late');
  if (!refused.closed) await once(refused, 'close');
  await until(({ claimedRefusals }) => claimedRefusals.some(({ code }) => code === 'hmac-wrong'));
  for (const socket of [before, byOld, byNew]) socket.destroy();

  const fingerprint = (text: string) => /^SHA-256 +([0-9a-f]{64})$/m.exec(text)?.[1];
  const first = fingerprint(await d4('certificate show'));
  const renewed = fingerprint(await d4('certificate renew'));
  assert.ok(first !== undefined && renewed !== undefined && renewed !== first);
  assert.equal(fingerprint(await d4('certificate show')), renewed);
  await server.stop();
});
