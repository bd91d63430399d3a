import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type ApiFixture, startApiFixture } from '../api-fixture.ts';
import type { Me, MySession, SessionState } from './people-schemas.ts';

const PASSWORD = 'vier kalte Enten am Ufer';
const NEW_PASSWORD = 'neun warme Steine am Weg';

let fixture: ApiFixture;

before(async () => {
  fixture = await startApiFixture();
});
after(() => fixture[Symbol.asyncDispose]());

/** A request as a browser with the cookie sends it. */
function browse(method: string, path: string, cookie: string, csrf?: string, json?: unknown, headers = {}) {
  return fixture.call(method, `/api/v1${path}`, {
    token: null,
    json,
    headers: { cookie, ...(csrf !== undefined && { 'x-csrf-token': csrf }), ...headers },
  });
}

function codeOf({ body }: { body: unknown }): string {
  return (body as { error: { code: string } }).error.code;
}

test('signing in, and out', async () => {
  await fixture.addUser('ann@example.org', 'user', PASSWORD);
  const { answer, cookie, csrfToken } = await fixture.signIn(' Ann@Example.org ', PASSWORD);
  assert.equal(answer.status, 200, answer.text);
  const [header = ''] = answer.headers['set-cookie'] ?? [];
  assert.match(header, /^__Host-d4=[A-Za-z0-9_-]{43}; Max-Age=43200; Path=\/; Secure; HttpOnly; SameSite=Strict$/);
  const state = answer.body as SessionState;
  assert.deepEqual([state.mail, state.role, state.mustChangePassword], ['ann@example.org', 'user', false]);

  const again = await browse('GET', '/session', cookie);
  assert.deepEqual(again.body, state);
  assert.deepEqual((await browse('GET', '/me', cookie)).body, {
    mail: 'ann@example.org',
    role: 'user',
    via: 'session',
    mustChangePassword: false,
  } satisfies Me);
  assert.equal((await browse('GET', '/status', cookie)).status, 200);

  const out = await browse('DELETE', '/session', cookie, csrfToken);
  assert.equal(out.status, 204);
  assert.match(String(out.headers['set-cookie']), /^__Host-d4=; Max-Age=0;/);
  const gone = await browse('GET', '/status', cookie);
  assert.deepEqual([gone.status, codeOf(gone)], [401, 'D4_SESSION_ENDED']);
  const nobody = await fixture.call('GET', '/api/v1/session', { token: null });
  assert.deepEqual([nobody.status, codeOf(nobody)], [401, 'D4_TOKEN_MISSING']);
  assert.equal((await fixture.call('GET', '/api/v1/session')).status, 204);

  const kinds = fixture.registry.audit.list({ actor: 'ann@example.org' }, 10).records.map(({ kind }) => kind);
  assert.deepEqual(kinds, ['logout', 'login']);
});

test('who does not exist, is disabled, or has another password, is told the same', async () => {
  await fixture.addUser('eve@example.org', 'user', PASSWORD);
  const wrong = await fixture.signIn('eve@example.org', 'not it');
  const unknown = await fixture.signIn('nobody@example.org', PASSWORD);
  const user = fixture.registry.users.get('eve@example.org');
  assert.ok(user !== undefined);
  await fixture.registry.users.put('eve@example.org', { ...user.value, disabled: true }, { name: 'server' });
  const disabled = await fixture.signIn('eve@example.org', PASSWORD);
  for (const { answer } of [wrong, unknown, disabled]) {
    assert.deepEqual([answer.status, codeOf(answer)], [401, 'D4_LOGIN_FAILED']);
    assert.equal(answer.text, wrong.answer.text);
    assert.equal(answer.headers['set-cookie'], undefined);
  }
  assert.doesNotMatch(JSON.stringify(fixture.logged), new RegExp(PASSWORD));
});

test('a session that was there before signing in is not taken over, and ends', async () => {
  await fixture.addUser('fix@example.org', 'user', PASSWORD);
  const planted = `__Host-d4=${'A'.repeat(43)}`;
  const json = { mail: 'fix@example.org', password: PASSWORD };
  const first = await fixture.call('POST', '/api/v1/session', { token: null, json, headers: { cookie: planted } });
  const [given = ''] = first.headers['set-cookie'] ?? [];
  const cookie = given.split(';', 1)[0] ?? '';
  assert.notEqual(cookie, planted);
  assert.equal((await browse('GET', '/me', planted)).status, 401);

  const second = await fixture.call('POST', '/api/v1/session', { token: null, json, headers: { cookie } });
  assert.notEqual(String(second.headers['set-cookie']).split(';', 1)[0], cookie);
  assert.equal((await browse('GET', '/me', cookie)).status, 401);
});

