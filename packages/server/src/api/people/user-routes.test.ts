import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Role } from '../../registry/port.ts';
import { type ApiFixture, type CallOptions, startApiFixture } from '../api-fixture.ts';
import type { LockoutView, TokenAdded, TokenView, UserAdded, UserView } from './people-schemas.ts';
import { ROLES } from './roles.ts';

const PASSWORD = 'vier kalte Enten am Ufer';

let fixture: ApiFixture;

before(async () => {
  fixture = await startApiFixture();
});
after(() => fixture[Symbol.asyncDispose]());

async function ask<T>(method: string, path: string, status: number, json?: unknown, options?: CallOptions): Promise<T> {
  const answer = await fixture.call(method, `/api/v1${path}`, { json, ...options });
  assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
  return answer.body as T;
}

async function codeOf(method: string, path: string, status: number, json?: unknown, options?: CallOptions) {
  return (await ask<{ error: { code: string } }>(method, path, status, json, options)).error.code;
}

function asBrowser({ cookie, csrfToken }: { cookie: string; csrfToken: string }): CallOptions {
  return { token: null, headers: { cookie, 'x-csrf-token': csrfToken } };
}

test('a user from the first day to the last', async () => {
  const added = await ask<UserAdded>('POST', '/users', 201, { mail: 'Ann@Example.org', role: 'viewer' });
  assert.equal(added.user.mail, 'ann@example.org');
  assert.match(added.password ?? '', /^[A-Za-z0-9_-]{20}$/);
  assert.equal(added.user.mustChangePassword, true);
  assert.equal(await codeOf('POST', '/users', 409, { mail: 'ann@example.org', role: 'admin' }), 'D4_CONFLICT');
  assert.equal(await codeOf('POST', '/users', 400, { mail: 'ann', role: 'admin' }), 'D4_BAD_REQUEST');
  const easy = { mail: 'b@example.org', role: 'user', password: 'password1234' };
  assert.equal(await codeOf('POST', '/users', 400, easy), 'D4_BAD_PASSWORD');

  const signedIn = await fixture.signIn('ann@example.org', added.password ?? '');
  assert.equal(signedIn.answer.status, 200);
  assert.equal((await ask<UserView>('GET', '/users/ann@example.org', 200)).sessions, 1);
  const change = { revision: added.user.revision, role: 'user' };
  assert.equal((await ask<UserView>('PATCH', '/users/ann@example.org', 200, change)).role, 'user');
  assert.equal(await codeOf('PATCH', '/users/ann@example.org', 409, change), 'D4_CONFLICT');
  assert.equal(await codeOf('GET', '/me', 401, undefined, asBrowser(signedIn)), 'D4_SESSION_ENDED');

  const reset = { password: PASSWORD, mustChangePassword: false };
  const changed = await ask<UserAdded>('POST', '/users/ann@example.org/password', 200, reset);
  assert.deepEqual([changed.password, changed.user.mustChangePassword], [null, false]);
  const again = await fixture.signIn('ann@example.org', PASSWORD);
  assert.deepEqual(await ask('DELETE', '/users/ann@example.org/sessions', 200), { sessions: 1 });
  assert.equal(await codeOf('GET', '/me', 401, undefined, asBrowser(again)), 'D4_SESSION_ENDED');

  const { secret } = await ask<TokenAdded>('POST', '/users/ann@example.org/tokens', 201, { name: 'x', role: 'user' });
  await ask('GET', '/status', 200, undefined, { token: secret });
  await ask('PATCH', '/users/ann@example.org', 200, { disabled: true });
  assert.equal(await codeOf('GET', '/status', 401, undefined, { token: secret }), 'D4_TOKEN_UNKNOWN');
  await ask('PATCH', '/users/ann@example.org', 200, { disabled: false });
  await ask('GET', '/status', 200, undefined, { token: secret });
  await ask('DELETE', '/users/ann@example.org', 204);
  assert.equal(await codeOf('GET', '/status', 401, undefined, { token: secret }), 'D4_TOKEN_UNKNOWN');
  assert.equal(await codeOf('GET', '/users/ann@example.org', 404), 'D4_NOT_FOUND');
  assert.equal(fixture.registry.tokens.size, 0);
});

