import { randomBytes } from 'node:crypto';
import { D4Error } from '@d4ts/protocol';
import Type from 'typebox';
import { hashPassword } from '../../registry/passwords.ts';
import type { User, Versioned } from '../../registry/port.ts';
import type { ApiContext } from '../api-context.ts';
import { notFound } from '../api-errors.ts';
import { actorOf } from '../authentication.ts';
import { pageOf } from '../pages.ts';
import { changeDocument } from '../registry-change.ts';
import type { ApiApp } from '../route-types.ts';
import { PageQuery, page } from '../schema-parts.ts';
import { userMail } from './mail.ts';
import { checkNewPassword } from './password-rules.ts';
import { Ended, PasswordReset, UserAdded, UserChange, UserDraft, UserParam, UserView } from './people-schemas.ts';
import { tokenViews } from './token-views.ts';

/** `/api/v1/users`: people and their roles. Sessions and tokens follow at once. */
export function userRoutes(app: ApiApp, context: ApiContext): void {
  const { registry, people, log, now, forgetFirstPassword } = context;
  const tags = ['people'];

  app.get(
    '/users',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        operationId: 'listUsers',
        summary: 'All users, by mail address',
        querystring: PageQuery,
        response: { 200: page('UserPage', UserView) },
      },
    },
    ({ query }, reply) => {
      const all = [...registry.users.entries()].map(([, user]) => user);
      reply.send(pageOf(all, ({ value }) => value.mail, userView, query));
    },
  );

  app.post(
    '/users',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        operationId: 'addUser',
        summary: 'Adds a user; without a password one is made by chance and shown this once',
        body: UserDraft,
        response: { 201: UserAdded },
      },
    },
    async (request, reply) => {
      const mail = userMail(request.body.mail);
      const { role, password, mustChangePassword = true } = request.body;
      if (password !== undefined) checkNewPassword(password, mail);
      if (registry.users.get(mail) !== undefined) throw new D4Error('D4_CONFLICT', `there is a user ${mail} already`);
      const chosen = password ?? randomPassword();
      const user: User = {
        mail,
        passwordHash: await hashPassword(chosen),
        role,
        mustChangePassword,
        createdAt: now(),
      };
      const actor = actorOf(request);
      const added = await registry.users.put(mail, user, actor, 0);
      log.info({ user: mail, role, by: actor.name }, 'a user was added');
      return reply.code(201).send({ user: userView(added), password: password === undefined ? chosen : null });
    },
  );

  app.get(
    '/users/:mail',
    {
      config: { access: 'admin' },
      schema: { tags, operationId: 'getUser', summary: 'A user', params: UserParam, response: { 200: UserView } },
    },
    ({ params }, reply) => {
      const mail = userMail(params.mail);
      reply.send(userView(existing(registry.users.get(mail), mail)));
    },
  );

  app.patch(
    '/users/:mail',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        operationId: 'changeUser',
        summary: "Changes a user's role, or disables the user; sessions end",
        params: UserParam,
        body: UserChange,
        response: { 200: UserView },
      },
    },
    async (request) => {
      const mail = userMail(request.params.mail);
      const { revision, ...change } = request.body;
      const actor = actorOf(request);
      const changed = await changeDocument(
        registry.users,
        mail,
        (user) => {
          const next = { ...user, ...change };
          if (!isAdministrator(next)) keepAnAdministrator(user);
          return next;
        },
        actor,
        revision,
      );
      log.info({ user: mail, ...change, by: actor.name }, 'a user was changed');
      return userView(existing(changed, mail));
    },
  );

  app.delete(
    '/users/:mail',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        operationId: 'removeUser',
        summary: 'Removes a user with sessions and tokens',
        params: UserParam,
        response: { 204: Type.Null({ description: 'Removed' }) },
      },
    },
    async (request, reply) => {
      const mail = userMail(request.params.mail);
      const actor = actorOf(request);
      const { value } = existing(registry.users.get(mail), mail);
      keepAnAdministrator(value);
      await registry.users.remove(mail, actor);
      for (const [key, token] of [...registry.tokens.entries()]) {
        if (token.value.user === mail) await registry.tokens.remove(key, actor);
      }
      forgetFirstPassword(mail);
      log.info({ user: mail, by: actor.name }, 'a user was removed');
      return reply.code(204).send(null);
    },
  );

  app.post(
    '/users/:mail/password',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        operationId: 'resetPassword',
        summary:
          'Gives a user another password, made by chance if none is given; sessions end, lock-outs are forgotten',
        params: UserParam,
        body: PasswordReset,
        response: { 200: UserAdded },
      },
    },
    async (request) => {
      const mail = userMail(request.params.mail);
      const { password, mustChangePassword = true } = request.body;
      existing(registry.users.get(mail), mail);
      if (password !== undefined) checkNewPassword(password, mail);
      const chosen = password ?? randomPassword();
      const passwordHash = await hashPassword(chosen);
      const actor = actorOf(request);
      const changed = await changeDocument(
        registry.users,
        mail,
        (user) => ({ ...user, passwordHash, mustChangePassword }),
        actor,
      );
      people.logins.guard.clear({ mail }, now());
      forgetFirstPassword(mail);
      log.info({ user: mail, by: actor.name }, 'a password was reset');
      return { user: userView(existing(changed, mail)), password: password === undefined ? chosen : null };
    },
  );

  app.delete(
    '/users/:mail/sessions',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        operationId: 'endSessions',
        summary: 'Signs a user out everywhere',
        params: UserParam,
        response: { 200: Ended },
      },
    },
    async (request) => {
      const mail = userMail(request.params.mail);
      existing(registry.users.get(mail), mail);
      const sessions = await people.sessions.endAllOf(mail);
      await registry.audit.record({ kind: 'logout', key: mail, actor: actorOf(request), details: { sessions } });
      return { sessions };
    },
  );

  /** @throws {D4Error} D4_LAST_ADMINISTRATOR where this user is the only one who can manage users */
  function keepAnAdministrator(user: User): void {
    if (!isAdministrator(user)) return;
    for (const [, { value }] of registry.users.entries()) {
      if (value.mail !== user.mail && isAdministrator(value)) return;
    }
    throw new D4Error(
      'D4_LAST_ADMINISTRATOR',
      `${user.mail} is the only administrator: make another one first, so that somebody can manage users`,
    );
  }

  function userView({ value, revision }: Versioned<User>): UserView {
    const { mail, role, disabled = false, mustChangePassword, createdAt } = value;
    const sessions = people.sessions.listOf(mail);
    const tokens = tokenViews(registry, now(), mail).filter(({ expired }) => !expired);
    const uses = [...sessions.map((each) => each.lastUsedAt), ...tokens.map((each) => each.lastUsedAt ?? 0)];
    return {
      mail,
      revision,
      role,
      disabled,
      mustChangePassword,
      createdAt,
      sessions: sessions.length,
      lastUsedAt: Math.max(0, ...uses) || null,
      tokens: tokens.length,
      locked: people.logins.guard.lockouts(now()).some((lockout) => lockout.mail === mail),
    };
  }
}

function isAdministrator({ role, disabled }: User): boolean {
  return role === 'admin' && disabled !== true;
}

/** 120 bits. */
function randomPassword(): string {
  return randomBytes(15).toString('base64url');
}

function existing(user: Versioned<User> | undefined, mail: string): Versioned<User> {
  if (user === undefined) throw notFound(`no user ${mail}`);
  return user;
}
