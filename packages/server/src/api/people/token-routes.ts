import { D4Error } from '@d4ts/protocol';
import Type from 'typebox';
import type { Actor, Role, Token, User } from '../../registry/port.ts';
import { newToken, tokenHash } from '../../registry/tokens.ts';
import type { ApiContext } from '../api-context.ts';
import { notFound } from '../api-errors.ts';
import { actorOf, principalOf } from '../authentication.ts';
import type { ApiApp } from '../route-types.ts';
import { userMail } from './mail.ts';
import { ownSession } from './me-routes.ts';
import { IdParam, TokenAdded, TokenDraft, TokenList, UserParam } from './people-schemas.ts';
import { mayGrant } from './roles.ts';
import { tokenKey, tokenView, tokenViews } from './token-views.ts';

/** Tokens of one user. */
const MAX_TOKENS = 100;

/** `/api/v1/me/tokens` and `/api/v1/tokens`: what programs are let in with. */
export function tokenRoutes(app: ApiApp, { registry, log, now }: ApiContext): void {
  const tags = ['people'];

  app.get(
    '/me/tokens',
    {
      config: { access: 'signed-in' },
      schema: {
        tags,
        operationId: 'listMyTokens',
        summary: 'The tokens of the asking user, the newest first',
        response: { 200: TokenList },
      },
    },
    (request, reply) => {
      const { mail } = principalOf(request);
      reply.send({ items: mail === undefined ? [] : tokenViews(registry, now(), mail) });
    },
  );

  app.post(
    '/me/tokens',
    {
      config: { access: 'signed-in' },
      schema: {
        tags,
        operationId: 'addMyToken',
        summary: 'Makes a token for the asking user, with no more rights than theirs; its secret is shown this once',
        body: TokenDraft,
        response: { 201: TokenAdded },
      },
    },
    async (request, reply) => {
      const { user: mail } = ownSession(request);
      return reply.code(201).send(await add(userOf(mail), request.body, actorOf(request)));
    },
  );

  app.delete(
    '/me/tokens/:id',
    {
      config: { access: 'signed-in' },
      schema: {
        tags,
        operationId: 'revokeMyToken',
        summary: 'Revokes a token of the asking user',
        params: IdParam,
        response: { 204: Type.Null({ description: 'Revoked' }) },
      },
    },
    async (request, reply) => {
      const { mail, actor } = principalOf(request);
      if (mail === undefined) throw notFound(`no token ${request.params.id} of yours`);
      await revoke(request.params.id, actor, mail);
      return reply.code(204).send(null);
    },
  );

  app.get(
    '/tokens',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        operationId: 'listTokens',
        summary: "Everybody's tokens, the newest first",
        response: { 200: TokenList },
      },
    },
    (_request, reply) => {
      reply.send({ items: tokenViews(registry, now()) });
    },
  );

  app.delete(
    '/tokens/:id',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        operationId: 'revokeToken',
        summary: "Revokes anybody's token",
        params: IdParam,
        response: { 204: Type.Null({ description: 'Revoked' }) },
      },
    },
    async (request, reply) => {
      await revoke(request.params.id, actorOf(request));
      return reply.code(204).send(null);
    },
  );

  app.post(
    '/users/:mail/tokens',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        operationId: 'addToken',
        summary: "Makes a token for a user, with no more rights than the user's; its secret is shown this once",
        params: UserParam,
        body: TokenDraft,
        response: { 201: TokenAdded },
      },
    },
    async (request, reply) => {
      const user = userOf(userMail(request.params.mail));
      return reply.code(201).send(await add(user, request.body, actorOf(request)));
    },
  );

  async function add(
    { mail, role: own }: User,
    { name, role, expiresAt }: { name: string; role: Role; expiresAt?: number },
    actor: Actor,
  ): Promise<TokenAdded> {
    if (!mayGrant(own, role)) {
      throw new D4Error('D4_FORBIDDEN', `${mail} has the role ${own}, and so no token with the role ${role}`);
    }
    if (expiresAt !== undefined && expiresAt <= now()) {
      throw new D4Error('D4_BAD_REQUEST', 'expiresAt is in the past: such a token would never work');
    }
    if (tokenViews(registry, now(), mail).length >= MAX_TOKENS) {
      throw new D4Error('D4_CONFLICT', `${mail} has ${MAX_TOKENS} tokens already: revoke some`);
    }
    const secret = newToken();
    const key = tokenHash(secret);
    const token: Token = { name, user: mail, role, createdAt: now(), ...(expiresAt !== undefined && { expiresAt }) };
    await registry.tokens.put(key, token, actor, 0);
    log.info({ user: mail, role, name, by: actor.name }, 'a token was made');
    return { token: tokenView(registry, key, token, now()), secret };
  }

  async function revoke(id: string, actor: Actor, user?: string): Promise<void> {
    const key = tokenKey(registry, id, user);
    const token = key === undefined ? undefined : registry.tokens.get(key)?.value;
    if (key === undefined || token === undefined) throw notFound(`no token ${id}`);
    await registry.tokens.remove(key, actor);
    log.info({ user: token.user, name: token.name, by: actor.name }, 'a token was revoked');
  }

  function userOf(mail: string): User {
    const user = registry.users.get(mail)?.value;
    if (user === undefined) throw notFound(`no user ${mail}`);
    return user;
  }
}