test('there is always an administrator', async () => {
  await fixture.addUser('boss@example.org', 'admin', PASSWORD);
  for (const [method, path, json] of [
    ['DELETE', '/users/boss@example.org', undefined],
    ['PATCH', '/users/boss@example.org', { role: 'user' }],
    ['PATCH', '/users/boss@example.org', { disabled: true }],
  ] as const) {
    assert.equal(await codeOf(method, path, 409, json), 'D4_LAST_ADMINISTRATOR');
  }
  await fixture.addUser('deputy@example.org', 'admin', PASSWORD);
  await ask('DELETE', '/users/boss@example.org', 204);
});

test('own tokens: shown once, stored as hashes, scoped, expiring, revoked', async () => {
  await fixture.addUser('tok@example.org', 'user', PASSWORD);
  const session = await fixture.signIn('tok@example.org', PASSWORD);
  const browser = asBrowser(session);
  const expiresAt = fixture.clock.now + 3_600_000;
  const { token, secret } = await ask<TokenAdded>(
    'POST',
    '/me/tokens',
    201,
    { name: 'ci', role: 'viewer', expiresAt },
    browser,
  );
  assert.equal(secret.length, 41);
  assert.deepEqual([token.name, token.role, token.expiresAt, token.lastUsedAt], ['ci', 'viewer', expiresAt, null]);
  assert.doesNotMatch(JSON.stringify([...fixture.registry.tokens.entries()]), new RegExp(secret));

  await ask('GET', '/sensors', 200, undefined, { token: secret });
  assert.equal(await codeOf('POST', '/blocks', 403, { target: '192.0.2.1' }, { token: secret }), 'D4_FORBIDDEN');
  const { items } = await ask<{ items: TokenView[] }>('GET', '/me/tokens', 200, undefined, browser);
  assert.deepEqual(
    items.map(({ lastUsedAt, lastAddress }) => [lastUsedAt, lastAddress]),
    [[fixture.clock.now, '127.0.0.1']],
  );
  assert.doesNotMatch(JSON.stringify(items), new RegExp(secret));
  assert.equal(
    await codeOf('POST', '/me/tokens', 403, { name: 'x', role: 'viewer' }, { token: secret }),
    'D4_FORBIDDEN',
  );
  assert.equal(await codeOf('POST', '/me/tokens', 403, { name: 'x', role: 'admin' }, browser), 'D4_FORBIDDEN');
  assert.equal(
    await codeOf('POST', '/me/tokens', 400, { name: 'x', role: 'viewer', expiresAt: 1 }, browser),
    'D4_BAD_REQUEST',
  );

  fixture.clock.now = expiresAt;
  assert.equal(await codeOf('GET', '/sensors', 401, undefined, { token: secret }), 'D4_TOKEN_UNKNOWN');
  fixture.clock.now = expiresAt - 3_600_000;
  await ask('DELETE', `/me/tokens/${token.id}`, 204, undefined, browser);
  assert.equal(await codeOf('GET', '/sensors', 401, undefined, { token: secret }), 'D4_TOKEN_UNKNOWN');
  assert.equal(await codeOf('DELETE', `/me/tokens/${token.id}`, 404, undefined, browser), 'D4_NOT_FOUND');
});

test('a token is worth no more than its user is now', async () => {
  await fixture.addUser('down@example.org', 'admin', PASSWORD);
  const make = (role: Role) => ask<TokenAdded>('POST', '/users/down@example.org/tokens', 201, { name: role, role });
  const admin = await make('admin');
  const register = await make('sensor_register');
  await ask('GET', '/users', 200, undefined, { token: admin.secret });
  await ask('PATCH', '/users/down@example.org', 200, { role: 'viewer' });
  assert.equal(await codeOf('GET', '/users', 403, undefined, { token: admin.secret }), 'D4_FORBIDDEN');
  await ask('GET', '/sensors', 200, undefined, { token: admin.secret });
  assert.equal(await codeOf('GET', '/me', 403, undefined, { token: register.secret }), 'D4_FORBIDDEN');
  await ask('DELETE', `/tokens/${admin.token.id}`, 204);
  const { items } = await ask<{ items: TokenView[] }>('GET', '/tokens', 200);
  assert.ok(items.some(({ id }) => id === register.token.id) && !items.some(({ id }) => id === admin.token.id));
});