test('a change by cookie needs the CSRF token and our own origin; one by token does not', async () => {
  await fixture.addUser('csrf@example.org', 'user', PASSWORD);
  const { cookie, csrfToken } = await fixture.signIn('csrf@example.org', PASSWORD);
  const other = await fixture.signIn('csrf@example.org', PASSWORD);
  const json = { target: '192.0.2.7' };
  const here = `https://127.0.0.1:${fixture.api.address.port}`;
  for (const [csrf, headers] of [
    [undefined, {}],
    ['', {}],
    [other.csrfToken, {}],
    [csrfToken, { origin: 'https://evil.example' }],
    [csrfToken, { origin: 'null' }],
    [csrfToken, { origin: here.replace('https', 'http') }],
    [csrfToken, { 'sec-fetch-site': 'cross-site' }],
    [csrfToken, { 'sec-fetch-site': 'same-site', origin: here }],
  ] as const) {
    const refused = await browse('POST', '/blocks', cookie, csrf, json, headers);
    assert.deepEqual([refused.status, codeOf(refused)], [403, 'D4_CSRF'], JSON.stringify([csrf, headers]));
  }
  assert.equal(fixture.registry.blocks.size, 0);
  const own = await browse('POST', '/blocks', cookie, csrfToken, json, {
    origin: here,
    'sec-fetch-site': 'same-origin',
  });
  assert.equal(own.status, 201, own.text);
  assert.equal((await browse('DELETE', '/blocks/192.0.2.7', cookie, csrfToken)).status, 204);

  const login = { mail: 'csrf@example.org', password: PASSWORD };
  const forced = await browse('POST', '/session', '', undefined, login, { origin: 'https://evil.example' });
  assert.equal(codeOf(forced), 'D4_CSRF');
});

test('the first login leads to nothing but another password', async () => {
  await fixture.addUser('new@example.org', 'admin', PASSWORD);
  const user = fixture.registry.users.get('new@example.org');
  assert.ok(user !== undefined);
  await fixture.registry.users.put('new@example.org', { ...user.value, mustChangePassword: true }, { name: 'server' });
  const { answer, cookie, csrfToken } = await fixture.signIn('new@example.org', PASSWORD);
  assert.equal((answer.body as SessionState).mustChangePassword, true);
  for (const path of ['/status', '/sensors', '/me/sessions']) {
    const refused = await browse('GET', path, cookie);
    assert.deepEqual([refused.status, codeOf(refused)], [403, 'D4_PASSWORD_CHANGE_NEEDED'], path);
  }
  const change = (current: string, password: string, by = { cookie, csrfToken }) =>
    browse('POST', '/me/password', by.cookie, by.csrfToken, { current, password });
  assert.equal(codeOf(await change(PASSWORD, 'short')), 'D4_BAD_PASSWORD');
  assert.equal(codeOf(await change(PASSWORD, PASSWORD)), 'D4_BAD_PASSWORD');
  assert.equal(codeOf(await change('wrong', NEW_PASSWORD)), 'D4_LOGIN_FAILED');
  const elsewhere = await fixture.signIn('new@example.org', PASSWORD);

  const changed = await change(PASSWORD, NEW_PASSWORD);
  assert.equal(changed.status, 200, changed.text);
  assert.equal((await browse('GET', '/me', cookie)).status, 401);
  assert.equal((await browse('GET', '/me', elsewhere.cookie)).status, 401);
  const next = String(changed.headers['set-cookie']).split(';', 1)[0] ?? '';
  assert.equal((await browse('GET', '/status', next)).status, 200);
  assert.equal((await fixture.signIn('new@example.org', PASSWORD)).answer.status, 401);
  assert.equal((await fixture.signIn('new@example.org', NEW_PASSWORD)).answer.status, 200);
});

test('sessions end for want of use, and in any case', async () => {
  await fixture.addUser('idle@example.org', 'viewer', PASSWORD);
  const start = fixture.clock.now;
  try {
    const idle = await fixture.signIn('idle@example.org', PASSWORD);
    const used = await fixture.signIn('idle@example.org', PASSWORD);
    fixture.clock.now += 40 * 60_000;
    assert.equal((await browse('GET', '/me', used.cookie)).status, 200);
    fixture.clock.now += 30 * 60_000;
    assert.equal((await browse('GET', '/me', used.cookie)).status, 200);
    assert.equal(codeOf(await browse('GET', '/me', idle.cookie)), 'D4_SESSION_ENDED');
    for (; fixture.clock.now - start < 12 * 3_600_000; fixture.clock.now += 50 * 60_000) {
      assert.equal((await browse('GET', '/me', used.cookie)).status, 200);
    }
    assert.equal(codeOf(await browse('GET', '/me', used.cookie)), 'D4_SESSION_ENDED');
  } finally {
    fixture.clock.now = start;
  }
});

test('the own sessions are listed and ended, one or all', async () => {
  await fixture.addUser('many@example.org', 'viewer', PASSWORD);
  const here = await fixture.signIn('many@example.org', PASSWORD);
  const there = await fixture.signIn('many@example.org', PASSWORD);
  const list = async () => ((await browse('GET', '/me/sessions', here.cookie)).body as { items: MySession[] }).items;
  const items = await list();
  assert.deepEqual(items.map(({ current }) => current).toSorted(), [false, true]);
  const other = items.find(({ current }) => !current);
  assert.ok(other !== undefined);
  await fixture.addUser('stranger@example.org', 'admin', PASSWORD);
  const stranger = await fixture.signIn('stranger@example.org', PASSWORD);
  assert.equal((await browse('DELETE', `/me/sessions/${other.id}`, stranger.cookie, stranger.csrfToken)).status, 404);
  assert.equal((await browse('DELETE', `/me/sessions/${other.id}`, here.cookie, here.csrfToken)).status, 204);
  assert.equal((await browse('GET', '/me', there.cookie)).status, 401);
  assert.equal((await list()).length, 1);
  const all = await browse('DELETE', '/me/sessions', here.cookie, here.csrfToken);
  assert.deepEqual(all.body, { sessions: 1 });
  assert.equal((await browse('GET', '/me', here.cookie)).status, 401);
});
