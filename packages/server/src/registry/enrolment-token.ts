import type { EnrolmentToken, Registry, Role } from './port.ts';

/** How an enrolment token stands. */
export const ENROLMENT_STATES = ['open', 'used', 'expired', 'revoked'] as const;
export type EnrolmentState = (typeof ENROLMENT_STATES)[number];

/** So long is remembered what became of a token that cannot be used any more, in ms. */
const REMEMBERED_MS = 30 * 24 * 60 * 60_000;

/** Those who may register sensors; the others may not do it by way of a token either. */
const MAY_REGISTER: ReadonlySet<Role> = new Set<Role>(['sensor_register', 'user', 'admin']);
const MAY_APPROVE: ReadonlySet<Role> = new Set<Role>(['user', 'admin']);

/** @param now ms since 1970 */
export function enrolmentState(token: EnrolmentToken, now: number): EnrolmentState {
  if (token.revokedAt !== undefined) return 'revoked';
  if (token.uses.length >= token.maxUses) return 'used';
  return token.expiresAt <= now ? 'expired' : 'open';
}

/** Whether it can be forgotten that there was such a token. @param now ms since 1970 */
export function isForgettable(token: EnrolmentToken, now: number): boolean {
  return Math.max(token.expiresAt, token.revokedAt ?? 0) + REMEMBERED_MS <= now;
}

/** What somebody with a role may do with sensors that enrol. */
export function enrolmentRights(role: Role | undefined): { readonly register: boolean; readonly approve: boolean } {
  return {
    register: role !== undefined && MAY_REGISTER.has(role),
    approve: role !== undefined && MAY_APPROVE.has(role),
  };
}

/** The role that a token's author has now; undefined for somebody who is gone or disabled. */
export function authorRole({ author }: EnrolmentToken, { users }: Pick<Registry, 'users'>): Role | undefined {
  if (author === 'local') return 'admin';
  const user = users.get(author)?.value;
  return user === undefined || user.disabled === true ? undefined : user.role;
}