test('nobody below an administrator manages people, by token or session', async () => {
  const routes = [
    ['GET', '/users'],
    ['POST', '/users', { mail: 'mine@example.org', role: 'admin' }],
    ['PATCH', '/users/me@example.org', { role: 'admin' }],
    ['POST', '/users/deputy@example.org/password', {}],
    ['POST', '/users/deputy@example.org/tokens', { name: 'x', role: 'admin' }],
    ['DELETE', '/users/deputy@example.org'],
    ['DELETE', '/users/deputy@example.org/sessions'],
    ['GET', '/tokens'],
    ['DELETE', '/tokens/0123456789abcdef'],
    ['GET', '/lockouts'],
    ['DELETE', '/lockouts'],
    ['GET', '/audit'],
  ] as const;
  for (const role of ROLES.filter((each) => each !== 'admin')) {
    const mail = `me-${role.replace('_', '-')}@example.org`;
    await fixture.addUser(mail, role, PASSWORD);
    const browser = asBrowser(await fixture.signIn(mail, PASSWORD));
    const token = await fixture.addToken(role);
    for (const [method, path, json] of routes) {
      assert.equal(await codeOf(method, path, 403, json, browser), 'D4_FORBIDDEN', `${role} ${method} ${path}`);
      assert.equal(await codeOf(method, path, 403, json, { token }), 'D4_FORBIDDEN', `${role} ${method} ${path}`);
    }
  }
});

test('lock-outs are seen, recorded and cleared; the local token is never held back', async () => {
  await fixture.addUser('lock@example.org', 'user', PASSWORD);
  for (let at = 0; at < 5; at++) {
    assert.equal((await fixture.signIn('lock@example.org', 'wrong')).answer.status, 401);
  }
  const { answer } = await fixture.signIn('lock@example.org', PASSWORD);
  assert.equal(answer.status, 429, 'the right password is not looked at either');
  assert.equal(answer.headers['retry-after'], '30');
  const { items } = await ask<{ items: LockoutView[] }>('GET', '/lockouts', 200);
  assert.deepEqual(
    items.map(({ kind, mail, address, failures }) => [kind, mail, address, failures]),
    [['user-and-address', 'lock@example.org', '127.0.0.1', 5]],
  );
  assert.equal((await ask<UserView>('GET', '/users/lock@example.org', 200)).locked, true);
  assert.deepEqual(await ask('DELETE', '/lockouts?mail=Lock@example.org', 200), { lockouts: 1 });
  assert.equal((await fixture.signIn('lock@example.org', PASSWORD)).answer.status, 200);

  for (let at = 0; at < 40; at++) await fixture.call('GET', '/api/v1/me', { token: `guess ${at}` });
  assert.equal(await codeOf('GET', '/me', 429, undefined, { token: 'one more' }), 'D4_TOO_MANY_ATTEMPTS');
  const held = await ask<{ items: LockoutView[] }>('GET', '/lockouts', 200);
  assert.deepEqual(
    held.items.map(({ kind, address }) => [kind, address]),
    [['tokens', '127.0.0.1']],
  );
  assert.deepEqual(await ask('DELETE', '/lockouts', 200), { lockouts: 1 });
  assert.equal(await codeOf('GET', '/me', 401, undefined, { token: 'one more' }), 'D4_TOKEN_UNKNOWN');

  const kinds = fixture.registry.audit.list({ text: 'lock@example.org' }, 20).records.map(({ kind }) => kind);
  assert.deepEqual(kinds.slice(0, 4), ['login', 'unlocked', 'locked-out', 'login-failed']);
});

test('an open stream ends with what let it in', async () => {
  await fixture.addUser('live@example.org', 'user', PASSWORD);
  const { people } = fixture.api;
  const session = await fixture.signIn('live@example.org', PASSWORD);
  const secret = session.cookie.replace('__Host-d4=', '');
  const signal = people.sessions.find(secret)?.signal;
  const { secret: token } = await ask<TokenAdded>('POST', '/users/live@example.org/tokens', 201, {
    name: 'x',
    role: 'user',
  });
  const tokenSignal = people.tokens.use(token, '127.0.0.1')?.signal;
  assert.deepEqual([signal?.aborted, tokenSignal?.aborted], [false, false]);
  await ask('PATCH', '/users/live@example.org', 200, { role: 'viewer' });
  assert.deepEqual([signal?.aborted, tokenSignal?.aborted], [true, true]);

  const idle = await fixture.signIn('live@example.org', PASSWORD);
  const idleSignal = people.sessions.find(idle.cookie.replace('__Host-d4=', ''))?.signal;
  fixture.clock.now += 61 * 60_000;
  await people.sweep();
  assert.equal(idleSignal?.aborted, true);
  assert.equal(fixture.registry.loginSessions.size, 0);
  fixture.clock.now -= 61 * 60_000;
});
