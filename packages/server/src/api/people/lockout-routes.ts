import type { ApiContext } from '../api-context.ts';
import { actorOf } from '../authentication.ts';
import type { ApiApp } from '../route-types.ts';
import { Cleared, LockoutList, LockoutQuery, type LockoutView } from './people-schemas.ts';

/** `/api/v1/lockouts`: who is held back after wrong passwords and unknown tokens. */
export function lockoutRoutes(app: ApiApp, { registry, people, log, now }: ApiContext): void {
  const tags = ['people'];
  const { guard } = people.logins;

  app.get(
    '/lockouts',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        operationId: 'listLockouts',
        summary: 'Who has to wait after repeated failures, the latest first',
        response: { 200: LockoutList },
      },
    },
    (_request, reply) => {
      const byPassword = guard.lockouts(now()).map(
        ({ mail, address, ...lockout }): LockoutView => ({
          ...lockout,
          mail: mail ?? null,
          address: address ?? null,
        }),
      );
      const byToken = people.unknownTokens.heldBack(now()).map(
        ({ address, failures, lastAt, until }): LockoutView => ({
          kind: 'tokens',
          mail: null,
          address,
          failures,
          lastFailureAt: lastAt,
          until,
        }),
      );
      reply.send({ items: [...byPassword, ...byToken].sort((a, b) => b.lastFailureAt - a.lastFailureAt) });
    },
  );

  app.delete(
    '/lockouts',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        operationId: 'clearLockouts',
        summary: 'Forgets failures: of a user, of an address, of a user from an address, or all',
        querystring: LockoutQuery,
        response: { 200: Cleared },
      },
    },
    async (request) => {
      const { address } = request.query;
      const mail = request.query.mail?.trim().toLowerCase();
      const byPassword = guard.clear({ mail, address }, now());
      const byToken = mail === undefined ? people.unknownTokens.clear(address, now()) : 0;
      const lockouts = byPassword + byToken;
      const actor = actorOf(request);
      const key = mail ?? address ?? '(all)';
      await registry.audit.record({ kind: 'unlocked', key, actor, details: { mail, address, lockouts } });
      log.info({ mail, address, lockouts, by: actor.name }, 'lock-outs were cleared');
      return { lockouts };
    },
  );
}
