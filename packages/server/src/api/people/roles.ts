import type { Role } from '../../registry/port.ts';

/** The roles, the most powerful first. */
export const ROLES = ['admin', 'user', 'viewer', 'sensor_register'] as const satisfies readonly Role[];

/** What each role may hand on: a viewer changes nothing, so it cannot register sensors by way of a token either. */
const GRANTS: Readonly<Record<Role, ReadonlySet<Role>>> = {
  admin: new Set(ROLES),
  user: new Set<Role>(['user', 'viewer', 'sensor_register']),
  viewer: new Set<Role>(['viewer']),
  sensor_register: new Set<Role>(['sensor_register']),
};

/** Whether somebody with the role `own` may have a token with the role `wanted`. */
export function mayGrant(own: Role, wanted: Role): boolean {
  return GRANTS[own].has(wanted);
}

/**
 * What a token may do whose owner's role may have changed since it was made: the smaller of both.
 * @returns undefined where neither contains the other
 */
export function effectiveRole(owner: Role, token: Role): Role | undefined {
  if (mayGrant(owner, token)) return token;
  return mayGrant(token, owner) ? owner : undefined;
}
