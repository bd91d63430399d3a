import { D4Error } from '@d4ts/protocol';
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import { hashPassword } from '../../registry/passwords.ts';
import type { ApiContext } from '../api-context.ts';
import { notFound } from '../api-errors.ts';
import { actorOf, principalOf } from '../authentication.ts';
import { changeDocument } from '../registry-change.ts';
import type { ApiApp } from '../route-types.ts';
import { clearCookie, setCookie } from '../session-cookie.ts';
import { csrfTokenOf, type LiveSession } from './login-sessions.ts';
import { checkNewPassword } from './password-rules.ts';
import { Ended, IdParam, Me, type MySession, MySessions, PasswordChange, SessionState } from './people-schemas.ts';

/** `/api/v1/me`: what everybody may know and change of themselves. */
export function meRoutes(app: ApiApp, { registry, people, log, forgetFirstPassword }: ApiContext): void {
  const tags = ['people'];
  const { sessions, logins } = people;

  app.get(
    '/me',
    {
      config: { access: 'signed-in', beforePasswordChange: true },
      schema: { tags, operationId: 'getMe', summary: 'Who asks', response: { 200: Me } },
    },
    (request, reply) => {
      const { actor, role, via, mail = actor.name, mustChangePassword } = principalOf(request);
      reply.send({ mail, role, via, mustChangePassword });
    },
  );

  app.post(
    '/me/password',
    {
      config: { access: 'signed-in', beforePasswordChange: true },
      schema: {
        tags,
        operationId: 'changeMyPassword',
        summary: 'Changes the own password; ends all sessions, and sets the cookie of a new one',
        body: PasswordChange,
        response: { 200: SessionState },
      },
    },
    async (request, reply) => {
      const session = ownSession(request);
      const actor = actorOf(request);
      const address = actor.address ?? '';
      const { user: mail } = session;
      const { current, password } = request.body;
      checkNewPassword(password, mail);
      await logins.check({ mail, password: current, address });
      if (password.normalize('NFKC') === current.normalize('NFKC')) {
        throw new D4Error('D4_BAD_PASSWORD', 'the new password cannot be taken: it is the one that you have');
      }
      const passwordHash = await hashPassword(password);
      const changed = await changeDocument(
        registry.users,
        mail,
        (user) => ({ ...user, passwordHash, mustChangePassword: false }),
        actor,
      );
      if (changed === undefined) throw notFound(`no user ${mail} any more`);
      await sessions.endAllOf(mail);
      const next = await sessions.start(mail, address, session.userAgent);
      setCookie(reply, next.secret, sessions.limits.absoluteMs);
      forgetFirstPassword(mail);
      log.info({ user: mail, address }, 'a password was changed');
      return {
        mail,
        role: changed.value.role,
        mustChangePassword: false,
        csrfToken: csrfTokenOf(next.secret),
        sessionId: next.session.id,
        createdAt: next.session.createdAt,
        idleSeconds: Math.floor(sessions.limits.idleMs / 1000),
        endsAt: next.session.createdAt + sessions.limits.absoluteMs,
      };
    },
  );

  app.get(
    '/me/sessions',
    {
      config: { access: 'signed-in' },
      schema: {
        tags,
        operationId: 'listMySessions',
        summary: 'Where the asking user is signed in',
        response: { 200: MySessions },
      },
    },
    (request, reply) => {
      const { mail, session } = principalOf(request);
      const all = mail === undefined ? [] : sessions.listOf(mail);
      reply.send({ items: all.map((each) => sessionView(each, session?.id)) });
    },
  );

  app.delete(
    '/me/sessions',
    {
      config: { access: 'signed-in' },
      schema: {
        tags,
        operationId: 'signOutEverywhere',
        summary: 'Ends all sessions of the asking user, this one too',
        response: { 200: Ended },
      },
    },
    async (request, reply) => {
      const { mail, actor, session } = principalOf(request);
      const ended = mail === undefined ? 0 : await sessions.endAllOf(mail);
      await registry.audit.record({ kind: 'logout', key: actor.name, actor, details: { sessions: ended } });
      if (session !== undefined) clearCookie(reply);
      return { sessions: ended };
    },
  );

  app.delete(
    '/me/sessions/:id',
    {
      config: { access: 'signed-in' },
      schema: {
        tags,
        operationId: 'endMySession',
        summary: 'Ends one session of the asking user',
        params: IdParam,
        response: { 204: Type.Null({ description: 'Ended' }) },
      },
    },
    async (request, reply) => {
      const { mail, actor, session } = principalOf(request);
      const { id } = request.params;
      if (mail === undefined || !(await sessions.end(mail, id))) throw notFound(`no session ${id} of yours`);
      await registry.audit.record({ kind: 'logout', key: mail, actor, details: { session: id } });
      if (session?.id === id) clearCookie(reply);
      return reply.code(204).send(null);
    },
  );
}

/** @throws {D4Error} D4_FORBIDDEN: a stolen token must not lead to the password, or to other tokens */
export function ownSession(request: FastifyRequest): LiveSession {
  const { session } = principalOf(request);
  if (session !== undefined) return session;
  throw new D4Error('D4_FORBIDDEN', 'this is for somebody who is signed in with a password, not for a token');
}

function sessionView(
  { id, createdAt, lastUsedAt, address, userAgent }: LiveSession,
  current: string | undefined,
): MySession {
  return { id, current: id === current, createdAt, lastUsedAt, address, userAgent };
}
