import Type from 'typebox';
import type { ApiContext } from '../api-context.ts';
import { principalOf } from '../authentication.ts';
import { plainAddress } from '../ip-network.ts';
import type { ApiApp } from '../route-types.ts';
import { checkSameOrigin, clearCookie, cookieSecret, setCookie } from '../session-cookie.ts';
import { csrfTokenOf, type LiveSession } from './login-sessions.ts';
import { userMail } from './mail.ts';
import { LoginBody, SessionState } from './people-schemas.ts';

/** `/api/v1/session`: signing in to the pages, and out. */
export function sessionRoutes(app: ApiApp, { registry, people, log }: ApiContext): void {
  const tags = ['people'];
  const { sessions, logins } = people;

  app.post(
    '/session',
    {
      config: { access: 'public' },
      schema: {
        tags,
        operationId: 'signIn',
        summary: 'Signs in, and sets the cookie of a new session; the one that was there ends',
        body: LoginBody,
        response: { 200: SessionState },
      },
    },
    async (request, reply) => {
      checkSameOrigin(request);
      const address = plainAddress(request.ip);
      const user = await logins.check({ mail: userMail(request.body.mail), password: request.body.password, address });
      const before = sessions.find(cookieSecret(request) ?? '');
      if (before !== undefined) await sessions.end(before.user, before.id);
      const { secret, session } = await sessions.start(user.mail, address, request.headers['user-agent'] ?? '');
      setCookie(reply, secret, sessions.limits.absoluteMs);
      await registry.audit.record({ kind: 'login', key: user.mail, actor: { name: user.mail, address } });
      log.info({ user: user.mail, address }, 'signed in');
      return stateOf(session, secret);
    },
  );

  app.get(
    '/session',
    {
      config: { access: 'signed-in', beforePasswordChange: true },
      schema: {
        tags,
        operationId: 'getSession',
        summary: "Who is signed in by this browser's cookie; with a token, nobody is",
        response: { 200: SessionState, 204: Type.Null({ description: 'A token asks, which has no session' }) },
      },
    },
    (request, reply) => {
      const { session } = principalOf(request);
      if (session === undefined) reply.code(204).send(null);
      else reply.send(stateOf(session, session.secret));
    },
  );

  app.delete(
    '/session',
    {
      config: { access: 'signed-in', beforePasswordChange: true },
      schema: {
        tags,
        operationId: 'signOut',
        summary: 'Signs out',
        response: { 204: Type.Null({ description: 'Signed out' }) },
      },
    },
    async (request, reply) => {
      const { session, actor } = principalOf(request);
      if (session !== undefined && (await sessions.end(session.user, session.id))) {
        await registry.audit.record({ kind: 'logout', key: session.user, actor });
      }
      clearCookie(reply);
      return reply.code(204).send(null);
    },
  );

  function stateOf(session: LiveSession, secret: string): SessionState {
    const user = sessions.userOf(session);
    return {
      mail: session.user,
      role: user?.role ?? 'viewer',
      mustChangePassword: user?.mustChangePassword ?? false,
      csrfToken: csrfTokenOf(secret),
      sessionId: session.id,
      createdAt: session.createdAt,
      idleSeconds: Math.floor(sessions.limits.idleMs / 1000),
      endsAt: session.createdAt + sessions.limits.absoluteMs,
    };
  }
}
